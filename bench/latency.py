"""Round trips that take longer: by the kernel (netem) where it can, else by a proxy that holds every byte back.

`python -m bench.latency MILLISECONDS PORT=ADDRESS:PORT ...` is that proxy. It adds the whole delay to each way back, and one more round
trip before the first byte, as the handshake of TCP would take.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.fleet import Fleet
from tests.bed.processes import start_detached
from tests.bed.shell import REPOSITORY, run, run_python, wait_for

FIRST_PORT = 22000


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass bytes on, each `delay` seconds after it came."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

    async def pass_on() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(pass_on())
    data = b"-"
    while data:
        try:
            data = await reader.read(65536)
        except OSError:
            data = b""
        queue.put_nowait((loop.time() + delay, data))
    await asyncio.wait([task])


async def serve(delay: float, ways: dict[int, tuple[str, int]]) -> None:
    """Listen on every port, for ever; `delay` is the round trip in seconds."""

    def handler(address: str, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(delay)
            try:
                there = await asyncio.open_connection(address, port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_hold(reader, there[1], 0), _hold(there[0], writer, delay))

        return handle

    servers = [
        await asyncio.start_server(handler(*target), "127.0.0.1", port, backlog=512) for port, target in ways.items()
    ]
    await asyncio.gather(*(s.serve_forever() for s in servers))


@contextmanager
def slow(fleet: Fleet, milliseconds: int) -> Iterator[dict[str, tuple[str, int]]]:
    """Where the hosts are reached with that round trip: name -> (address, port)."""
    here = {name: (address, 22) for name, address in fleet.addresses.items()}
    if not milliseconds:
        yield here
        return
    link = ["tc", "-n", fleet.host.network.namespace(fleet.host.number), "qdisc"]
    device = ["dev", "host0", "root"]
    if run([*link, "add", *device, "netem", "delay", f"{milliseconds}ms"], check=False).returncode == 0:
        try:
            yield here
        finally:
            run([*link, "del", *device])
        return
    ports = dict(enumerate(here.items(), FIRST_PORT))
    words = [f"{port}={address}:{there}" for port, (_, (address, there)) in ports.items()]
    log = fleet.host.folder / "latency.log"
    process = start_detached([*run_python("bench.latency", str(milliseconds)), *words], log, REPOSITORY)
    try:
        last = max(ports)
        # One that listens (0A): connections of a round before are remembered for a minute.
        listens = f":{last:04X} 00000000:0000 0A "
        wait_for(lambda: listens in Path("/proc/net/tcp").read_text(), 20, "the delaying proxy")
        yield {name: ("127.0.0.1", port) for port, (name, _) in ports.items()}
    finally:
        process.end()


def main() -> None:
    ways = {}
    for word in sys.argv[2:]:
        port, _, target = word.partition("=")
        address, _, there = target.rpartition(":")
        ways[int(port)] = (address, int(there))
    asyncio.run(serve(int(sys.argv[1]) / 1000, ways))


if __name__ == "__main__":
    main()
