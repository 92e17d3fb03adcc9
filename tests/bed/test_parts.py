"""The parts of the test hosts that can be judged without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bed import pci
from tests.bed.shell import BedError, run
from tests.bed.snapshot import Entry, diff
from tests.bed.sources import Archive, choose, deb822, one_line
from tests.bed.sources import Entry as Source
from tests.bed.spec import Spec, load_spec, save
from tests.bed.world import blocks_nouveau, newest_kernel

STANZAS = """\
# the machine's
Types: deb deb-src
URIs: http://mirror.invalid/debian/
Suites: trixie trixie-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: trixie

Types: deb
URIs: http://mirror.invalid/security
Suites:
 trixie-security
Components: main
"""


def test_reads_both_formats_of_sources() -> None:
    lines = "deb [arch=amd64 signed-by=/x y] http://a.invalid/debian/ bookworm main # note\n#deb http://b.invalid x y\n"
    assert list(one_line(lines)) == [Source("http://a.invalid/debian", "bookworm")]
    assert list(deb822(STANZAS)) == [
        Source("http://mirror.invalid/debian", "trixie"),
        Source("http://mirror.invalid/debian", "trixie-updates"),
        Source("http://mirror.invalid/security", "trixie-security"),
    ]


def test_chooses_the_archive_and_not_a_vendor() -> None:
    entries = [Source("http://vendor.invalid", "cloud-sdk-bookworm"), *deb822(STANZAS)]
    assert choose(entries) == Archive("http://mirror.invalid/debian", "http://mirror.invalid/security")
    with pytest.raises(BedError, match="security archive none"):
        choose(entries[:2])


def test_newest_kernel_by_number_not_by_text(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    for release in ("6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-5-amd64"):
        (tmp_path / "boot" / f"vmlinuz-{release}").touch()
    assert newest_kernel(tmp_path) == "6.1.0-56-amd64"
    assert newest_kernel(tmp_path / "boot") == ""


@pytest.mark.parametrize(
    ("text", "arguments", "blocked"),
    [
        ("blacklist nouveau\n", "", True),
        ("install nouveau /bin/false\n", "", True),
        ("# blacklist nouveau\n", "", False),
        ("blacklist nouveaux\n", "", False),
        ("options nouveau modeset=0\n", "", False),
        ("", "quiet modprobe.blacklist=snd,nouveau", True),
        ("", "quiet modprobe.blacklist=snd", False),
    ],
)
def test_what_keeps_nouveau_out(tmp_path: Path, text: str, arguments: str, *, blocked: bool) -> None:
    (tmp_path / "etc/modprobe.d").mkdir(parents=True)
    (tmp_path / "etc/modprobe.d/x.conf").write_text(text)
    assert blocks_nouveau(tmp_path, arguments) is blocked


def test_a_file_in_etc_hides_its_namesake_in_usr(tmp_path: Path) -> None:
    for folder, text in (("usr/lib/modprobe.d", "blacklist nouveau\n"), ("etc/modprobe.d", "")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.conf").write_text(text)
    assert not blocks_nouveau(tmp_path, "")


def test_pci_folder_reads_like_sysfs(tmp_path: Path) -> None:
    pci.write_bus(tmp_path, pci.functions("gtx1080", "vfio-pci"))
    devices = tmp_path / "devices"
    assert sorted(path.name for path in devices.iterdir()) == ["0000:00:00.0", "0000:01:00.0", "0000:01:00.1"]
    card, audio = devices / "0000:01:00.0", devices / "0000:01:00.1"
    assert (card / "class").read_text() == "0x030000\n"
    assert (card / "driver").resolve() == tmp_path / "drivers/vfio-pci"
    assert (tmp_path / "drivers/vfio-pci/0000:01:00.0/device").read_text() == "0x1b80\n"
    assert not (audio / "driver").is_symlink()
    assert (card / "config").read_bytes()[:4] == b"\xde\x10\x80\x1b"


def test_spec_survives_its_file(tmp_path: Path) -> None:
    spec = Spec("a", "trixie", hidden=("/proc/x",), refuse={"nvidia": 5}, on_load={"nvidia": {"/proc/y": "z"}})
    save(tmp_path / "spec.json", spec)
    assert load_spec(tmp_path / "spec.json") == spec


def test_diff_names_what_changed() -> None:
    one, two = Entry("file", 0o644, "0:0", 1, 3, "aa"), Entry("file", 0o600, "0:0", 1, 3, "aa")
    assert diff({"/a": one, "/b": one}, {"/a": one, "/b": one}) == []
    assert diff({"/a": one, "/b": one}, {"/a": two, "/c": one}) == [
        "~ /a: mode 420 -> 384",
        "- /b (file)",
        "+ /c (file) aa",
    ]


def test_a_command_that_hangs_is_an_error() -> None:
    with pytest.raises(BedError, match="no end within"):
        run(["sleep", "5"], timeout=0.1)
