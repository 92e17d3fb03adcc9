"""Twenty systems described on a command line: the decision, the reason, the exit code; without a host and without pyinfra."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploys.explain import main
from deploys.plan.checks import judge
from deploys.plan.explain import Question, explain
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings
from inventories.releases import Release
from tests.plan import test_releases
from tests.plan.test_releases import ANY_SYSTEM, bare, room

ROOT = Path(__file__).parents[2]
# Checks that judge by the rules that it asks.
RULES = {
    "driver_fits_gpus",
    "secure_boot_allows_modules",
    "kernel_fits_driver",
    "driver_branch_alive",
    "cuda_fits",
    "fabric_manager_available",
}
UBUNTU = "--distro ubuntu-24.04 --kernel 6.8.0-60-generic"
UBUNTU_26 = "--distro ubuntu-26.04 --kernel 7.0.0-31-generic"
DEBIAN_12 = "--distro debian-12 --kernel 6.1.0-50-amd64"
DEBIAN_13 = "--distro debian-13 --kernel 6.12.107+deb13-amd64"
RHEL_9 = "--distro rhel-9.8 --kernel 5.14.0-687.15.1.el9_8.x86_64"


@dataclass(frozen=True)
class System:
    """`code` is the exit code; `words` must all be printed, `no_words` none of them."""

    name: str
    arguments: str
    code: int
    words: tuple[str, ...]
    no_words: tuple[str, ...] = ()


SYSTEMS = [
    System("GTX 1080 on Ubuntu 24.04", f"--gpu 10de:1b80 {UBUNTU}", 0, ("580.178.04 (branch 580), proprietary", "12.9 (native)"), ("REFUSED", "not supported")),
    System("T4 on Debian 12", f"--gpu 10de:1eb8 {DEBIAN_12}", 0, ("535.309.01 (branch 535), proprietary", "11.8 (native)", "ended 2026-06", "move to branch 580"), ("REFUSED", "not supported there")),
    System("V100 beside A100", f"--gpu 10de:1db4 --gpu 10de:20b2 {UBUNTU}", 0, ("580.178.04 (branch 580), proprietary", "12.9 (native)", "Ampere, Volta")),
    System("Volta beside Blackwell", f"--gpu 10de:1db4 --gpu 10de:2901 {UBUNTU}", 1, ("Blackwell runs only on the open modules, Volta only on the proprietary", "move the Volta GPUs"), ("(branch",)),
    System("RTX 5090 on Debian 13", f"--gpu 10de:2b85 {DEBIAN_13}", 1, ("needs branch 570 or newer; Debian 13 (trixie) carries 550", "NVIDIA's repository would give 580.178.04 (branch 580), open")),
    System("RTX 5090 on Ubuntu 26.04", f"--gpu 10de:2b85 {UBUNTU_26}", 0, ("580.178.04 (branch 580), open", "13.4 (minor-version)", "Blackwell runs on no others")),
    System("HGX H100", f"--gpu 8x10de:2330 --gpu 4x10de:22a3 {UBUNTU}", 0, ("HGX H100 or H200", "nvidia-fabricmanager-580=580.178.04", "libnvidia-nscq-580=580.178.04", "13.0 (native)")),
    System("HGX A100 on Debian 12", f"--gpu 8x10de:20b2 --gpu 6x10de:1af1 {DEBIAN_12}", 1, ("HGX A100: the archive of Debian 12 (bookworm) carries no Fabric Manager",)),
    System("DGX B200", f"--gpu 8x10de:2901 {UBUNTU}", 0, ("(branch 580), open", "nvlsm", "libnvsdm-580=580.178.04", "ib_umad")),
    System("HGX H100 on RHEL 9", f"--gpu 8x10de:2330 --gpu 4x10de:22a3 {RHEL_9}", 0, ("nvidia-fabricmanager=580.178.04, libnvidia-nscq=580.178.04",)),
    System("B200 on branch 595", f"--gpu 10de:2901 --branch 595 {UBUNTU}", 0, ("nvidia-fabricmanager=595.91.07", "13.2 (native)")),
    System("GB200", f"--gpu 10de:2941 --arch aarch64 {UBUNTU}", 1, ("GB200 or GB300 (NVL rack): aarch64", "an x86_64 host", "nvidia-imex-580=580.178.04")),
    System("GH200", f"--gpu 10de:2342 {UBUNTU}", 1, ("Grace Hopper (GH200): aarch64", "(branch 580), open")),
    System("Jetson Orin", "--distro ubuntu-22.04 --kernel 5.15.148-tegra", 1, ("Jetson (Tegra)", "JetPack")),
    System("Jetson Thor", f"--gpu 10de:2b00 {UBUNTU}", 1, ("Jetson: aarch64",)),
    System("an id that does not exist", f"--gpu 10de:0001 {UBUNTU}", 1, ("10de:0001 is unknown here",), ("(branch",)),
    System("a GPU of tomorrow", f"--gpu 10de:3390 {UBUNTU}", 0, ("(branch 595), open", "warning", "newer than this knowledge")),
    System("a GPU of tomorrow on Debian 13", f"--gpu 10de:3390 {DEBIAN_13}", 1, ("GPU 10de:3390 at 0000:01:00.0 is unknown here",)),
    System("H100 with Secure Boot on Ubuntu", f"--gpu 10de:2330 --secure-boot {UBUNTU}", 0, ("linux-modules-nvidia-580-server-generic", "the distribution's version (branch 580)")),
    System("H100 with Secure Boot on RHEL 9", f"--gpu 10de:2330 --secure-boot {RHEL_9}", 1, ("no source that is used here has signed", "Enroll MOK", "kmod-nvidia-open, signed by Red Hat, through rhel-drivers; this toolkit does not install it")),
    System("H100 with Secure Boot on SLES", "--gpu 10de:2330 --secure-boot --distro sles-15.7 --kernel 6.4.0-150700.53.3-default", 0, ("nvidia-open-driver-G07-signed-cuda-kmp-default", "(branch 580), open", "signed by SUSE")),
    System("NVIDIA's own with Secure Boot on Ubuntu", f"--gpu 10de:2330 --secure-boot --source nvidia {UBUNTU}", 1, ("Secure Boot is on", "Enroll MOK"), ("signed by Canonical",)),
    System("T4 with Secure Boot on Debian 12", f"--gpu 10de:1eb8 --secure-boot {DEBIAN_12}", 1, ("Secure Boot is on", "mokutil --import /var/lib/dkms/mok.pub", "Enroll MOK")),
    System("T4 with an enrolled key", f"--gpu 10de:1eb8 --secure-boot --key-enrolled {DEBIAN_12}", 0, ("DKMS signs with /var/lib/dkms/mok.pub",)),
    System("open modules on Debian 13's newest kernel", "--gpu 10de:20b2 --modules open --distro debian-13 --kernel 6.12.117+deb13-amd64", 1, ("do not compile on 6.12.117+deb13-amd64", "pci_resize_resource", "issue 1272")),
    System("GTX 1080 on Debian 13 from NVIDIA", f"--gpu 10de:1b80 --source nvidia {DEBIAN_13}", 1, ("no CUDA toolkit fits", "last: 12.9")),
    System("a pinned version", f"--gpu 10de:27b8 --branch 580.159.03 {UBUNTU}", 0, ("580.159.03 (branch 580)",), ("580.178.04",)),
    System("a pinned version below its floor", f"--gpu 10de:27b8 --branch 580.95.05 {UBUNTU}", 1, ("driver 580.95.05", "580.126.09 or newer")),
    System("two toolkits side by side", f"--gpu 10de:27b8 --cuda 12.4 --cuda 13.0 {UBUNTU}", 1, ("does not carry CUDA 12.4",)),
    System("UEK on Oracle Linux 9", "--gpu 10de:2330 --distro ol-9.6 --kernel 6.12.0-100.28.2.el9uek.x86_64", 0, ("kernel-uek-devel-6.12.0-100.28.2.el9uek.x86_64", "gcc-toolset-14")),
    System("Rubin", f"--gpu 10de:3000 {UBUNTU_26}", 1, ("Rubin needs branch 615", 'gpu_driver_branch = "615"')),
    System("Rubin on branch 615", f"--gpu 10de:3000 --branch 615 {UBUNTU_26}", 0, ("615.71.09 (branch 615), open", "13.4 (native)")),
    System("no GPU", f"{UBUNTU}", 1, ("no GPU among the devices",)),
]  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.name)
def test_a_system_is_explained_in_under_a_second(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    code = main(system.arguments.split())
    took = time.perf_counter() - began
    text = capsys.readouterr().out
    assert code == system.code, text
    assert [word for word in system.words if word not in text] == [], text
    assert [word for word in system.no_words if word in text] == [], text
    assert took < 1
    if "--gpu" in system.arguments:
        rules = text.split("because\n")[1]
        assert rules.count("source: ") * 2 == len(rules.splitlines())


def test_the_command_starts_fast_and_without_pyinfra() -> None:
    script = "import sys; from deploys.explain import main; main(sys.argv[1:]); print([m for m in sys.modules if 'pyinfra' in m or m == 'gevent'])"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *f"--gpu 10de:2330 {UBUNTU}".split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    # Two seconds for a busy machine; a quiet one needs a tenth of that.
    assert time.perf_counter() - began < 2
    assert done.stdout.splitlines()[-1] == "[]"
    assert "580.178.04" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (f"--gpu 10de:1eb8 --cuda 11.3 {UBUNTU}", "CUDA newer than 11.3"),
        (f"--gpu 10de:1eb8 --branch 5.8 {UBUNTU}", "gpu_driver_branch"),
        (f"--gpu 10de:1eb8 --modules closed {UBUNTU}", "gpu_kernel_modules"),
        (f"--gpu 8086:0001 {UBUNTU}", "no NVIDIA device"),
        ("--gpu 10de:1eb8 --distro ubuntu-9.04", "known: "),
        ("--gpu 10de:1eb8", "--distro"),
    ],
)
def test_wrong_usage_is_named(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments.split())
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("release", "system"), ANY_SYSTEM)
def test_it_says_what_a_host_of_that_kind_is_told(release: Release, system: str) -> None:
    machine = test_releases.SYSTEMS[system](bare(release))
    devices = tuple(d.device for d in machine.pci or ())
    secure = bool(machine.platform.secure_boot)
    answer = explain(Question(devices, release.id, release.version, release.kernel, secure_boot=secure))
    stops = {f.check for f in judge(machine, Settings()) if f.stops} & RULES
    assert bool(answer.refusals) is bool(stops), (stops, answer.refusals)
    plan = make_plan(machine, Settings(), room(release))
    assert answer.driver is not None
    assert (answer.driver.packages, answer.driver.problem) == (plan.driver.packages, plan.driver.problem)
