"""A run's hosts, network and keys; knows how to remove what an earlier, killed run left behind."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bed import packages, repository
from tests.bed.cache import cache_folder, empty_trash, try_lock, wait_lock
from tests.bed.furnish import furnish
from tests.bed.host import Host
from tests.bed.keys import Keys
from tests.bed.network import Network, free_subnet
from tests.bed.roots import copy_root
from tests.bed.shell import BedError, require_root
from tests.bed.spec import Spec, save
from tests.bed.tools import ensure_tools

HAND = 0  # the slot of `python -m tests.bed`: its hosts outlive the command that made them
SLOTS = range(1, 9)


def slot_folder(slot: int) -> Path:
    return cache_folder() / "runs" / str(slot)


def slot_lock(slot: int) -> Path:
    """One for the whole machine: namespaces and links are named after the slot, wherever the cache is."""
    return Path("/run/gpu-host-tests") / f"slot-{slot}.lock"


class Bed:
    """Hosts of one run. Use as a context manager, or call `close`.

    Everything a run makes is named after its slot and noted in CACHE/runs/SLOT before it is made. A slot belongs to
    the process that holds its lock; whoever takes a slot first removes what it finds noted there.
    """

    def __init__(self, slot: int, descriptor: int) -> None:
        self.slot = slot
        self._lock = descriptor
        self.folder = slot_folder(slot)
        self.keys = Keys(self.folder)
        self._network: Network | None = None

    # -- life

    @classmethod
    def open(cls) -> Bed:
        """Take a free slot, remove leftovers everywhere, make tools, network and keys. Raises BedError."""
        require_root()
        taken: Bed | None = None
        for slot in SLOTS:
            descriptor = try_lock(slot_lock(slot))
            if descriptor is None:
                continue
            bed = cls(slot, descriptor)
            bed.wipe()
            if taken is None:
                taken = bed
            else:
                os.close(descriptor)
        if taken is None:
            raise BedError(f"{len(SLOTS)} runs of the test hosts are going on already: wait for one to end")
        empty_trash()
        try:
            taken.prepare()
        except BaseException:
            taken.close()
            raise
        return taken

    @classmethod
    def by_hand(cls, *, change: bool = True) -> Bed:
        """The bed of the command line: keeps its hosts until they are taken down.

        To `change` it waits for other commands and sets the bed up; without that it only looks.
        """
        require_root()
        if not change:
            return cls(HAND, -1)
        bed = cls(HAND, wait_lock(slot_lock(HAND)))
        bed.prepare()
        return bed

    def prepare(self) -> None:
        ensure_tools()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys.make()
        self.network.up()

    def close(self) -> None:
        """Remove every host, the network and the keys, and give the slot back."""
        try:
            self.wipe()
            empty_trash()
        finally:
            os.close(self._lock)

    def wipe(self) -> None:
        """Remove all that is noted in this slot; harmless when nothing is."""
        if not self.folder.exists():
            return
        for host in self.hosts():
            host.remove()
        repository.remove(self.folder / "repository")
        if (self.folder / "network.json").exists():
            self.network.down()
        self._network = None
        shutil.rmtree(self.folder)

    def __enter__(self) -> Bed:  # noqa: PYI034  Self is not in Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- contents

    @property
    def network(self) -> Network:
        """The slot's network, chosen once and noted."""
        if self._network is None:
            note = self.folder / "network.json"
            if not note.exists():
                save(note, {"subnet": str(free_subnet(self.slot))})
            self._network = Network(self.slot, json.loads(note.read_text())["subnet"])
        return self._network

    def hosts(self) -> list[Host]:
        """Every noted host, whatever its state."""
        found = []
        for note in sorted(self.folder.glob("hosts/*/host.json")):
            data = json.loads(note.read_text())
            found.append(Host(data["name"], data["number"], note.parent, self.network, self.keys))
        return found

    def host(self, name: str) -> Host:
        """A host by name. Raises BedError."""
        for host in self.hosts():
            if host.name == name:
                return host
        raise BedError(f"no host {name}; there are: {', '.join(h.name for h in self.hosts()) or 'none'}")

    def repository(self) -> repository.Repository:
        """The stand-in repository of the container toolkit, started on first use. Raises BedError."""
        folder = self.folder / "repository"
        found = repository.load(folder)
        if found is None:
            repository.remove(folder)
            found = repository.start(folder, self.network.gateway)
        return found

    def make_host(self, suite: str = "bookworm", name: str = "", **options: Any) -> Host:
        """Make and boot a host; `options` are those of `Spec`. Raises BedError, and leaves no half-made host."""
        spec = Spec(name=name or self._free_name(suite), suite=suite, **options)
        if any(host.name == spec.name for host in self.hosts()):
            raise BedError(f"there is a host {spec.name} already: take it down or choose another name")
        host = self._note(spec.name)
        try:
            self._build(host, spec)
            host.start()
        except BaseException:
            host.remove()
            raise
        return host

    def _free_name(self, suite: str) -> str:
        names = {host.name for host in self.hosts()}
        return next(f"{suite}-{n}" for n in range(1, 1000) if f"{suite}-{n}" not in names)

    def _note(self, name: str) -> Host:
        numbers = {host.number for host in self.hosts()}
        number = next((n for n in range(1, 250) if n not in numbers), 0)
        if not number:
            raise BedError("249 hosts are up: take some down first")
        folder = self.folder / "hosts" / str(number)
        folder.mkdir(parents=True)
        save(folder / "host.json", {"name": name, "number": number})
        return Host(name, number, folder, self.network, self.keys)

    def _build(self, host: Host, spec: Spec) -> None:
        save(host.folder / "spec.json", replace(spec))
        packages.seed(spec.suite, host.folder / "packages")
        copy_root(spec.suite, host.root)
        host_key = furnish(host.root, spec, self.keys.public)
        self.keys.know(host.address, host_key)
        self.network.plug(host.number)
