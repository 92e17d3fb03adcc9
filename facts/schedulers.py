"""Slurm and Kubernetes on a host: their agents, and the work that they have sent here.

Sources: the names and command lines of processes (proc(5)), squeue(1); for Kubernetes the folder of pod logs (NAMESPACE_NAME_UID), the cgroups of
pods and the file in which the kubelet keeps who was given which device (kubernetes, pkg/kubelet/cm/devicemanager/checkpoint).
"""

from __future__ import annotations

import re

from deploys.plan.machine import Job, Scheduler
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

# Of command lines only the name of the node travels. A job's own daemon (slurmstepd) is the truth of a host; squeue, which asks the controller over the
# network, knows its user. Pods that have ended may still stand in the kubelet's file; their cgroups are gone.
_SCRIPT = r"""
lines=$(grep -HsxE 'slurmd|slurmstepd|kubelet|kubelite|k3s-server|k3s-agent' /proc/[0-9]*/comm | sort -u | head -n 1000)
[ -n "$lines" ] || exit 0
echo "hostname $(uname -n)"
slurm= slurmnode= kubernetes=
for line in $lines; do
  comm=${line##*:} folder=${line%/comm:*}
  words=$(tr '\0' ' ' <"$folder/cmdline")
  case $comm in
    slurmstepd)
      paths=; while IFS=: read -r number controllers path; do paths="$paths $path"; done <"$folder/cgroup"
      printf '%s\n' "$words $paths" | sed -nE -e 's/^slurmstepd: \[([0-9]+)\..*/step \1/p;t' -e 's|.*/job_([0-9]+)/.*|step \1|p'
      continue ;;
    slurmd) slurm=$(real "$folder/exe") ;;
    *) kubernetes=1 ;;
  esac
  node=$(printf '%s\n' "$words" | sed -nE 's/.* (-N *|--hostname-override[= ]|--node-name[= ])([A-Za-z0-9._-]+)( .*)?$/\2/p')
  echo "agent $comm ${node:--}"
  [ "$comm" = slurmd ] && slurmnode=$node
done
[ -n "$slurm" ] && PATH=$PATH:${slurm%/sbin/*}/bin && have squeue && {
  [ -n "$slurmnode" ] || { slurmnode=$(uname -n); slurmnode=${slurmnode%%.*}; }
  { timeout -k 1 8 squeue -h -w "$slurmnode" -t R,CG,CF,S -o '%A %u' & } | timeout -k 1 10 cat | head -n 1000 | tag job
}
[ -n "$kubernetes" ] || exit 0
for d in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
  for k in "$d"/kubepods*; do
    [ -d "$k" ] && echo cgroups-read && find "$k" -maxdepth 3 -type d -name '*pod[0-9a-f]*' | sed 's|.*/||' | tag cgroup
  done
done | head -n 3000
ls /var/log/pods | head -n 1000 | tag pod
for f in /var/lib/kubelet /var/lib/k0s/kubelet /var/snap/microk8s/common/var/lib/kubelet; do
  [ -r "$f/device-plugins/kubelet_internal_checkpoint" ] || continue
  grep -oE '"PodUID":"[^"]*","ContainerName":"[^"]*","ResourceName":"nvidia\.com/[^"]*"' "$f/device-plugins/kubelet_internal_checkpoint"
done | cut -d '"' -f 4 | sort -u | head -n 1000 | tag given
exit 0
"""

_UID = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$")


def parse(text: str) -> tuple[Scheduler, ...]:
    """The schedulers whose agent runs, Slurm first."""
    tagged = Tagged(text)
    agents = dict(tagged.words("agent", 2))
    hostname = tagged.first("hostname") or ""
    found = []
    if "slurmd" in agents:
        found.append(Scheduler("slurm", "slurmd", _node(agents["slurmd"], hostname.partition(".")[0]), _jobs(tagged)))
    others = sorted(agent for agent in agents if agent != "slurmd")
    if others:
        pods = _pods(tagged)
        node = _node(agents[others[0]], hostname.lower())
        found.append(Scheduler("kubernetes", others[0], node, _given(tagged, pods), pods))
    return tuple(found)


def _node(said: str, otherwise: str) -> str:
    """Only what can be a name: it is shown as part of a command to copy."""
    name = otherwise if said == "-" else said
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else "NODE"


def _jobs(tagged: Tagged) -> tuple[Job, ...]:
    """Jobs with a daemon of their own here, and those that the controller knows of."""
    users = {number: user for number, user in tagged.words("job", 2) if number.isdecimal()}
    steps = {number for number in tagged.all("step") if number.isdecimal()}
    return tuple(Job(number, users.get(number, "")) for number in sorted(steps | set(users), key=lambda n: (len(n), n)))


def _pods(tagged: Tagged) -> dict[str, str]:
    """From uid to NAMESPACE/NAME, by the folders of their logs."""
    parts = (entry.strip().split("_") for entry in tagged.all("pod"))
    return {uid: f"{namespace}/{name}" for namespace, name, uid in (p for p in parts if len(p) == 3)}


def _given(tagged: Tagged, pods: dict[str, str]) -> tuple[Job, ...]:
    """Pods that were given a GPU and have not ended."""
    alive = {found[1].replace("_", "-") for line in tagged.all("cgroup") if (found := _UID.search(line.strip()))}
    given = {uid.strip() for uid in tagged.all("given") if uid.strip()}
    if "cgroups-read" in tagged:
        given &= alive
    return tuple(Job(name) for name in sorted(pods.get(uid, uid) for uid in given))


_NONE: tuple[Scheduler, ...] = ()
SUBJECT = Subject("schedulers", _SCRIPT, parse, _NONE, limit=200_000)


class Schedulers(SubjectFact[tuple[Scheduler, ...]]):
    """Slurm and Kubernetes on this host, with the work that they have sent here."""

    subject = SUBJECT
