"""Reading what hosts print: any bytes, any amount, without an exception.

pyinfra 3.10 decodes strictly: one byte that is not UTF-8 ends its reader, the rest is never read, and a chatty command then
blocks for ever on a full SSH window. Its reader is replaced by one that cannot stop early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
from paramiko.file import BufferedFile
from pyinfra.api.output import echo
from pyinfra.connectors import util

LINE_LIMIT = 1 << 20
# Bytes that one command may fill of the controller's memory. Beyond them nothing is read any more: who prints without an end
# would keep the controller busy for as long as the command may take, and all other hosts waiting.
TOTAL_LIMIT = 8 << 20
# What Python needs to keep a line, beside its text.
LINE_COST = 300
PIECE = 1 << 16


def lines(stream: Any) -> Iterator[str]:
    """Lines of a channel or pipe; bytes that are no text become U+FFFD, a line longer than the limit is cut into pieces."""
    if isinstance(stream, BufferedFile):
        stream._flags |= stream.FLAG_BINARY  # type: ignore[attr-defined]
    while piece := stream.readline(LINE_LIMIT):
        text = piece.decode("utf-8", errors="replace") if isinstance(piece, bytes) else piece
        yield text.rstrip("\n")


def read_buffer(
    name: str,
    io: Any,
    output_queue: Any,
    print_output: bool = False,
    print_func: Callable[[str], str] | None = None,
) -> None:
    """Stands in for `pyinfra.connectors.util.read_buffer`, with the same parameters.

    Lines go straight into the queue: its only reader comes after the end, and `put` would give way to all other hosts for each.
    """
    if print_output:
        _read_aloud(name, io, output_queue, print_func)
        return
    pieces, total = [], 0
    for piece in _pieces(io):
        pieces.append(piece)
        total += len(piece) + LINE_COST * piece.count(b"\n")
        if total > TOTAL_LIMIT:
            _hang_up(name, io, output_queue)
            return
    found = b"".join(pieces).decode("utf-8", errors="replace").split("\n")
    if not found[-1]:
        found.pop()
    output_queue.queue.extend(util.OutputLine(name, line) for line in found)


def _pieces(io: Any) -> Iterator[bytes]:
    """What comes, a piece at a time, as bytes; after each the other hosts have their turn."""
    if isinstance(io, BufferedFile):
        io._flags |= io.FLAG_BINARY  # type: ignore[attr-defined]
    while piece := io.read(PIECE):
        yield piece if isinstance(piece, bytes) else piece.encode(errors="replace")
        gevent.sleep(0)


def _read_aloud(name: str, io: Any, output_queue: Any, print_func: Callable[[str], str] | None) -> None:
    """Line by line as they come, for whoever asked to see them."""
    total = 0
    for line in lines(io):
        total += len(line) + LINE_COST
        if total > TOTAL_LIMIT:
            _hang_up(name, io, output_queue)
            return
        output_queue.queue.append(util.OutputLine(name, line))
        echo(print_func(line) if print_func else line, err=True)


def _hang_up(name: str, io: Any, output_queue: Any) -> None:
    """End a command that prints too much: its channel or pipe is closed, and of its words one line is left."""
    channel = getattr(io, "channel", None)
    (channel or io).close()
    output_queue.queue.clear()
    output_queue.put(util.OutputLine("stderr", f"more than {TOTAL_LIMIT >> 20} MiB on {name}: the command was cut off"))


def tolerate_any_output() -> None:
    """Have pyinfra read through `read_buffer` from now on, for every connector."""
    util.read_buffer = read_buffer
