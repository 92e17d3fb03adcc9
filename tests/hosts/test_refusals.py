"""Ten bad hosts, refused by the right check, with nothing changed on any of them; and two good ones beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.snapshot import diff, snapshot


@dataclass(frozen=True)
class Bad:
    """How to make a bad host: fields of Spec, and what to do to it once it runs. `check` must refuse it."""

    check: str
    options: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[Host], None] = lambda _host: None
    data: dict[str, Any] = field(default_factory=dict)


def _run_file(host: Host) -> None:
    """What a .run installation leaves: libraries and an uninstaller that no package owns."""
    host.put("/usr/bin/nvidia-uninstall", "#!/bin/sh\nexit 0\n", 0o755)
    for library in ("libcuda.so.580.159.03", "libnvidia-ml.so.580.159.03"):
        host.put(f"/usr/lib/x86_64-linux-gnu/{library}", "not a real library\n")
    host.put("/var/log/nvidia-installer.log", "nvidia-installer log file\n")


def _broken_dpkg(host: Host) -> None:
    """A package whose configuration fails, by the real dpkg."""
    script = """
    set -e; d=$(mktemp -d); mkdir -p $d/DEBIAN
    printf 'Package: half-way\\nVersion: 1\\nArchitecture: all\\nMaintainer: T <t@example.invalid>\\nDescription: fails\\n' > $d/DEBIAN/control
    printf '#!/bin/sh\\nexit 1\\n' > $d/DEBIAN/postinst; chmod 755 $d/DEBIAN/postinst
    dpkg-deb --build $d /root/half-way.deb >/dev/null; ! dpkg -i /root/half-way.deb; rm -r $d
    """
    host.nsenter(script)


def _full_boot(host: Host) -> None:
    host.nsenter(
        "cp -a /boot /root/boot-copy && mount -t tmpfs -o size=120m tmpfs /boot && cp -a /root/boot-copy/. /boot/"
    )
    host.nsenter(
        "dd if=/dev/zero of=/boot/ballast bs=1M count=200 2>/dev/null; test $(df --output=avail -m /boot | tail -1) -lt 150"
    )


def _podman(host: Host) -> None:
    host.put("/usr/bin/podman", '#!/bin/sh\ncase "$*" in *version*) echo "podman version 4.3.1";; esac\n', 0o755)
    host.nsenter("ln -s podman /usr/bin/docker")


BAD: dict[str, Bad] = {
    "aarch64": Bad("linux_x86_64", {"machine": "aarch64"}),
    "kernel-2-6-32": Bad("kernel_at_least_3_10", {"release": "2.6.32-754.el6.x86_64"}),
    "container": Bad("not_a_container", {"disguise": False}),
    "wsl2": Bad("not_wsl", {"release": "5.15.167.4-microsoft-standard-WSL2"}),
    "no-gpu": Bad("nvidia_gpu_present", {"gpus": "none"}),
    "vfio": Bad("gpu_not_bound_to_vfio", {"gpu_driver": "vfio-pci", "nouveau": "absent"}),
    "run-file": Bad("no_foreign_driver", spoil=_run_file),
    "broken-dpkg": Bad("package_database_healthy", spoil=_broken_dpkg),
    "full-boot": Bad("disk_space", spoil=_full_boot),
    "podman": Bad("no_podman_or_snap_docker", spoil=_podman),
    # The eleventh is the archive's: bookworm's open module stayed behind when security moved the libraries.
    "open-modules": Bad("driver_fits_gpus", data={"gpu_kernel_modules": "open"}),
}


@dataclass
class Refusals:
    hosts: dict[str, Host]
    results: dict[str, dict[str, Any]]
    changes: dict[str, list[str]]
    code: int
    text: str


@pytest.fixture(scope="module")
def refusals(make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Refusals:
    folder = tmp_path_factory.mktemp("refusals")
    hosts: dict[str, Host] = {}
    for name, bad in BAD.items():
        hosts[name] = make_module_host("bookworm", name, **bad.options)
        bad.spoil(hosts[name])
    good = [make_module_host("bookworm", "good-12"), make_module_host("trixie", "good-13")]
    inventory = write_inventory(
        folder / "inventory.py", [*((h, BAD[n].data) for n, h in hosts.items()), *good], {"gpu_report_dir": str(folder)}
    )
    before = {h.name: snapshot(h) for h in [*hosts.values(), *good]}
    # The good hosts are only judged here; the bad ones meet the whole road, each in the same run.
    judged = run_pyinfra(inventory, "deploys/preflight.py", "-y")
    road = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", *[w for n in hosts for w in ("--limit", n)])
    print(judged.stderr[-9000:])
    results = {h["host"]: h for h in json.loads((folder / "latest.json").read_text())["hosts"]}
    results |= {
        h["host"]: h
        for p in folder.glob("run-*.json")
        for h in json.loads(p.read_text())["hosts"]
        if h["host"] not in hosts
    }
    changes = {h.name: diff(before[h.name], snapshot(h)) for h in [*hosts.values(), *good]}
    return Refusals(hosts, results, changes, road.returncode, judged.stderr + road.stderr)


@pytest.mark.parametrize("name", BAD)
def test_bad_host_is_refused_by_the_right_check(refusals: Refusals, name: str) -> None:
    result = refusals.results[name]
    stops = [f["check"] for f in result["findings"] if f["level"] == "stop"]
    assert result["state"] == "refused"
    assert BAD[name].check in stops
    assert refusals.code != 0


@pytest.mark.parametrize("name", BAD)
def test_refused_host_is_left_with_zero_changes(refusals: Refusals, name: str) -> None:
    assert refusals.changes[name] == []


@pytest.mark.parametrize("name", ["good-12", "good-13"])
def test_preflight_lets_good_hosts_pass_and_changes_nothing(refusals: Refusals, name: str) -> None:
    assert refusals.results[name]["state"] == "passed"
    assert refusals.changes[name] == []


def test_every_refusal_says_found_needed_and_fix(refusals: Refusals) -> None:
    for name, bad in BAD.items():
        block = refusals.text.split(f"{name}  STOP  {bad.check}\n")[1].split("\n")[:3]
        assert [line.split()[0] for line in block] == ["found", "needed", "fix"]


def test_dry_run_leaves_the_host_byte_identical(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("trixie", "dry")
    before = snapshot(host)
    inventory = write_inventory(tmp_path / "inventory.py", [host], {"gpu_report_dir": str(tmp_path)})
    run = run_pyinfra(inventory, "deploys/gpu_host.py", "--dry", "-y")
    assert run.returncode == 0
    assert "to install in one transaction" in run.stderr
    plain = run_pyinfra(inventory, "deploys/gpu_host.py", "--dry")
    assert plain.returncode == 0
    assert "Rehears" in plain.stderr or "rehearsed" in plain.stderr
    assert diff(before, snapshot(host)) == []
