"""Identity of this boot, what asks for another one, and the clock."""

from __future__ import annotations

import re

from deploys.knowledge.paths import DRAIN_RECORD, GIVEN_UP, LEASE, LEASE_SECONDS, REBOOT_RECORD
from deploys.plan.machine import Boot, Lease
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, decimal, integer

# The time service that runs is asked; timedatectl is not, because it starts a service of its own to answer.
_SCRIPT = (
    "now=$(date +%s)\n"
    f"[ -r {REBOOT_RECORD} ] && head -c 2000 {REBOOT_RECORD} | tag rebooted\n[ -e {DRAIN_RECORD} ] && echo drained\n"
    f"[ -r {GIVEN_UP} ] && cut -d ' ' -f 1 {GIVEN_UP} | tail -n 50 | tag given-up\n"
    f'[ -r {LEASE} ] && {{ head -c 1000 {LEASE} | tag lease; echo "lease-age $((now - $(stat -c %Y {LEASE})))"; }}\n'
    r"""
read -r line </proc/sys/kernel/random/boot_id && echo "boot-id $line"
read -r line </proc/uptime && echo "uptime $line"
for f in /run/reboot-required /var/run/reboot-required; do
  [ -e "$f" ] || continue
  echo "flag $f"
  [ -r "$f.pkgs" ] && sort -u "$f.pkgs" | head -n 50 | tag flag
  break
done
echo "clock $now"
if [ -e /run/systemd/timesync/synchronized ]; then echo 'synchronised yes'
elif have systemctl && systemctl is-active --quiet systemd-timesyncd.service; then echo 'synchronised no'
elif have chronyc; then timeout 4 chronyc -n tracking | grep '^Leap status' | tag chrony
elif have ntpq; then timeout 4 ntpq -n -c rv | head -n 1 | tag ntp
fi
exit 0
"""
)


def parse(text: str) -> Boot:
    """`reboot_flags` holds the flag file and the packages that it names."""
    tagged = Tagged(text)
    boot_id = tagged.first("boot-id")
    rebooted = tagged.all("rebooted")
    return Boot(
        boot_id=boot_id if boot_id and re.fullmatch(r"[0-9a-f-]{36}", boot_id) else None,
        uptime=decimal((tagged.first("uptime") or "").partition(" ")[0]),
        reboot_flags=tuple(flag.strip() for flag in tagged.all("flag") if flag.strip()),
        rebooted_in=rebooted[0].strip() if rebooted else "",
        rebooted_for="; ".join(line.strip() for line in rebooted[1:]),
        drained="drained" in tagged,
        lease=_lease(tagged),
        given_up=tuple(line.strip() for line in tagged.all("given-up") if line.strip()),
        clock=None if (clock := integer(tagged.first("clock"))) is None else float(clock),
        clock_synchronised=_synchronised(tagged),
    )


def _lease(tagged: Tagged) -> Lease | None:
    """Lines `KEY VALUE`; a last line `ended` where the run has let go. A clock that was set back ends a lease too."""
    fields = dict(line.partition(" ")[::2] for line in tagged.all("lease"))
    if not (run := fields.get("run", "").strip()):
        return None
    age, since = integer(tagged.first("lease-age")), integer(fields.get("since"))
    left = 0 if "ended" in fields or age is None else max(0, LEASE_SECONDS - age)
    return Lease(
        run=run,
        who=fields.get("who", "").strip(),
        place=fields.get("place", "").strip(),
        pid=integer(fields.get("pid")),
        since=since if since is not None and since < 1 << 33 else None,
        step=fields.get("step", "").strip(),
        left=left,
    )


def _synchronised(tagged: Tagged) -> bool | None:
    """chrony: `Leap status     : Normal`; ntpd: `associd=0 status=0615 leap_none, sync_ntp, ...`."""
    if chrony := tagged.first("chrony"):
        return "Not synchronised" not in chrony
    if ntp := tagged.first("ntp"):
        return "sync_" in ntp and "sync_unspec" not in ntp
    return {"yes": True, "no": False}.get(tagged.first("synchronised") or "")


SUBJECT = Subject("boot", _SCRIPT, parse, Boot(), limit=16_000)


class CurrentBoot(SubjectFact[Boot]):
    """boot_id, uptime, reboot flags and clock."""

    subject = SUBJECT
