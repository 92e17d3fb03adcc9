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
# After so many lines the other hosts have their turn: where the next line is there already, nothing else makes way.
TURN = 500


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
    """Stands in for `pyinfra.connectors.util.read_buffer`, with the same parameters."""
    total = 0
    for number, line in enumerate(lines(io), 1):
        total += len(line) + LINE_COST
        if number % TURN == 0:
            gevent.sleep(0)
        if total > TOTAL_LIMIT:
            _hang_up(name, io, output_queue)
            return
        # Its only reader comes after the end; `put` would wake one up, and give way to all other hosts, for every line.
        output_queue.queue.append(util.OutputLine(name, line))
        if print_output:
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
