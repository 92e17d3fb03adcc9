"""Does the monitoring answer: Grafana's health, and the targets of Prometheus (source: Prometheus HTTP API, `/api/v1/targets`)."""

from __future__ import annotations

import json
from dataclasses import replace

from typing_extensions import override

from deploys.plan.machine import MonitoringProof
from facts.base import SubjectFact
from facts.subject import Subject, build_command
from facts.text import Tagged

# Whatever the host has to ask a web server with.
ASK = r"""ask() {
  if have curl; then curl -fsS --noproxy '*' -m 10 "$1"
  elif have wget; then wget -q --no-proxy -T 10 -O - "$1"
  else python3 -c 'import sys, urllib.request as u; sys.stdout.write(u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=10).read().decode())' "$1"; fi 2>/dev/null
}"""
_SCRIPT = (
    ASK
    + r"""
echo asked
ask "http://127.0.0.1:$grafana/api/health" | tr '\n' ' ' | tag grafana; echo
ask "http://127.0.0.1:$prometheus/api/v1/targets?state=active" | tr '\n' ' ' | tag targets; echo
exit 0
"""
)


def parse(text: str) -> MonitoringProof:
    """The answers; `targets` None where Prometheus gave none."""
    tagged = Tagged(text)
    try:
        grafana = json.loads(tagged.first("grafana") or "{}")
        active = json.loads(tagged.first("targets") or "{}")["data"]["activeTargets"]
        targets = {str(t["labels"]["job"]): str(t["lastError"] or t["health"]) for t in active}
    except (ValueError, KeyError, TypeError):
        grafana, targets = {}, None
    return MonitoringProof(isinstance(grafana, dict) and grafana.get("database") == "ok", targets)


SUBJECT = Subject("monitoring", _SCRIPT, parse, MonitoringProof(), seconds=45, limit=500_000)


class MonitoringAnswers(SubjectFact[MonitoringProof]):
    """Health of Grafana and of every target, on these ports of the host's loopback address."""

    subject = SUBJECT

    @override
    def command(self, prometheus: int = 9090, grafana: int = 3000) -> str:
        asked = f"prometheus={int(prometheus)} grafana={int(grafana)}\n"
        return build_command([replace(self.subject, script=asked + self.subject.script)])
