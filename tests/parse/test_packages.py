"""Package database, locks, candidates and sources: recorded outputs, stand-in roots and a real lock."""

from __future__ import annotations

import base64
import fcntl
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deploys.plan.machine import Lock, Package, TextFile
from facts import candidates, locks, packages, sources
from facts.subject import Subject
from facts.text import Tagged
from tests.parse.host import program, read_root, section, write

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "package\tii \tdkms\t3.0.10-8\tall\n"


@pytest.mark.parametrize(
    ("text", "healthy", "problems"),
    [
        (f"manager apt\n{GOOD}listed 300\naudited 0\n", True, ()),
        (f"manager apt\n{GOOD}listed 300\naudit dpkg: warning: no such file\naudited 0\n", True, ()),
        (
            "manager apt\nunfinished iF  nvidia-open-kernel-dkms 550.163.01-2\nlisted 9\naudited 0\n",
            False,
            ("nvidia-open-kernel-dkms 550.163.01-2 is in state iF",),
        ),
        (
            "manager apt\nlisted 9\naudit The following packages are only half configured\naudited 0\n",
            False,
            ("The following packages are only half configured",),
        ),
        (
            "manager apt\nlisted 9\naudited 0\nupdate /var/lib/dpkg/updates/0001\n",
            False,
            ("an interrupted transaction left /var/lib/dpkg/updates/0001",),
        ),
        ("manager apt\nlisted 0\naudited 0\n", None, ()),
        (f"manager apt\n{GOOD}listed 300\n", None, ()),
        (f"manager dnf\n{GOOD}", None, ()),
    ],
    ids=["healthy", "warning", "half-configured", "audit", "interrupted", "empty", "no audit", "rpm"],
)
def test_health(text: str, healthy: bool | None, problems: tuple[str, ...]) -> None:
    found = packages.parse(text)
    assert (found.healthy, found.problems) == (healthy, problems)


def test_a_transaction_of_ours_that_was_cut_off_is_seen_by_its_notes() -> None:
    assert packages.parse(f"manager apt\ncut-off\n{GOOD}listed 300\naudited 0\n").cut_off
    assert not packages.parse(f"manager apt\n{GOOD}listed 300\naudited 0\n").cut_off


def test_packages_by_name() -> None:
    lines = [
        "package\thi \tdocker.io\t26.1.5\tamd64",
        "package\tii \tlibcuda1\t550-1\ti386",
        "package\tii \tlibcuda1\t550-2\tamd64",
    ]
    lines += [
        "package\tiHR\tdkms\t3\tall",
        "package\trc \tnvidia-smi\t535\tamd64",
        "package\tXX \tbad\t1\tall",
        "package\tii \t\t1\tall",
    ]
    found = packages.parse("\n".join(lines))
    assert found.installed["libcuda1"] == Package("libcuda1", "550-2", "ii ", "amd64")
    assert found.installed["dkms"].status == "iHR"
    assert (found.version("docker.io"), found.version("nvidia-smi"), found.version("dkms")) == ("26.1.5", None, None)
    assert "bad" not in found.installed


DPKG = (
    r"printf 'ii \tdkms\t3.0.10\tall\nii \tlibc6\t2.36\tamd64\nrc \tnvidia-smi\t535\tamd64\nun \tnvidia-driver\t\t\n"
    r"hi \tdocker.io\t20.10\tamd64\niF \tsudo\t1.9\tamd64\niW \tman-db\t2.11\tamd64\n'"
)


def test_the_debian_fragment_lists_what_matters_and_what_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "/var/lib/dpkg/info/base-files.list")
    program(tmp_path, "dpkg", "exit 0")
    found = read_root(packages.SUBJECT, tmp_path, program(tmp_path, "dpkg-query", DPKG))
    assert found.manager == "apt"
    assert list(found.installed) == ["dkms", "docker.io", "man-db", "nvidia-smi", "sudo"]
    assert found.problems == ("sudo 1.9 is in state iF", "man-db 2.11 is in state iW")


def test_the_rpm_fragment(tmp_path: Path) -> None:
    program(tmp_path, "dnf", "exit 0")
    rows = r"printf 'package\tii \tkernel-devel\t5.14.0-503.el9\tx86_64\npackage\tii \tbash\t5.1-9\tx86_64\n'"
    found = read_root(packages.SUBJECT, tmp_path, program(tmp_path, "rpm", rows))
    assert (found.manager, found.version("kernel-devel")) == ("dnf4", "5.14.0-503.el9")
    assert list(found.installed) == ["kernel-devel"]


