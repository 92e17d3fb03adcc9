"""Identity of this boot, what asks for another one, and the clock."""

from __future__ import annotations

import re

from deploys.plan.machine import Boot
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, decimal, integer

# systemd-timesyncd leaves a file, which costs nothing to look at; only without it the bus is asked.
_SCRIPT = r"""
tag boot-id </proc/sys/kernel/random/boot_id
tag uptime </proc/uptime
for f in /run/reboot-required /var/run/reboot-required; do
  [ -e "$f" ] || continue
  echo "flag $f"
  [ -r "$f.pkgs" ] && sort -u "$f.pkgs" | head -n 50 | tag flag
  break
done
echo "clock $(date +%s)"
if [ -e /run/systemd/timesync/synchronized ]; then echo 'synchronised yes'
elif have timedatectl && [ -S /run/dbus/system_bus_socket ]; then
  timeout 4 timedatectl show -p NTPSynchronized | sed -n 's/^NTPSynchronized=/synchronised /p'
fi
exit 0
"""


def parse(text: str) -> Boot:
    """`reboot_flags` holds the flag file and the packages that it names."""
    tagged = Tagged(text)
    boot_id = tagged.first("boot-id")
    return Boot(
        boot_id=boot_id if boot_id and re.fullmatch(r"[0-9a-f-]{36}", boot_id) else None,
        uptime=decimal((tagged.first("uptime") or "").partition(" ")[0]),
        reboot_flags=tuple(flag.strip() for flag in tagged.all("flag") if flag.strip()),
        clock=None if (clock := integer(tagged.first("clock"))) is None else float(clock),
        clock_synchronised={"yes": True, "no": False}.get(tagged.first("synchronised") or ""),
    )


SUBJECT = Subject("boot", _SCRIPT, parse, Boot(), limit=16_000)


class CurrentBoot(SubjectFact[Boot]):
    """boot_id, uptime, reboot flags and clock."""

    subject = SUBJECT
