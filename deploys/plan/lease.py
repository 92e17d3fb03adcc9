"""Who works on a host: one run at a time, whoever started it, so that nobody acts on what another one is changing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from deploys.plan.record import Record

# What a person types on the host to see what is going on.
LOOK = "systemctl list-units 'gpu-host-*'; tail /var/log/gpu-host/*.log"


@dataclass(frozen=True)
class Lease(Record):
    """The last run that changed something on this host in this boot: `run` is its identity, `who` "user@machine" of its controller.

    `place` and `pid` are the process there, `since` its first step (seconds since 1970), `step` its latest; `left` is the
    number of seconds until the lease ends without another step (0: it has ended).
    """

    run: str
    who: str = ""
    place: str = ""
    pid: int | None = None
    since: int | None = None
    step: str = ""
    left: int = 0

    def __str__(self) -> str:
        started = f" since {time.strftime('%H:%M:%S UTC', time.gmtime(self.since))}" if self.since is not None else ""
        step = f', step "{self.step}"' if self.step else ""
        return f"{self.who or 'somebody'} (pid {'?' if self.pid is None else self.pid}){started}{step}"