def test_the_pacman_fragment(tmp_path: Path) -> None:
    (tmp_path / "var/lib/pacman/local").mkdir(parents=True)
    rows = "echo 'nvidia-utils 550.78-1'; echo 'bash 5.2-1'; echo 'linux-headers 6.9.7.arch1-1'"
    found = read_root(packages.SUBJECT, tmp_path, program(tmp_path, "pacman", rows))
    assert (found.manager, found.version("nvidia-utils")) == ("pacman", "550.78-1")
    assert list(found.installed) == ["linux-headers", "nvidia-utils"]


POLICY = """asked docker.io
asked nvidia-smi
asked ghost
policy docker.io:
policy   Installed: 20.10.24+dfsg1-1+deb12u1
policy   Candidate: 20.10.24+dfsg1-1+deb12u1+b6
policy   Version table:
policy      20.10.24+dfsg1-1+deb12u1+b6 500
policy         500 http://deb.example.org/debian bookworm/main amd64 Packages
policy  *** 20.10.24+dfsg1-1+deb12u1 500
policy         500 http://deb.example.org/debian-security bookworm-security/main amd64 Packages
policy         100 /var/lib/dpkg/status
policy cuda-drivers:
policy   Installed: 570.133.20-1
policy   Candidate: 570.133.20-1
policy   Version table:
policy  *** 570.133.20-1 100
policy         100 /var/lib/dpkg/status
policy nvidia-smi:
policy   Installed: (none)
policy   Candidate: (none)
policy   Version table:
policy      535.261.03-1 -1
policy         500 http://deb.example.org/debian bookworm/non-free amd64 Packages
answered
"""


def test_candidates_origins_and_versions() -> None:
    found = candidates.parse(POLICY)
    assert found.candidates == {
        "docker.io": "20.10.24+dfsg1-1+deb12u1+b6",
        "nvidia-smi": "",
        "ghost": "",
        "cuda-drivers": "570.133.20-1",
    }
    assert found.origins == {
        "docker.io": ("http://deb.example.org/debian-security bookworm-security/main amd64 Packages",),
        "cuda-drivers": (),
    }
    assert found.available["docker.io"] == ("20.10.24+dfsg1-1+deb12u1+b6", "20.10.24+dfsg1-1+deb12u1")
    assert found.available["cuda-drivers"] == ()
    assert found.available["nvidia-smi"] == ("535.261.03-1",)


def test_an_index_that_did_not_answer_offers_nothing() -> None:
    assert candidates.parse(POLICY.replace("answered", "")) == candidates.Candidates()


INODES = "file 66306 1311 /var/lib/dpkg/lock-frontend\nfile 66306 1440 /var/lib/apt/lists/lock\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "lock 1: POSIX  ADVISORY  WRITE 812 103:02:1311 0 EOF\nprocess 812 /usr/bin/apt-get install \n",
            (Lock("/var/lib/dpkg/lock-frontend", 812, "/usr/bin/apt-get install"),),
        ),
        ("lock 1: POSIX  ADVISORY  WRITE 812 103:02:1311 0 EOF\n", (Lock("/var/lib/dpkg/lock-frontend", 812),)),
        ("lock 1: POSIX  ADVISORY  WRITE 812 103:02:1311 0 EOF\ngone 812\n", ()),
        ("lock 1: -> POSIX  ADVISORY  WRITE 813 103:02:1311 0 EOF\n", ()),
        ("lock 1: POSIX  ADVISORY  WRITE 812 00:1f:1311 0 EOF\nprocess 812 /usr/sbin/cron -f\n", ()),
        (
            "lock 1: POSIX  ADVISORY  WRITE 812 00:1f:1440 0 EOF\nprocess 812 /usr/bin/python3 /usr/bin/unattended-upgrade\n",
            (Lock("/var/lib/apt/lists/lock", 812, "/usr/bin/python3 /usr/bin/unattended-upgrade"),),
        ),
        ("exists /var/lib/pacman/db.lck\n", (Lock("/var/lib/pacman/db.lck"),)),
        (
            "lock 1: POSIX  ADVISORY  WRITE 812 00:31:1311 0 EOF\nprocess 812 apt-get -q -y \nstep 812 rehearsal\n",
            (Lock("/var/lib/dpkg/lock-frontend", 812, "apt-get -q -y", "rehearsal"),),
        ),
    ],
    ids=[
        "held",
        "holder is unknown",
        "holder is gone",
        "waiting only",
        "same inode elsewhere",
        "btrfs",
        "pacman",
        "a step of ours",
    ],
)
def test_locks(lines: str, expected: tuple[Lock, ...]) -> None:
    assert (
        locks.parse(INODES + lines.replace("103:02", "103:02".replace("103", f"{66306 >> 8 & 0xFFF:02x}"))) == expected
    )


