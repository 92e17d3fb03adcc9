"""Kill points: a host on its road, stopped at one program of one step by one kind of force, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.bed import killgate
from tests.bed.furnish import COMMAND_LOG, COUNTER
from tests.bed.inventory import write_inventory
from tests.bed.killgate import Gate
from tests.bed.shell import REPOSITORY, BedError, environment, run, wait_for
from tests.bed.snapshot import Entry, Snapshot, diff, entry_of, snapshot
from tests.hosts.families_lab import Family
from tests.hosts.kill_points import UNITS, Point, final, proof, strata

LIMIT = 900
# Seconds until a controller has noticed that its host is gone; DEAD_PEER_SECONDS of support/transport.py, and some.
NOTICED = 240
# Seconds in which a machine that reboots is back.
REBOOTED = 30
# As the bed's own, with the number of the command's text for the gate.
_COUNTER = f"""#!/bin/sh
first=$(printf '%.300s' "${{SSH_ORIGINAL_COMMAND:-(login shell)}}" | tr '\\n\\t' '  ')
number=$(printf %s "$SSH_ORIGINAL_COMMAND" | cksum) && number=${{number%% *}}
printf '%s %s %s\\n' "$(date +%s)" "$number" "$first" >>/{COMMAND_LOG}
export REMOTE_COMMAND="$number"
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""
# What a run may leave, by pattern for find; and what says that something of it is still at work.
_LEFT = r"""
find /etc /usr /opt /boot /root /var/lib /run/gpu-host /tmp /var/tmp -xdev \( -name '*.gpu-host-new' -o -name '*.sh' -path '/run/*' -o -name '*.dpkg-new' -o -name '*.dpkg-tmp' -o -name '*;[0-9a-f]*' -o -path '/tmp/gpu-host*' -o -path '/var/tmp/dracut*' -o -path '/var/tmp/mkinit*' \) -print
find /var/lib/gpu-host -mindepth 1 ! -path '*/kept' ! -path '*/kept/*' ! -name installed ! -name edits ! -name enabled ! -name keys ! -name 'stream*' -print
grep gpu-host-trial /proc/mounts
for f in /etc/dkms/*.conf; do [ ! -e "$f" ] || echo "override $f"; done
systemctl list-units --all --plain --no-legend 'gpu-host-*' | grep -v -e gpu-host-devices -e 'inactive *dead'
systemctl list-units --failed --plain --no-legend
[ ! -e /run/gpu-host/lock ] || flock --nonblock /run/gpu-host/lock true || echo 'the lock is held'
[ ! -e /var/lib/pacman/db.lck ] || echo 'pacman is locked'
if [ -d /var/lib/dpkg/info ]; then dpkg --audit; fi
exit 0
"""

_AT_BOOT = (
    "the next run: services PASS",
    "unlike an undisturbed run: + service gpu-host-devices.service",
    "unlike an undisturbed run: + service nvidia-persistenced.service",
)


