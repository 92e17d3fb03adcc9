"""The test hosts themselves: what they show, and that the means of proof can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.repository import STRANGER, Repository
from tests.bed.shell import BedError, run
from tests.bed.snapshot import diff, snapshot
from tests.bed.world import newest_kernel

MakeHost = Callable[..., Host]

PCI = (
    'for d in /sys/bus/pci/devices/*; do read v <"$d/vendor"; [ "$v" = 0x10de ] || continue; read n <"$d/device";'
    ' echo "${d##*/} $n $(basename "$(readlink "$d/driver" || echo none)")"; done'
)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def host(request: pytest.FixtureRequest, make_module_host: MakeHost) -> Host:
    return make_module_host(request.param, f"look-{request.param}", gpus="t4")


def out(host: Host, command: str) -> str:
    return host.ssh(command).stdout.strip()


def test_answers_with_the_kernel_that_is_installed(host: Host) -> None:
    release = newest_kernel(host.root)
    assert release.endswith("-amd64")
    assert out(host, "uname -r") == release
    assert out(host, "cat /proc/sys/kernel/osrelease") == release
    assert out(host, "python3 -c 'import platform; print(platform.release())'") == release
    assert f"/boot/vmlinuz-{release}" in out(host, "cat /proc/cmdline")
    assert "Debian" in out(host, "uname -v")


def test_hides_that_it_is_a_container(host: Host) -> None:
    assert out(host, "systemd-detect-virt --container || true") == "none"
    assert out(host, "systemctl is-system-running --wait") == "running"
    assert "container" not in out(host, "tr '\\0' '\\n' </proc/1/environ; ls /run/systemd /run")
    assert out(host, "ls -d /run/host /.dockerenv 2>/dev/null || true") == ""
    assert out(host, "stat -fc %T /sys/fs/cgroup") == "cgroup2fs"


def test_shows_the_pretend_device_to_a_plain_shell(host: Host) -> None:
    assert out(host, PCI) == "0000:00:1e.0 0x1eb8 nouveau"
    assert out(host, 'basename "$(readlink -f /sys/bus/pci/devices/0000:00:1e.0/driver)"') == "nouveau"


def test_modules_come_and_go_by_the_real_tools(host: Host) -> None:
    assert out(host, "modinfo -F name vfio_pci") == "vfio_pci"
    host.ssh("modprobe vfio_pci")
    assert "vfio_pci" in out(host, "lsmod; ls /sys/module; cut -d' ' -f1 /proc/modules").split()
    host.ssh("modprobe -r vfio_pci")
    assert "vfio_pci " not in out(host, "lsmod; cat /proc/modules")
    assert host.ssh("test -e /sys/module/vfio_pci", check=False).returncode == 1


def test_uptime_and_boot_id_are_the_hosts_own(host: Host) -> None:
    assert 0 < float(out(host, "cut -d' ' -f1 /proc/uptime")) < 1800
    assert out(host, "cat /proc/sys/kernel/random/boot_id") == host.boot_id()


def test_component_main_only_in_the_suites_own_format(host: Host) -> None:
    assert "non-free" not in out(host, "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true")
    is_old = host.spec.suite == "bookworm"
    assert (host.root / "etc/apt/sources.list").exists() is is_old
    assert (host.root / "etc/apt/sources.list.d/debian.sources").exists() is not is_old


def test_overlay_over_the_root_takes_packages(host: Host) -> None:
    script = """set -e
