"""State of the systemd units that decide something (source: systemctl(1), `show`)."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.paths import UNITS
from deploys.plan.machine import UnitState
from facts.base import SubjectFact
from facts.subject import Subject

# "disabled" may be as old as systemd's last reload, which a host with GPUs in use does not get; is-enabled looks at the disk.
_SCRIPT = f"""
need systemctl
[ -d /run/systemd/system ] || {{ echo 'missing systemd as the init of this machine'; exit 69; }}
shown=$(systemctl show -p Id,LoadState,ActiveState,UnitFileState {" ".join(UNITS)}) || exit
printf '%s\\n' "$shown"
printf '%s\\n' "$shown" | while IFS= read -r line; do
  case $line in
    Id=*) unit=${{line#Id=}} ;;
    UnitFileState=disabled) printf '\\nId=%s\\nOnDisk=%s\\n' "$unit" "$(systemctl is-enabled "$unit")" ;;
  esac
done
exit 0
"""


def parse(text: str) -> dict[str, UnitState]:
    """Units by name. `enabled` is "" for a unit that is not there."""
    found: dict[str, UnitState] = {}
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
        name, load, active = (fields.get(key, "").strip() for key in ("Id", "LoadState", "ActiveState"))
        if name and load and active:
            found[name] = UnitState(name, load=load, active=active, enabled=fields.get("UnitFileState", "").strip())
        elif name in found and fields.get("OnDisk"):
            found[name] = replace(found[name], enabled=fields["OnDisk"].strip())
    return dict(sorted(found.items()))


_NONE: dict[str, UnitState] = {}
SUBJECT = Subject("units", _SCRIPT, parse, _NONE, limit=16_000)


class SystemdUnits(SubjectFact[dict[str, UnitState]]):
    """State of each unit that decides something."""

    subject = SUBJECT
