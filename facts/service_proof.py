"""Whether the model services run and which processes are on a GPU (sources: docker(1), nvidia-smi(1), cgroups(7))."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from typing_extensions import override

from deploys.plan.machine import GpuProcess, ServiceAnswer, ServiceProof
from facts.base import SubjectFact
from facts.subject import Subject, build_command
from facts.text import Tagged, integer

# A process belongs to a container, or to a unit, by its cgroup. Every question has a limit: nvidia-smi may hang for ever.
_SCRIPT = r"""
run() { timeout 20 docker -H unix:///var/run/docker.sock "$@"; }
for n in $containers; do
  id=$(run inspect --format '{{.ID}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$n" 2>/dev/null) || { echo "service $n"; continue; }
  echo "service $n ${id#* }"; echo "identity $n ${id%% *}"
  case $id in *" running"*)
    out=$(timeout -k 2 30 docker -H unix:///var/run/docker.sock exec "$n" nvidia-smi -L 2>&1); echo "smicode $n $?"
    printf '%s\n' "$out" | head -n 5 | tag "smi $n" ;;
  esac
done
for n in $units; do
  echo "service $n $(systemctl show -p ActiveState --value "gpu-service-$n.service")"; echo "identity $n gpu-service-$n.service"
done
echo asked
have nvidia-smi || exit 0
apps=$(timeout -k 2 30 nvidia-smi --query-compute-apps=pid,used_gpu_memory --format=csv,noheader,nounits 2>/dev/null) || exit 0
echo listed
printf '%s\n' "$apps" | head -n 200 | while IFS=', ' read -r pid memory rest; do
  case $pid in ''|*[!0-9]*) continue ;; esac
  echo "app $pid ${memory:--} $(tr '\n' ' ' <"/proc/$pid/cgroup")"
done
exit 0
"""


def parse(text: str) -> ServiceProof:
    """The answers; a service that was not asked is left out."""
    tagged = Tagged(text)
    if "asked" not in tagged:
        return ServiceProof()
    codes = dict(tagged.words("smicode", 2))
    answers = {}
    for line in tagged.all("service"):
        name, *rest = line.split()
        said = [words[1] for words in tagged.words("smi", 2) if words[0] == name]
        state, health = [*rest, "", ""][:2]
        answers[name] = ServiceAnswer(state, health, integer(codes[name]) if name in codes else None, "\n".join(said))
    identities = dict(tagged.words("identity", 2))
    return ServiceProof(answers, _processes(tagged, identities) if "listed" in tagged else None)


def _processes(tagged: Tagged, identities: dict[str, str]) -> tuple[GpuProcess, ...]:
    found = []
    for line in tagged.all("app"):
        pid, memory, *cgroup = line.split(None, 2)
        own = [
            n for n, identity in identities.items() if re.search(rf"(?:^|[/:-]){re.escape(identity)}", "".join(cgroup))
        ]
        found.append(GpuProcess(int(pid), integer(memory), own[0] if own else ""))
    return tuple(found)


SUBJECT = Subject("service-proof", _SCRIPT, parse, ServiceProof(), seconds=300, limit=100_000)


class ServicesProof(SubjectFact[ServiceProof]):
    """State, health and GPU of the services that are asked for."""

    subject = SUBJECT

    @override
    def command(self, containers: tuple[str, ...] = (), units: tuple[str, ...] = ()) -> str:
        asked = f"containers={shlex.quote(' '.join(containers))} units={shlex.quote(' '.join(units))}\n"
        return build_command([replace(self.subject, script=asked + self.subject.script)])
