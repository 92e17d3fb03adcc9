"""Recorded hosts: see whole plans, refusals and proofs without a GPU and without any machine.

    ./provision inventories/lab.py --dry

Each host is a recording of the probe, some with one answer replaced. Nothing is contacted: the hosts live on pyinfra's
`@fake` connector, so operations on them change nothing; use `--dry` or deploys/preflight.py.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
if str(_HERE.parent) not in sys.path:
    sys.path.insert(0, str(_HERE.parent))

from facts.sections import replace_section  # noqa: E402
from facts.subject import PROBE  # noqa: E402
from inventories import releases as _releases  # noqa: E402


def _recording(name: str, **answers: str) -> str:
    """A recording with the answers of some subjects replaced."""
    text = (_HERE / "recordings" / f"{name}.txt").read_text(encoding="ascii")
    for subject, answer in answers.items():
        text = replace_section(text, subject, answer)
    return text


def _host(name: str, probe: str, **data: object) -> tuple[str, dict[str, object]]:
    return (f"@fake/{name}", {"fake_responses": {PROBE: probe}, "fake_delay": 0, "fake_delay_jitter": 0, **data})


def _pci(*devices: str) -> str:
    """Lines of the PCI answer: "ADDRESS ID CLASS DRIVER", all of vendor 10de."""
    lines = ["looked"]
    for device in devices:
        address, identity, class_code, driver = device.split()
        lines.append(f"pci {address} 0x10de 0x{identity} 0x{class_code} 0x10de 0x0000 {driver}")
    return "\n".join(lines) + "\n"


_H100 = [f"0000:{bus}:00.0 2330 030200 nouveau" for bus in ("1b", "43", "52", "61", "9d", "c3", "d1", "df")]
_NVSWITCH = [f"0000:0{bus}:00.0 22a3 068000 -" for bus in (7, 8, 9)]

_BARE, _CONVERGED = "debian-12-bare", "debian-13-converged"
_PLATFORM = """\
system {system}
architecture {architecture}
uid 0
virtualisation none
environ-readable
{container}systemd-booted
mount / rw,relatime
cgroup cgroup2fs 63677270
init systemd
overlayfs yes
"""


def _platform(system: str = "Linux", architecture: str = "x86_64", container: str = "") -> str:
    return _PLATFORM.format(system=system, architecture=architecture, container=container)


bare = [
    _host("bare-t4", _recording(_BARE)),
    _host(
        "bare-two-a100",
        _recording(_BARE, pci=_pci("0000:07:00.0 20b2 030200 nouveau", "0000:0b:00.0 20b2 030200 nouveau")),
    ),
    _host(
        "bare-gtx1080-containers",
        _recording(_BARE, pci=_pci("0000:01:00.0 1b80 030000 nouveau")),
        gpu_profile="containers",
    ),
    _host(
        "bare-l4-raw-no-reboot",
        _recording(_BARE, pci=_pci("0000:01:00.0 27b8 030200 nouveau")),
        gpu_profile="raw",
        gpu_reboot="never",
    ),
]

converged = [
    _host("converged-a100", _recording(_CONVERGED)),
]

# A bare host of every supported release.
releases = [_host(_release.name, _releases.recording(_release)) for _release in _releases.RELEASES]

broken = [
    _host("no-gpu", _recording(_BARE, pci="looked\n")),
    _host("one-of-two-gpus", _recording(_BARE), gpu_expected_gpus=2),
    _host("vfio", _recording(_BARE, pci=_pci("0000:01:00.0 20b2 030200 vfio-pci"))),
    _host("rtx5090-too-new", _recording(_CONVERGED, pci=_pci("0000:01:00.0 2b85 030000 nvidia"))),
    _host("hgx-h100", _recording(_BARE, pci=_pci(*_H100, *_NVSWITCH)), gpu_expected_gpus=8),
    _host(
        "k80-too-old",
        _recording(_BARE, pci=_pci("0000:05:00.0 102d 030200 nouveau", "0000:06:00.0 102d 030200 nouveau")),
    ),
    _host("open-modules-of-debian-12", _recording(_BARE), gpu_kernel_modules="open"),
    _host("arm-server", _recording(_BARE, platform=_platform(architecture="aarch64"))),
    _host("container", _recording(_BARE, platform=_platform(container="container /.dockerenv\n"))),
    _host("bad-settings", _recording(_BARE), gpu_driver_branch=535.10, gpu_cuda="11.3", gpu_profil="full"),
]
