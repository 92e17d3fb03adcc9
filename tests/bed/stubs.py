"""Stand-in packages of the NVIDIA Container Toolkit: real names and dependencies, harmless programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed.shell import run

VERSION = "1.20.0-1"

RUNTIME = """#!/bin/sh
# stand-in: the real one edits the container's specification first
exec runc "$@"
"""
HOOK = """#!/bin/sh
# stand-in: the real one brings the driver into the container
exit 0
"""
CTK = """#!/bin/sh
# stand-in: notes its arguments, makes no specification
case "$*" in
--version | -v) echo "NVIDIA Container Toolkit CLI version {upstream}" ;;
"cdi list") echo 'time="now" level=info msg="Found 0 CDI devices"' ;;
*) echo "$*" >>/var/log/stand-in-nvidia-ctk.log ;;
esac
"""
CLI = """#!/bin/sh
# stand-in
case "$1" in
--version | -V) echo "cli-version: {upstream}" ;;
*) echo "nvidia-container-cli: initialization error: nvml error: driver not loaded" >&2; exit 1 ;;
esac
"""
CONFIG = """#accept-nvidia-visible-devices-envvar-when-unprivileged = true
disable-require = false

[nvidia-container-runtime]
mode = "auto"
runtimes = ["runc", "crun"]
"""
REFRESH = """[Unit]
Description=Refresh NVIDIA CDI specification file

[Service]
Type=oneshot
ExecStart=/usr/bin/nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml

[Install]
WantedBy=multi-user.target
"""
ENABLE_REFRESH = """#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable nvidia-cdi-refresh.service
fi
"""


@dataclass(frozen=True)
class Stub:
    """A package: `files` maps path -> (text, mode); `{upstream}` in a text becomes the version without revision."""

    name: str
    depends: str = ""
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    postinst: str = ""


def toolkit(version: str = VERSION) -> list[Stub]:
    """The toolkit's four packages, related as NVIDIA relates them."""
    return [
        Stub(
            "nvidia-container-toolkit",
            f"nvidia-container-toolkit-base (= {version}), libnvidia-container-tools (>= {version}),"
            " libnvidia-container-tools (<< 2.0.0)",
            {"/usr/bin/nvidia-container-runtime-hook": (HOOK, 0o755)},
        ),
        Stub(
            "nvidia-container-toolkit-base",
            "",
            {
                "/usr/bin/nvidia-container-runtime": (RUNTIME, 0o755),
                "/usr/bin/nvidia-ctk": (CTK, 0o755),
                "/usr/bin/nvidia-cdi-hook": (HOOK, 0o755),
                "/etc/nvidia-container-runtime/config.toml": (CONFIG, 0o644),
                "/etc/systemd/system/nvidia-cdi-refresh.service": (REFRESH, 0o644),
            },
            ENABLE_REFRESH,
        ),
        Stub(
            "libnvidia-container-tools",
            f"libc6, libcap2, libnvidia-container1 (>= {version})",
            {"/usr/bin/nvidia-container-cli": (CLI, 0o755)},
        ),
        Stub("libnvidia-container1", "libc6, libcap2"),
    ]


def _write(root: Path, path: str, text: str, mode: int) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def build(stub: Stub, version: str, target: Path) -> None:
    """Build the package's .deb in the folder `target`. Raises BedError."""
    control = {
        "Package": stub.name,
        "Version": version,
        "Architecture": "amd64",
        "Maintainer": "Test Bed <bed@example.invalid>",
        "Section": "utils",
        "Priority": "optional",
        "Depends": stub.depends,
        "Description": f"stand-in for {stub.name}",
    }
    upstream = version.rpartition("-")[0]
    with TemporaryDirectory() as name:
        root = Path(name) / "root"
        root.mkdir(mode=0o755)
        for path, (text, mode) in stub.files.items():
            _write(root, path, text.replace("{upstream}", upstream), mode)
        text = "".join(f"{key}: {value}\n" for key, value in control.items() if value)
        _write(root, "DEBIAN/control", text, 0o644)
        if stub.postinst:
            _write(root, "DEBIAN/postinst", stub.postinst, 0o755)
        output = target / f"{stub.name}_{version}_amd64.deb"
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, output])
