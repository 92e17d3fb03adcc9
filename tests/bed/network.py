"""A private bridge for one run's hosts: addresses, namespaces, forwarding to the package mirrors, and its removal."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.bed.shell import BedError, run

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_NEEDED = 4096  # each systemd takes several; at the kernel's default of 128 the seventh host fails to start
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def _taken() -> list[ipaddress.IPv4Network]:
    """Networks that this machine uses: routes, addresses, name servers."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    names = [route.get("dst", "") for route in routes]
    names += re.findall(r"^nameserver\s+([0-9.]+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    return [ipaddress.IPv4Network(name, strict=False) for name in names if re.fullmatch(r"[0-9.]+(/[0-9]+)?", name)]


def free_subnet(slot: int) -> ipaddress.IPv4Network:
    """A /24 of the private range that collides with nothing here; the third byte is the slot. Raises BedError."""
    taken = _taken()
    for second in range(201, 240):
        subnet = ipaddress.IPv4Network(f"10.{second}.{slot}.0/24")
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise BedError("no free private network found in 10.201.0.0 .. 10.239.255.255: remove routes that cover them all")


@dataclass(frozen=True)
class Network:
    """One bridge. `slot` names everything, so that runs side by side do not meet."""

    slot: int
    subnet: str

    @property
    def bridge(self) -> str:
        return f"gpuhost{self.slot}"

    @property
    def gateway(self) -> str:
        return str(next(ipaddress.IPv4Network(self.subnet).hosts()))

    def address(self, number: int) -> str:
        """Address of host `number`, 1 to 250."""
        return str(ipaddress.IPv4Network(self.subnet)[number + 1])

    def namespace(self, number: int) -> str:
        return f"gpuhost{self.slot}-{number}"

    def link(self, number: int) -> str:
        """The machine's end of the host's cable."""
        return f"gpuhost{self.slot}v{number}"

    def _rules(self) -> list[list[str]]:
        return [
            ["-t", "nat", "POSTROUTING", "-s", self.subnet, "!", "-o", self.bridge, "-j", "MASQUERADE"],
            ["-t", "filter", "FORWARD", "-i", self.bridge, "-j", "ACCEPT"],
            ["-t", "filter", "FORWARD", "-o", self.bridge, "-j", "ACCEPT"],
        ]

    def up(self) -> None:
        """Make the bridge and its forwarding rules; harmless when they are there."""
        if int(INOTIFY.read_text()) < INOTIFY_NEEDED:
            INOTIFY.write_text(str(INOTIFY_NEEDED))
        if FORWARD.read_text().strip() == "0":
            FORWARD.write_text("1")
        if run(["ip", "link", "show", self.bridge], check=False).returncode:
            run(["ip", "link", "add", self.bridge, "type", "bridge"])
            run(["ip", "address", "add", f"{self.gateway}/24", "dev", self.bridge])
            run(["ip", "link", "set", self.bridge, "up"])
        for table, name, chain, *rule in self._rules():
            if run(["iptables", "-w", table, name, "-C", chain, *rule], check=False).returncode:
                run(["iptables", "-w", table, name, "-I", chain, *rule])

    def down(self) -> None:
        """Remove bridge and rules; harmless when they are gone."""
        for table, name, chain, *rule in self._rules():
            run(["iptables", "-w", table, name, "-D", chain, *rule], check=False)
        run(["ip", "link", "delete", self.bridge], check=False)

    def plug(self, number: int) -> None:
        """Give host `number` a namespace with one interface and a default route."""
        namespace, link = self.namespace(number), self.link(number)
        run(["ip", "netns", "add", namespace])
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", "host0", "netns", namespace])
        run(["ip", "link", "set", link, "master", self.bridge, "up"])
        inside = ["ip", "-n", namespace]
        run([*inside, "link", "set", "lo", "up"])
        run([*inside, "address", "add", f"{self.address(number)}/24", "dev", "host0"])
        run([*inside, "link", "set", "host0", "up"])
        run([*inside, "route", "add", "default", "via", self.gateway])

    def unplug(self, number: int) -> None:
        run(["ip", "link", "delete", self.link(number)], check=False)
        run(["ip", "netns", "delete", self.namespace(number)], check=False)