@dataclass
class Road:
    """A host that begins the same road again and again, each time as it was before."""

    family: Family
    folder: Path
    data: Mapping[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    undisturbed: dict[str, Entry] = field(default_factory=dict)
    proof: tuple[str, ...] = ()
    point: Point | None = None
    process: subprocess.Popen[bytes] | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return self.family.host.name

    # -- the host

    def prepare(self) -> None:
        """Install the gate, and keep the host as it is now as the beginning of every road."""
        host = self.family.host
        library = host.root / killgate.LIBRARY
        library.write_bytes(killgate.library().read_bytes())
        preload = host.root / "etc/ld.so.preload"
        preload.write_text(f"{preload.read_text()}/{killgate.LIBRARY}\n")
        (host.root / COUNTER).write_text(_COUNTER)
        # Thousands of modules that nothing here asks for cost seconds in each depmod and each boot image.
        for kernel in (host.root / "usr/lib/modules").iterdir():
            for folder in (kernel / "kernel").iterdir():
                if folder.name not in ("fs", "lib"):
                    shutil.rmtree(folder)
            host.nsenter(f"depmod {kernel.name}")
        host.stop()
        host.root.rename(self.bare)
        host.root.mkdir()

    @property
    def bare(self) -> Path:
        return self.family.host.folder / "bare"

    @property
    def upper(self) -> Path:
        """What the road has written so far."""
        return self.family.host.folder / "layers/upper"

    def reset(self) -> None:
        """The host as it was before, booted. Its root is an overlay over that state: no copy of gigabytes."""
        host = self.family.host
        host.stop()
        run(["umount", "-l", host.root], check=False)
        work = self.upper.with_name("work")
        run(["rm", "-rf", self.upper.parent])
        for folder in (self.upper, work):
            folder.mkdir(parents=True)
        options = f"lowerdir={self.bare},upperdir={self.upper},workdir={work}"
        run(["mount", "-t", "overlay", "overlay", "-o", options, host.root])
        host.start()

    def snapshot(self) -> Snapshot:
        return snapshot(self.family.host, self.upper)

    def unlike(self, now: Snapshot) -> list[str]:
        """In what the host differs from one that came here undisturbed. What only one of them has written is looked at in the root as a whole."""
        ours, theirs = final(now), dict(self.undisturbed)
        for name in ours.keys() ^ theirs.keys():
            found = entry_of(self.bare if name in ours else self.family.host.root, name) if name[0] == "/" else None
            if found:
                (theirs if name in ours else ours).update(final({name: found}))
        return diff(theirs, ours)

    # -- the controller

    @cached_property
    def inventory(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = {"gpu_report_dir": str(self.folder / "reports"), "gpu_accept": ["release_not_ended"], **self.data}
        own = {**self.family.data, "gpu_driver_branch": self.family.branch}
        return write_inventory(self.folder / "inventory.py", [(self.family.host, own)], data)

    def note(self, text: str) -> None:
        """Into the log of the point that is being tried."""
        with self.log.open("a") as file:
            file.write(f"{text}\n")

    @property
    def log(self) -> Path:
        return self.folder / f"{self.point or 'survey'}.log"

    def run(self) -> dict[str, Any]:
        """The product to its end; what it says of the host."""
        with self.controller() as process:
            process.wait(LIMIT)
        found: dict[str, Any] = json.loads((self.folder / "reports/latest.json").read_text())["hosts"][0]
        return found

    @contextmanager
    def controller(self) -> Iterator[subprocess.Popen[bytes]]:
        """The product at work, in a session of its own; gone at the end."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        (self.family.host.root / COMMAND_LOG).write_text("")
        words = [str(Path(sys.executable).with_name("pyinfra")), str(self.inventory), "deploys/gpu_host.py", "-y"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                cwd=REPOSITORY,
                start_new_session=True,
            )
        try:
            yield self.process
        finally:
            self.kill_controller()

    def kill_controller(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """From another thread: what is being tried ends, and nothing more is begun."""
        self.stopped.set()
        self.kill_controller()

    # -- the road, undisturbed and disturbed

    def survey(self) -> None:
        """The road without any disturbance: what it ends in, and how many programs each step starts."""
        self.reset()
        with Gate(self.family.host.network.namespace(self.family.host.number)) as found:
            started = monotonic()
            said = self.run()
            self.note(f"{monotonic() - started:.0f} s")
            self.counts = {place: count for place, count in found.counts.items() if count > 0}
        self.proof = proof(said)
        self.undisturbed = final(self.snapshot())
        for line in self.family.host.commands():
            _, number, text = line.split(" ", 2)
            self.labels.setdefault(number, text.removeprefix("sh -c '").removeprefix("umask 077; ")[:70])

    def disturb(self, point: Point) -> str:
        """Begin the road anew and apply the force at the point; says in words what was done."""
        places = strata(self.labels, self.counts)
        place = places[point.place % len(places)]
        number = 1 + int(point.fraction * self.counts[place])
        host = self.family.host
        self.reset()
        boot = host.boot_id()
        with Gate(host.network.namespace(host.number)) as moment, self.controller() as process:
            moment.aim(place, number)
            wait_for(lambda: moment.reached.is_set() or process.poll() is not None, LIMIT, "the moment", pause=0.02)
            label = place if place in UNITS else f"command: {self.labels.get(place, place)}"
            said = f"{point}: {point.kind} on {self.name}, program {number} of {self.counts[place]} ({moment.program or 'never started'}) in {label}"
            self.note(said)
            if moment.reached.is_set():
                self.force(point.kind, place, moment)
            moment.release()
            if process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(NOTICED if point.kind != "cable" else LIMIT)
        if point.kind == "power" and host.leader is None:
            host.start()
        elif "systemctl reboot" in label:
            # Nobody can run again on a machine that is down. Whether it goes down depends on which of the command's programs had started.
            with suppress(BedError):
                wait_for(lambda: host.answers() and host.boot_id() != boot, REBOOTED, "its next boot")
        return said if moment.reached.is_set() else f"{said}: that moment never came"

    def force(self, kind: str, place: str, moment: Gate) -> None:
        host = self.family.host
        if kind == "controller":
            self.kill_controller()
        elif kind == "connection":
            host.nsenter("pkill -KILL -x sshd-session || pkill -KILL -f '^sshd: root'", check=False)
        elif kind == "power":
            host.stop()
        elif kind == "cable":
            host.cut()
            moment.release()
            sleep(3)
            host.mend()
        elif place in UNITS:
            host.nsenter(f"systemctl kill --signal=KILL gpu-host-{place}.service")
        else:
            for pid in killgate.session_of(moment.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def try_out(self, point: Point) -> list[str]:
        """What does not hold after that point, with the point in words first; empty when everything does."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        self.point = point
        started = monotonic()
        said = self.disturb(point)
        wrong = self.judge()
        wrong += [said] if "never came" in said else []
        with (self.folder.parent / "points").open("a") as file:
            file.write(f"{said}: {'; '.join(wrong) or 'converged'} ({monotonic() - started:.0f} s)\n")
        if wrong:
            self.note(self.family.host.nsenter("journalctl --boot --no-pager --lines 300", check=False).stdout)
            return [said, *wrong, f"the whole log: {self.log}"]
        return []

    def judge(self) -> list[str]:
        """One more run must bring the host to the end of its road, and the next one must change nothing: what does not hold."""
        said = self.run()
        wrong = [f"the next run: {line}" for line in sorted(set(proof(said)) - set(self.proof))]
        # What the driver needs is enabled and not started on a host without one; a boot of its own starts it.
        booted = _AT_BOOT if self.point and self.point.kind == "power" else ()
        wrong += [f"left behind: {line}" for line in self.left()]
        before = self.snapshot()
        wrong += [f"unlike an undisturbed run: {line}" for line in self.unlike(before)[:20]]
        wrong = [line for line in wrong if not any(line.startswith(known) for known in booted)]
        said = self.run()
        wrong += [f"the run after it changed: {change}" for change in said["changed"]]
        touched = [
            line for line in diff(before, self.snapshot()) if "rpmdb.sqlite-shm" not in line
        ]  # by whoever asks rpm
        wrong += [f"the run after it: {line}" for line in touched[:20]]
        count = self.family.host.count_commands()
        return [*wrong, *([f"the run after it took {count} remote commands"] if count > 3 else [])]

    def left(self) -> list[str]:
        return self.family.host.nsenter(_LEFT).stdout.splitlines()
