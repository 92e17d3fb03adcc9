"""The judgement inside the dnf scripts, on recorded simulations of dnf 4 and dnf 5; the scripts as a whole run on booted hosts."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from deploys.knowledge.managers import DNF
from deploys.operations.packages import FAMILY, SCRIPTS

MANAGERS = ("dnf4", "dnf5")

# dnf 4.23 on a terminal of 80 columns: a long name takes a line of its own, names are coloured, a size of nothing has no unit.
DNF4 = """\
Last metadata expiration check: 0:00:01 ago on Wed Nov 25 11:46:34 2026.
Package nvidia-persistenced-3:580.126.09-1.el9.x86_64 is already installed.
Dependencies resolved.
================================================================================
 Package                   Arch     Version              Repository        Size
================================================================================
Installing:
 a-package-with-a-very-long-name-that-any-terminal-would-wrap-over-two-lines
                           x86_64   1.2.3-4.el9          baseos           5.7 k
 \x1b[1m\x1b[32mkmod-nvidia-open-dkms    \x1b(B\x1b[m x86_64   3:580.126.09-1.el9   gpu-host-cuda    5.6 k
Installing dependencies:
 nvidia-modprobe           x86_64   3:580.126.09-1.el9   gpu-host-cuda    5.5 k
Removing dependent packages:
 kmod-nvidia-latest-dkms   x86_64   3:595.58.03-1.el9    @gpu-host-cuda     0  
Downgrading:
 nvidia-driver-cuda        x86_64   3:580.126.09-1.el9   gpu-host-cuda    5.7 k
 nvidia-driver-cuda-libs   x86_64   3:580.126.09-1.el9   gpu-host-cuda    5.5 k
Enabling module streams:
 nvidia-driver                      580-open                                   

Transaction Summary
================================================================================
Install    3 Packages
Remove     1 Package
Downgrade  2 Packages

Total download size: 28 k
Operation aborted.
"""  # noqa: W291  as dnf prints it

DNF5 = """\
Updating and loading repositories:
Repositories loaded.
Package "nvidia-persistenced-3:580.126.09-1.el9.x86_64" is already installed.

Package                              Arch   Version            Repository         Size
Removing dependent packages:
 kmod-nvidia-latest-dkms             x86_64 3:595.58.03-1.el9  gpu-host-cuda   0.0   B
Downgrading:
 nvidia-driver-cuda                  x86_64 3:580.126.09-1.el9 gpu-host-cuda   0.0   B
   replacing nvidia-driver-cuda      x86_64 3:595.58.03-1.el9  gpu-host-cuda   0.0   B
 nvidia-driver-cuda-libs             x86_64 3:580.126.09-1.el9 gpu-host-cuda   0.0   B
   replacing nvidia-driver-cuda-libs x86_64 3:595.58.03-1.el9  gpu-host-cuda   0.0   B
Installing:
 a-package-with-a-very-long-name-that-any-terminal-would-wrap-over-two-lines x86_64 0:1.2.3-4.el9      baseos          0.0   B
 kmod-nvidia-open-dkms               x86_64 3:580.126.09-1.el9 gpu-host-cuda   0.0   B
Installing dependencies:
 nvidia-modprobe                     x86_64 3:580.126.09-1.el9 gpu-host-cuda   0.0   B

Transaction Summary:
 Installing:         3 packages
 Replacing:          2 packages
 Removing:           1 package
 Downgrading:        2 packages

Total size of inbound packages is 28 KiB. Need to download 28 KiB.
After this operation, 0 B extra will be used (install 0 B, remove 0 B).
Operation aborted by the user.
"""
GOOD = {"dnf4": DNF4, "dnf5": DNF5}
NOTHING = {
    "dnf4": "Package bash-5.1.8-9.el9.x86_64 is already installed.\nDependencies resolved.\nNothing to do.\nComplete!\n",
    "dnf5": 'Package "bash-5.1.8-9.el9.x86_64" is already installed.\n\nNothing to do.\n',
}
# Rows of both, put in front of the good simulation.
DANGEROUS = {
    "dnf4": {
        "kernel": "Upgrading:\n kernel-core    x86_64   5.14.0-570.el9   baseos    5.5 k\n",
        "ssh": "Removing dependent packages:\n openssh-server    x86_64   8.7p1-43.el9   @baseos    0  \n",
        "replaced": "Installing:\n other-ssh  x86_64  1-1.el9  baseos  5.5 k\n     replacing  openssh-server.x86_64 8.7p1-43.el9\n",
        "by ours": "Installing:\n asked-for  x86_64  1-1.el9  baseos  5.5 k\n     replacing  openssh-server.x86_64 8.7p1-43.el9\n",
        "foreign": "Installing:\n other  x86_64  1-1.el9  baseos  5.5 k\n     replacing  mariadb.x86_64 3:10-1.el9\n",
    },
    "dnf5": {
        "kernel": "Upgrading:\n kernel-core x86_64 0:5.14.0-570.el9 baseos 0.0 B\n   replacing kernel-core x86_64 0:5.14.0-503.el9 baseos 0.0 B\n",
        "ssh": "Removing dependent packages:\n openssh-server x86_64 0:8.7p1-43.el9 baseos 0.0   B\n",
        "replaced": "Installing:\n other-ssh x86_64 0:1-1.el9 baseos 0.0   B\n   replacing openssh-server x86_64 0:8.7p1-43.el9 baseos 0.0   B\n",
        "by ours": "Installing:\n asked-for x86_64 0:1-1.el9 baseos 0.0   B\n   replacing openssh-server x86_64 0:8.7p1-43.el9 baseos 0.0   B\n",
        "foreign": "Installing:\n other x86_64 0:1-1.el9 baseos 0.0   B\n   replacing mariadb x86_64 3:10-1.el9 baseos 0.0   B\n",
    },
}
WORDS = {
    "kernel": "reachable: kernel-core",
    "ssh": "would remove: openssh-server",
    "replaced": "would remove: openssh-server",
    "by ours": "reachable: openssh-server",
    "foreign": "would remove: mariadb",
}


def shell(
    tmp_path: Path, manager: str, commands: str, simulation: str = "", code: int = 1, **more: str
) -> tuple[int, str]:
    """Exit status and output of `commands` after the scripts, where dnf prints `simulation` and ends with `code`."""
    (tmp_path / "said").write_text(simulation)
    values = {
        "PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin",
        "SCRATCH": str(tmp_path),
        "STATE_DIR": str(tmp_path),
        "MANAGER": manager,
        "LOCK_WAIT": "0",
        "MAY_REMOVE": DNF.may_remove,
        "MUST_STAY": DNF.must_stay,
        "PACKAGES": "kmod-nvidia-open-dkms-580.* asked-for-1.*",
        "SAME_VERSION": "kmod-nvidia-open-dkms nvidia-driver-cuda",
        **dict.fromkeys(("PINS", "STREAM", "ENABLE", "HOLDS"), ""),
        **more,
    }
    dnf = "".join((SCRIPTS / f"{part}.sh").read_text() for part in FAMILY[manager])
    dnf = dnf.removesuffix("wait_for_lock\n")  # this machine's own locks are no part of it
    fake = f"wait_for_lock() {{ :; }}\ndnf_once() {{ cat {tmp_path}/said; return {code}; }}\nm_version() {{ :; }}"
    head = "\n".join(f"{key}={shlex.quote(value)}" for key, value in values.items())
    script = "\n".join([head, (SCRIPTS / "common.sh").read_text(), dnf, fake, commands])
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def judge(tmp_path: Path, manager: str, simulation: str, code: int = 1) -> tuple[int, str]:
    return shell(tmp_path, manager, "simulate x && same_version && echo allowed", simulation, code)


@pytest.mark.parametrize("manager", MANAGERS)
def test_every_change_of_a_simulation_is_read(tmp_path: Path, manager: str) -> None:
    code, text = shell(tmp_path, manager, "m_simulate $SCRATCH/out x && m_changes $SCRATCH/out", GOOD[manager])
    assert code == 0
    assert sorted(text.splitlines()) == [
        "install a-package-with-a-very-long-name-that-any-terminal-would-wrap-over-two-lines 1.2.3-4.el9",
        "install kmod-nvidia-open-dkms 3:580.126.09-1.el9",
        "install nvidia-modprobe 3:580.126.09-1.el9",
        "remove kmod-nvidia-latest-dkms 3:595.58.03-1.el9",
        "upgrade nvidia-driver-cuda 3:580.126.09-1.el9",
        "upgrade nvidia-driver-cuda-libs 3:580.126.09-1.el9",
    ]


@pytest.mark.parametrize("manager", MANAGERS)
def test_other_branch_and_flavour_of_the_driver_is_allowed(tmp_path: Path, manager: str) -> None:
    code, text = judge(tmp_path, manager, GOOD[manager])
    assert code == 0
    assert text.splitlines() == ["@@ replaces other packages of the driver: kmod-nvidia-latest-dkms", "allowed"]


@pytest.mark.parametrize("manager", MANAGERS)
def test_nothing_to_do_is_no_change(tmp_path: Path, manager: str) -> None:
    assert judge(tmp_path, manager, NOTHING[manager], 0) == (0, "allowed\n")


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("manager", MANAGERS)
def test_dangerous_simulation_is_refused_by_name(tmp_path: Path, manager: str, kind: str) -> None:
    code, text = judge(tmp_path, manager, DANGEROUS[manager][kind] + GOOD[manager])
    assert code == 1
    assert WORDS[kind] in text
    assert "allowed" not in text


@pytest.mark.parametrize(
    "name",
    [
        "kernel",
        "kernel-modules",
        "kernel-modules-core",
        "kernel-uek",
        "kernel-uek-core",
        "kernel6.12",
        "kernel-64k-core",
    ],
)
def test_kernels_of_every_flavour_stay(tmp_path: Path, name: str) -> None:
    rows = f"Installing dependencies:\n {name}    x86_64   6.12.1-1.el9   baseos    5.5 k\n"
    assert f"reachable: {name} " in judge(tmp_path, "dnf4", rows + DNF4)[1]


@pytest.mark.parametrize("name", ["kernel-devel", "kernel-uek-devel", "kernel6.12-devel", "kernel-modules-extra"])
def test_what_a_module_is_built_with_may_come(tmp_path: Path, name: str) -> None:
    """Amazon Linux keeps modules that the driver needs in an extra package; one for another kernel brings that kernel along."""
    rows = f"Installing dependencies:\n {name}    x86_64   6.12.1-1.el9   baseos    5.5 k\n"
    assert judge(tmp_path, "dnf4", rows + DNF4)[0] == 0


@pytest.mark.parametrize("manager", MANAGERS)
def test_what_a_package_of_ours_replaces_may_go(tmp_path: Path, manager: str) -> None:
    """As Docker's containerd.io replaces the distribution's runc."""
    text = DANGEROUS[manager]["foreign"].replace(" other ", " asked-for ")
    assert judge(tmp_path, manager, text + GOOD[manager])[0] == 0


@pytest.mark.parametrize("manager", MANAGERS)
def test_modules_and_libraries_of_two_versions_are_refused(tmp_path: Path, manager: str) -> None:
    mixed = GOOD[manager].replace(
        "x86_64   3:580.126.09-1.el9   gpu-host-cuda    5.6 k", "x86_64 3:595.45.04-1.el9 c 1 k"
    )
    mixed = mixed.replace(
        "kmod-nvidia-open-dkms               x86_64 3:580.126.09", "kmod-nvidia-open-dkms x86_64 3:595.45.04"
    )
    code, text = judge(tmp_path, manager, mixed)
    assert code == 1
    assert "kmod-nvidia-open-dkms=595.45.04 nvidia-driver-cuda=580.126.09" in text


@pytest.mark.parametrize(
    ("manager", "said"),
    [
        ("dnf4", "No match for argument: nope\nError: Unable to find a match: nope\n"),
        ("dnf5", "Failed to resolve the transaction:\nNo match for argument: nope\n"),
        ("dnf4", DNF4.replace("Downgrading:", "Skipping packages with conflicts:")),
        ("dnf5", DNF5.replace("Downgrading:\n", "Skipping packages with broken dependencies:\n")),
    ],
)
def test_what_cannot_be_installed_shows_what_dnf_says(tmp_path: Path, manager: str, said: str) -> None:
    """The exit status is that of a simulation which nobody confirmed."""
    code, text = judge(tmp_path, manager, said)
    assert code == 1
    assert said.splitlines()[1] in text
    assert "cannot be installed together" in text


def test_keys_from_the_network_are_not_accepted(tmp_path: Path) -> None:
    """A repository of somebody else keeps its key files; one of ours may not be skipped."""
    repositories = (
        "[ours]\ngpgkey=file:///etc/pki/a\n  https://example.invalid/key\n[theirs]\n#gpgkey=x\ngpgkey = http://example.invalid/k\n"
        "[plain]\ngpgkey=file:///etc/pki/a,file:///etc/pki/b\n[gpu-host-cuda]\ngpgkey=file:///etc/pki/c\n"
    )
    code, text = shell(tmp_path, "dnf4", f"inside() {{ cat {tmp_path}/said; }}\nrepository_options", repositories)
    assert code == 0
    assert sorted(text.splitlines()) == [
        "--setopt=gpu-host-cuda.skip_if_unavailable=0",
        "--setopt=ours.gpgkey=file:///etc/pki/a",
        "--setopt=theirs.gpgkey=",
    ]


FOREIGN = {
    "dnf4": "# Added lock on Wed Nov 25\nbash-0:5.1.8-9.el9.*\n!kernel-core-0:5.*\n",
    "dnf5": 'version = "1.0"\n\n[[packages]]\nname = "bash"\ncomment = "Added"\n\n[[packages.conditions]]\nkey = "evr"\ncomparator = "="\nvalue = "5"\n',
}


@pytest.mark.parametrize("manager", MANAGERS)
def test_foreign_locks_are_kept_and_ours_follow_the_version(tmp_path: Path, manager: str) -> None:
    locks = tmp_path / "locks.d" / "list"
    locks.parent.mkdir()
    locks.write_text(FOREIGN[manager])
    hold = f"LOCKS={locks}; m_version() {{ echo 3:$VERSION-1.el9; }}; m_hold"
    for version in ("580.126.09", "580.159.03"):
        assert shell(tmp_path, manager, hold, HOLDS="nvidia-driver-cuda", VERSION=version) == (0, "")
        text = locks.read_text()
        assert text.startswith(FOREIGN[manager])
        assert text.count("nvidia-driver-cuda") == 1
        assert text.count(version) == 1
    assert shell(tmp_path, manager, f"LOCKS={locks}; m_hold") == (0, "")
    assert locks.read_text() == FOREIGN[manager]


def test_our_locks_are_known_when_dnf_has_dropped_the_comments(tmp_path: Path) -> None:
    locks = tmp_path / "list"
    locks.write_text("bash-0:5.1.8-9.el9.*\nnvidia-driver-cuda-3:580.126.09-1.el9.?*\n")
    assert shell(tmp_path, "dnf4", f"LOCKS={locks}; foreign_locks") == (0, "bash-0:5.1.8-9.el9.*\n")


@pytest.mark.parametrize("manager", MANAGERS)
def test_no_file_of_locks_is_made_for_nothing(tmp_path: Path, manager: str) -> None:
    assert (
        shell(tmp_path, manager, f"LOCKS={tmp_path}/locks; m_hold; ls {tmp_path}/locks 2>&1 | grep -c cannot")[1]
        == "1\n"
    )


@pytest.mark.parametrize("manager", MANAGERS)
def test_stream_is_noted_by_the_run_that_takes_a_transaction_up(tmp_path: Path, manager: str) -> None:
    """Cut off between the packages and the note; the plan of the next run finds the driver there, and asks for no stream."""
    version = "m_version() { echo 3:580.178.04-1.el9; }"
    begin = f'mkdir -p "$NOTES"; choose_stream() {{ :; }}; {version}; m_prepare'
    shell(tmp_path, manager, begin, STREAM="nvidia-driver:580-dkms", HOLDS="nvidia-driver-cuda")
    assert not (tmp_path / "stream-of").exists()
    for stream in ("", "nvidia-driver:580-dkms"):
        shell(tmp_path, manager, f"{version}; m_prepare; m_came", STREAM=stream, HOLDS="nvidia-driver-cuda")
        assert (tmp_path / "stream-of").read_text() == "580.178.04 nvidia-driver:580-dkms\n"