def test_a_lock_that_is_really_held_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, "/var/lib/dpkg/lock-frontend")
    real = replace(locks.SUBJECT, script=locks.SUBJECT.script.replace("/var/lib/dpkg", f"{tmp_path}/var/lib/dpkg"))
    assert locks.parse(section(real).text) == ()
    with path.open("w") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        (found,) = locks.parse(section(real).text)
    assert (found.path, "py" in (found.command or "")) == (str(path), True)


@pytest.mark.parametrize(
    "content",
    [
        "deb http://deb.example.org/debian trixie main\n",
        "deb http://x.example y z",
        "",
        "# Größe\r\ndeb [trusted=no] cdrom:// x\n",
        "\n\n# > file /etc/x 3 plain\n",
    ],
    ids=["plain", "no last newline", "empty", "not ASCII", "looks like a header"],
)
def test_sources_travel_whole(tmp_path: Path, content: str) -> None:
    write(tmp_path, "/etc/apt/sources.list", content)
    write(tmp_path, "/etc/apt/sources.list.d/b.sources", "Types: deb\n")
    write(tmp_path, "/etc/apt/sources.list.d/old.list.save", "deb x\n")
    assert read_root(sources.SUBJECT, tmp_path) == (
        TextFile("/etc/apt/sources.list", content),
        TextFile("/etc/apt/sources.list.d/b.sources", "Types: deb\n"),
    )


def test_a_source_that_lost_a_byte_or_is_binary_or_huge_is_unknown(tmp_path: Path) -> None:
    assert sources.parse("file /etc/a.list 4 plain\n> deb\n") == (TextFile("/etc/a.list", "deb\n"),)
    assert sources.parse("file /etc/a.list 4 plain\n> de\n") == (TextFile("/etc/a.list", None),)
    latin = base64.b64encode("Größe".encode("latin-1")).decode()
    assert sources.parse(f"file /etc/a.list 5 base64\n> {latin}\n") == (TextFile("/etc/a.list", None),)
    write(tmp_path, "/etc/apt/sources.list", "#" * 40_000)
    assert read_root(sources.SUBJECT, tmp_path) == (TextFile("/etc/apt/sources.list", None),)


@pytest.mark.parametrize("step", ["", "transaction"])
def test_dnf_that_works_is_seen_by_its_pid_file(tmp_path: Path, step: str) -> None:
    """dnf 4 writes its number without a newline. A step of ours is known by its unit."""
    write(tmp_path, "/proc/locks")
    write(tmp_path, "/proc/77/cmdline", b"/usr/bin/python3\0/usr/bin/dnf\0upgrade\0")
    write(tmp_path, "/proc/77/cgroup", f"0::/system.slice/{f'gpu-host-{step}' if step else 'crond'}.service\n")
    write(tmp_path, "/var/lib/dnf/metadata_lock.pid", "77")
    expected = Lock("/var/lib/dnf/metadata_lock.pid", 77, "/usr/bin/python3 /usr/bin/dnf upgrade", step)
    assert read_root(locks.SUBJECT, tmp_path) == (expected,)


def test_files_travel_whole_whatever_they_hold(tmp_path: Path) -> None:
    """Together, by the same processes: text, a name with a space and a quote, no last newline, NUL bytes, nothing, too much, no file."""
    contents = {
        "plain": b"a\n\nb\n",
        "it's one": b"no newline",
        "nul": b"a\0b\n",
        "wide": "K\u00f6ln\r\n".encode(),
        "empty": b"",
    }
    for name, content in contents.items():
        write(tmp_path, f"/{name}", content)
    write(tmp_path, "/big", b"x" * 101)
    (tmp_path / "folder").mkdir()
    names = " ".join(shlex.quote(f"{tmp_path}/{name}") for name in [*contents, "big", "folder", "absent"])
    text = section(Subject("files", f"show 100 {names}", str, "")).text
    found = {file.path.rpartition("/")[2]: file.content for file in Tagged(text).files()}
    assert found == {**{name: content.decode() for name, content in contents.items()}, "big": None, "folder": None}
