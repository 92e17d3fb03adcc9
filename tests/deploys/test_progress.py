"""Progress of a real run: a live block on a terminal that nothing printed is lost to, lines elsewhere, times in the result."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from deploys.support.reports import to_json
from tests.plan.fleet import fleet

ROOT = Path(__file__).resolve().parents[2]
ROWS, COLUMNS = 16, 100
# Recorded hosts that take their time to answer.
INVENTORY = """
from inventories.lab import bare as _bare
slow = [(f"@fake/slow-{n}", {**dict(_bare)["@fake/bare-t4"], "fake_delay": 2.5, "fake_delay_jitter": 0}) for n in range(COUNT)]
"""


def command(folder: Path, count: int) -> list[str]:
    (folder / "inventory.py").write_text(INVENTORY.replace("COUNT", str(count)))
    earlier = fleet(2, states=("ready",))
    for host in earlier["hosts"]:
        host["timings"] = [{"step": "Read the host", "started": 0, "seconds": 77.0, "changed": False, "result": "ok"}]
    (folder / "run-0.json").write_text(to_json(earlier))
    return [
        sys.executable, "-m", "deploys.support.front", str(folder / "inventory.py"), f"{ROOT}/deploys/preflight.py",
        "--data", f"gpu_report_dir={folder}",
    ]  # fmt: skip


class Screen:
    """As much of a terminal as the run uses: printing, line feeds, and the moves and clears of the live block."""

    def __init__(self) -> None:
        self.lines, self.row, self.column = [""], 0, 0

    def write(self, text: str) -> None:
        for move, number, letter, piece in re.findall(r"(\x1b\[(\d*)([A-Za-z]))|([^\x1b]+)", text):
            if move:
                self._move(int(number or 1), letter)
            else:
                for character in piece:
                    self._put(character)

    def _move(self, number: int, letter: str) -> None:
        if letter == "A":
            assert self.row >= number, "the cursor leaves the screen"
            self.row -= number
        elif letter in "JK":
            self.lines[self.row] = self.lines[self.row][: self.column]
            if letter == "J":
                del self.lines[self.row + 1 :]
        else:
            assert letter == "m", letter

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
            assert self.column < COLUMNS or "--->" not in line, "a line of the block wraps"


def on_a_terminal(words: list[str], folder: Path) -> tuple[str, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    return b"".join(pieces).decode(), run.wait(60)


def test_terminal_has_a_live_line_per_host(tmp_path: Path) -> None:
    text, code = on_a_terminal(command(tmp_path, 30), tmp_path)
    assert code == 0, text[-3000:]
    assert re.search(r"@fake/slow-\d+ +Read the host +\d s of about 1 min 17 s", text)
    assert "more hosts" in text, "thirty hosts, sixteen lines"
    assert "still running" not in text
    blocks = re.findall(r"\r\x1b\[(\d+)A", text)
    assert blocks
    assert max(map(int, blocks)) < ROWS - 2
    screen = Screen()
    screen.write(text)
    left = "\n".join(screen.lines)
    assert "Read the host" not in left, "nothing of the block stays"
    for number in range(30):
        assert f"@fake/slow-{number}: Debian 12 (bookworm)" in left, "and nothing else is lost"
    assert "30 passed" in left


def test_log_has_a_line_while_something_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, 3), cwd=tmp_path, env={**os.environ, "GPU_HOST_BEAT": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(
        r"still running: Read the host \(\d s of about 1 min 17 s\): @fake/slow-0, @fake/slow-1, @fake/slow-2",
        done.stderr,
    )
    assert "\x1b[J" not in done.stderr
    found = json.loads((tmp_path / "latest.json").read_text())
    for host in found["hosts"]:
        (timing,) = host["timings"]
        assert (timing["step"], timing["result"], timing["changed"]) == ("Read the host", "ok", False)
        assert 2 < timing["seconds"] < 60


def test_lines_come_often_enough() -> None:
    code = "from deploys.support.board import EVERY; print(EVERY)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert float(shown) * 2 <= 60, "a step that began just after a line has one within the minute"


@pytest.mark.parametrize(
    ("rows", "drawn"), [(["a"], "    a\x1b[K\r"), (["a", "b", "c"], "    a\x1b[K\n    b\x1b[K\n    c\x1b[K\r\x1b[2A")]
)
def test_cursor_is_back_where_it_was(rows: list[str], drawn: str) -> None:
    code = f"from deploys.support.board import frame; print(repr(frame({rows!r})))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == repr(drawn)
