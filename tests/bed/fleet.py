"""Many hosts for the price of one: each further address of a booted host answers SSH as a host of its own.

What is real: sshd, its processes, one TCP connection per host. What is not: they share one machine, or only repeat what a
machine has answered once; see programs/fleet-answer.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bed.furnish import COUNTER
from tests.bed.host import Host
from tests.bed.shell import BedError, run

ANSWER = Path(__file__).parent / "programs" / "fleet-answer"
LIMIT = 150
LOG = "var/log/fleet.log"
# Far beyond what one host would ever be asked for: the sshd of this one serves the whole fleet.
SSHD = "MaxStartups 1000\nMaxSessions 100\nPerSourceMaxStartups none\n"


@dataclass
class Fleet:
    """Addresses of `host`, by the names of the fleet's hosts."""

    host: Host
    addresses: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, host: Host, count: int, answers: Mapping[str, str]) -> Fleet:
        """`count` hosts, whose probe and proofs are answered with these texts: "probe", "proof", "container". Raises BedError."""
        if count > LIMIT:
            raise BedError(f"{count} hosts: at most {LIMIT} fit beside a booted host")
        fleet = cls(host)
        host.put(f"/{COUNTER}", ANSWER.read_text(), 0o755)
        for asked, text in answers.items():
            host.put(f"/etc/fleet/{asked}", text)
            host.put(f"/etc/fleet/{asked}.seconds", "0")
        host.put("/etc/ssh/sshd_config.d/00-aaa-fleet.conf", SSHD)
        host.nsenter("systemctl reload ssh")
        key = (host.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        subnet = ipaddress.IPv4Network(host.network.subnet)
        lines = []
        for number in range(count):
            address = str(subnet[254 - number])
            fleet.addresses[f"host-{number + 1:03}"] = address
            lines.append(f"address add {address}/24 dev host0")
            host.keys.know(address, " ".join(key.split()[:2]))
        run(["ip", "-n", host.network.namespace(host.number), "-batch", "-"], text_in="\n".join(lines))
        return fleet

    def behave(self, way: str, *names: str, wait: bool = False) -> None:
        """From now on these hosts (all when none is named) behave in this way; `wait`: as long as it took when it was recorded."""
        script = "".join(f"echo {way} {int(wait)} >/etc/fleet/{self.addresses[n]}; " for n in names or self.addresses)
        self.host.nsenter(script)

    def data(self, name: str, **more: Any) -> tuple[str, dict[str, Any]]:
        """What an inventory says of one of them."""
        return name, {**self.host.inventory_data(), "ssh_hostname": self.addresses[name], **more}

    def commands(self) -> Counter[str]:
        """Remote commands by host since the last `forget`, as the hosts counted them."""
        lines = (self.host.root / LOG).read_text(errors="replace").splitlines()
        by_address = {address: name for name, address in self.addresses.items()}
        return Counter(by_address.get(line.split(" ", 1)[0], "") for line in lines)

    def forget(self) -> None:
        (self.host.root / LOG).write_text("")

    def filter(self, name: str, action: str) -> None:
        """DROP or REJECT what comes to the SSH port of one of them."""
        self._rule("-I", name, action)

    def unfilter(self, name: str) -> None:
        """Let it be reached again."""
        for action in ("DROP", "REJECT"):
            self._rule("-D", name, action)

    def _rule(self, change: str, name: str, action: str) -> None:
        inside = ["ip", "netns", "exec", self.host.network.namespace(self.host.number), "iptables", "-w"]
        rule = ["INPUT", "-p", "tcp", "-d", self.addresses[name], "--dport", "22", "-j", action]
        reset = ["--reject-with", "tcp-reset"] if action == "REJECT" else []
        run([*inside, change, *rule, *reset], check=change == "-I")