apt-get -q update >/dev/null
D=/var/lib/trial; mkdir -p $D/u $D/w $D/m
mount -t overlay overlay -o lowerdir=/,upperdir=$D/u,workdir=$D/w $D/m
mount -t proc proc $D/m/proc
chroot $D/m apt-get -q -y install --no-install-recommends hello >/dev/null
chroot $D/m hello; chroot $D/m uname -r
umount -R $D/m; rm -r $D
if test -e /usr/bin/hello; then echo leaked; fi"""
    assert out(host, script).splitlines() == ["Hello, world!", newest_kernel(host.root)]


def test_systemd_run_runs(host: Host) -> None:
    assert out(host, "systemd-run --quiet --wait --pipe echo done") == "done"


def test_snapshot_sees_a_changed_file_and_nothing_else(host: Host) -> None:
    host.put("/etc/bed-probe", "one\n")
    before = snapshot(host)
    host.ssh("uname -a; apt-cache policy bash; dpkg -l | wc -l; systemctl list-units >/dev/null; lsmod")
    assert diff(before, snapshot(host)) == []
    host.nsenter("touch -r /etc/bed-probe /run/stamp; echo two >/etc/bed-probe; touch -r /run/stamp /etc/bed-probe")
    changes = diff(before, snapshot(host))
    assert [line.split(":")[0] for line in changes] == ["~ /etc/bed-probe"]
    assert "digest" in changes[0]


def test_snapshot_sees_restarts_modules_and_touched_files(host: Host) -> None:
    before = snapshot(host)
    host.nsenter("systemctl restart systemd-journald; modprobe vfio_pci; touch /usr/bin/env")
    changes = "\n".join(diff(before, snapshot(host)))
    host.nsenter("modprobe -r vfio_pci")
    for name in ("~ service systemd-journald.service", "~ kernel modules", "~ /usr/bin/env"):
        assert name in changes


def test_counts_remote_commands(host: Host) -> None:
    before = host.count_commands()
    host.ssh("true")
    host.ssh("echo 'two\nlines'")
    host.nsenter("true")
    assert host.count_commands() - before == 2
    assert host.commands()[-1].endswith("echo 'two lines'")


def test_counts_sftp_as_one(host: Host, tmp_path: Path) -> None:
    before = host.count_commands()
    batch = f"get /etc/hostname {tmp_path}/a\nget /etc/hosts {tmp_path}/b\n"
    run(["sftp", *host.ssh_options(), "-b", "-", f"root@{host.address}"], text_in=batch)
    assert (tmp_path / "a").read_text() == f"{host.name}\n"
    assert host.count_commands() - before == 1


def test_exit_codes_and_input_pass_through_the_counter(host: Host) -> None:
    assert host.ssh("exit 7", check=False).returncode == 7
    assert host.ssh("cat", text_in="hello").stdout == "hello"


def test_real_pyinfra_reaches_it(host: Host, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path / "inventory.py", [host], {"note": "x"})
    before = host.count_commands()
    done = run_pyinfra(inventory, "fact", "server.Kernel")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Linux" in done.stdout + done.stderr
    assert host.count_commands() > before


def test_apt_accepts_the_key_and_refuses_the_strangers(host: Host, toolkit_repository: Repository) -> None:
    sources = "-o Dir::Etc::sourcelist=/etc/bed.list -o Dir::Etc::sourceparts=/dev/null"
    update = f"apt-get update {sources} -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any"
    host.put("/etc/bed.list", f"deb [signed-by=/etc/bed.asc] {toolkit_repository.url} /\n")
    host.put("/etc/bed.asc", toolkit_repository.stranger_key_path.read_text())
    refused = host.ssh(update, check=False)
    assert refused.returncode == 100, refused.stdout + refused.stderr
    host.put("/etc/bed.asc", toolkit_repository.key_path.read_text())
    host.ssh(update)
    assert "1.20.0-1" in out(host, f"apt-cache {sources} policy nvidia-container-toolkit")
    toolkit_repository.sign(STRANGER)
    try:
        assert host.ssh(update, check=False).returncode == 100
    finally:
        toolkit_repository.sign()
    host.ssh("rm /etc/bed.list /etc/bed.asc")


def test_reboot_is_a_new_boot_of_another_kernel_without_nouveau(host: Host) -> None:
    before = host.boot_id()
    host.put("/etc/modprobe.d/bed.conf", "blacklist nouveau\n")
    host.on_reboot(release="9.9.9-test", delay=1)
    assert out(host, "lsmod | grep -c '^nouveau '") == "1"
    host.reboot()
    assert host.boot_id() != before
    assert out(host, "uname -r") == "9.9.9-test"
    assert out(host, "lsmod | grep -c '^nouveau ' || true") == "0"
    assert out(host, PCI).endswith(" none")


def test_cut_and_refused(host: Host) -> None:
    host.refuse_ssh()
    assert "refused" in host.ssh("true", check=False).stderr
    host.accept_ssh()
    host.cut()
    assert not host.answers()
    host.mend()
    assert host.answers()


def test_a_reboot_can_be_the_last(make_host: MakeHost) -> None:
    host = make_host("bookworm", gpus="none")
    host.on_reboot(returns=False)
    with pytest.raises(BedError, match="SSH"):
        host.reboot(seconds=5)
    assert host.leader is None


def test_without_disguise_it_is_a_container(make_host: MakeHost) -> None:
    host = make_host("trixie", disguise=False)
    assert out(host, "systemd-detect-virt --container") == "systemd-nspawn"
    assert out(host, PCI).startswith("0000:00:1e.0 0x1eb8")


def test_identity_and_driver_are_choices(make_host: MakeHost) -> None:
    host = make_host("bookworm", gpus="hgx-h100", gpu_driver="vfio-pci", machine="aarch64", release="2.6.32-5-amd64")
    assert out(host, "uname -rm") == "2.6.32-5-amd64 aarch64"
    lines = out(host, PCI).splitlines()
    assert sum(line.endswith("0x2330 vfio-pci") for line in lines) == 8
    assert sum(line.endswith("0x22a3 none") for line in lines) == 4


def test_stand_ins_hold_for_every_common_reader(make_host: MakeHost) -> None:
    path = "/sys/firmware/efi/efivars/SecureBoot-x"
    host = make_host(
        "trixie",
        stand_ins={path: "\x06\0\0\0\x01"},
        hidden=("/proc/swaps",),
        refuse={"vfio_pci": 19},
        on_load={"vfio": {"/proc/driver/vfio/version": "1.2\n"}},
    )
    assert out(host, f"test -d /sys/firmware/efi && od -An -tu1 {path}").split() == ["6", "0", "0", "0", "1"]
    assert out(host, "find /sys/firmware/efi -type f; cd /sys/firmware/efi && ls efivars") == f"{path}\nSecureBoot-x"
    assert out(host, "python3 -c 'import os; print(os.listdir(\"/sys/firmware/efi\"))'") == "['efivars']"
    assert host.ssh("cat /proc/swaps", check=False).returncode == 1
    assert "No such device" in host.ssh("modprobe vfio_pci", check=False).stderr
    host.ssh("modprobe vfio")
    assert out(host, "cat /proc/driver/vfio/version") == "1.2"


def test_everything_goes_when_a_host_goes(bed: Bed) -> None:
    host = bed.make_host("bookworm", gpus="none")
    nspawn, supervisor = host.nspawn, host.supervisor
    assert nspawn is not None
    assert supervisor is not None
    host.remove()
    assert not nspawn.alive
    assert not supervisor.alive
    assert not host.folder.exists()
    assert host.name not in [other.name for other in bed.hosts()]
