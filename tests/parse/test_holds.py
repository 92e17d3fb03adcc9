"""Whose holds they are, as each manager notes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploys.knowledge.managers import HOLD_MARK, HOLD_PATTERN_END, IGNORE_MARK
from deploys.knowledge.paths import HOLDS_LEDGER
from deploys.operations.packages import SCRIPTS
from deploys.plan.machine import Hold
from facts import holds
from tests.parse.host import program, read_root, write

LEDGER = "# Written by gpu-host\nnvidia-a 3:580.1-1 2026-01-02\nold-format\n"
OURS = Hold("nvidia-a", True, "3:580.1-1", "2026-01-02")


def read(root: Path, *names: str, path: str | None = None) -> tuple[Hold, ...]:
    for name in names:
        path = program(root, name, "exit 0")
    found = read_root(holds.SUBJECT, root, path)
    assert isinstance(found, tuple)
    return found


def test_apt_where_the_ledger_alone_says_whose(tmp_path: Path) -> None:
    write(tmp_path, "/var/lib/dpkg/info/base-files.list")
    write(tmp_path, HOLDS_LEDGER, LEDGER)
    rows = r"printf 'hi  nvidia-a\nhi  old-format\nii  dkms\nhi  vim\nhc  gone\n'"
    found = read(tmp_path, path=program(tmp_path, "dpkg-query", rows))
    assert found == (Hold("gone"), OURS, Hold("old-format", True), Hold("vim"))


def test_list_of_dnf_4(tmp_path: Path) -> None:
    write(tmp_path, HOLDS_LEDGER, LEDGER)
    text = "# Added\nbash-0:5.1.8-9.el9.*\n!kernel-core-0:5.14-1.el9.*\nplain-name*\n# gpu-host keeps this version\nnvidia-a-3:580.1-1.?*\n"
    write(tmp_path, "/etc/dnf/plugins/versionlock.list", text)
    assert read(tmp_path, "rpm", "dnf") == (Hold("bash"), Hold("kernel-core"), OURS, Hold("plain-name*"))


def test_file_of_dnf_5(tmp_path: Path) -> None:
    write(tmp_path, HOLDS_LEDGER, LEDGER)
    block = '[[packages]]\nname = "{}"\ncomment = "{}"\n[[packages.conditions]]\nkey = "evr"\ncomparator = "="\nvalue = "5"\n'
    text = (
        'version = "1.0"\n'
        + block.format("bash", "mine")
        + block.format("nvidia-a", HOLD_MARK)
        + block.format("zsh", "")
    )
    write(tmp_path, "/etc/dnf/versionlock.toml", text)
    assert read(tmp_path, "rpm", "dnf5") == (Hold("bash"), OURS, Hold("zsh"))


def test_locks_of_zypper(tmp_path: Path) -> None:
    write(tmp_path, HOLDS_LEDGER, LEDGER)
    block = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n"
    text = block.format("kernel*") + block.format("nvidia-a") + f"comment: {HOLD_MARK}\n" + block.format("nvidia-a")
    write(tmp_path, "/etc/zypp/locks", text)
    assert read(tmp_path, "rpm", "zypper") == (Hold("kernel*"), Hold("nvidia-a"), OURS)


def test_configuration_of_pacman(tmp_path: Path) -> None:
    (tmp_path / "var/lib/pacman/local").mkdir(parents=True)
    write(tmp_path, HOLDS_LEDGER, LEDGER)
    write(
        tmp_path,
        "/etc/pacman.conf",
        f"[options]\n{IGNORE_MARK}\nIgnorePkg = nvidia-a b\nIgnorePkg=linux  zfs\n#IgnorePkg = x\n",
    )
    assert read(tmp_path, "pacman") == (Hold("b", True), Hold("linux"), OURS, Hold("zfs"))


@pytest.mark.parametrize("line", ["ledger nvidia-a 1 someday", "ledger nvidia-a 1 2026-1-2", "ledger nvidia-a"])
def test_day_that_cannot_be_read_is_unknown(line: str) -> None:
    (hold,) = holds.parse(f"looked\n{line}\nhold nvidia-a\n")
    assert (hold.ours, hold.since) == (True, "")


def test_words_by_which_ours_are_known_are_those_that_are_written() -> None:
    for script, words in (
        ("dnf", f"MARK='{HOLD_MARK}'"),
        ("dnf", f"OURS='{HOLD_PATTERN_END}'"),
        ("zypper", f"MARK='{HOLD_MARK}'"),
        ("pacman", f"MARK='{IGNORE_MARK}'"),
        ("common", f"LEDGER={HOLDS_LEDGER}\n"),
    ):
        assert words in (SCRIPTS / f"{script}.sh").read_text()
