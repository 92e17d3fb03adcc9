"""Whatever a command prints is read to its end."""

from __future__ import annotations

import io
import queue
import subprocess
import sys

import pytest
from pyinfra.connectors.util import OutputLine

from deploys.support import output


def _read(data: bytes) -> list[str]:
    found: queue.Queue[OutputLine] = queue.Queue()
    output.read_buffer("stdout", io.BytesIO(data), found)
    return [line.line for line in list(found.queue)]


def test_bytes_that_are_no_text_do_not_end_the_reading() -> None:
    assert _read(b"before\n\xff\xfe\xfa\nafter\n") == ["before", "\ufffd\ufffd\ufffd", "after"]


def test_endless_line_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "LINE_LIMIT", 4)
    found: queue.Queue[OutputLine] = queue.Queue()
    output.read_buffer("stdout", io.BytesIO(b"abcdefgh\nij\n"), found, print_output=True)
    assert [line.line for line in found.queue] == ["abcd", "efgh", "", "ij"]


@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n", b"a\n\nb\r\n", b"a\nb"])
@pytest.mark.parametrize("piece", [1, 3, 1 << 16])
def test_pieces_give_the_lines_that_reading_line_by_line_gives(
    monkeypatch: pytest.MonkeyPatch, text: bytes, piece: int
) -> None:
    monkeypatch.setattr(output, "PIECE", piece)
    assert _read(text) == list(output.lines(io.BytesIO(text)))


def test_endless_output_is_cut_off_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lines cost far more memory than their text: both count."""
    monkeypatch.setattr(output, "TOTAL_LIMIT", 10 * output.LINE_COST)
    stream = io.BytesIO(b"y\n" * 100)
    found: queue.Queue[OutputLine] = queue.Queue()
    output.read_buffer("stdout", stream, found)
    (line,) = found.queue
    assert (line.buffer_name, "cut off" in line.line) == ("stderr", True)
    assert stream.closed


def test_real_pyinfra_command_with_bytes_that_are_no_text_ends() -> None:
    """Before, pyinfra's reader died at the first such byte and the output was lost."""
    code = r"""
from deploys.support.output import tolerate_any_output
tolerate_any_output()
from pyinfra.connectors.util import run_local_process
print(run_local_process("printf 'a\\377b\\nend\\n'")[1].stdout_lines)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['a\ufffdb', 'end']"
