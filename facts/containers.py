"""What is there of the model services: our containers, the images that are asked for, files of ours (source: docker(1))."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from typing_extensions import override

from deploys.knowledge.paths import CONFIG_LABEL, SERVICE_LABEL
from deploys.plan.machine import ServiceContainer
from facts.base import SubjectFact
from facts.subject import Subject, build_command
from facts.text import Tagged

_FORMAT = (
    '{"name":{{json .Name}},"config":{{json (index .Config.Labels "' + CONFIG_LABEL + '")}},"image":{{json .Image}},'
    '"state":{{json .State.Status}}}'
)
_SCRIPT = f"""
for f in $files; do
  [ -r "$f" ] && sha256sum "$f" | tag file-digest
  case $f in *.service) u=${{f##*/}}; echo "unit $u $(systemctl show -p ActiveState --value "$u")" ;; esac
done
echo asked
have docker && systemctl is-active --quiet docker.service || exit 0
run() {{ timeout 20 docker -H unix:///var/run/docker.sock "$@"; }}
ids=$(run ps -a -q --no-trunc --filter label={SERVICE_LABEL}) || exit 0
echo engine
[ -z "$ids" ] || run inspect --format '{_FORMAT}' $ids | tag container
for i in $images; do id=$(run image inspect --format '{{{{.Id}}}}' "$i" 2>/dev/null) && echo "image $i $id"; done
exit 0
"""


@dataclass(frozen=True)
class Services:
    """`containers` of ours by name, None where no engine answered; `images` maps a reference to its id, `files` a path to its SHA-256,
    `units` a unit to its state.
    """

    containers: Mapping[str, ServiceContainer] | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Services:
    """What the host said; a line that is no answer is left out."""
    tagged = Tagged(text)
    found: dict[str, ServiceContainer] = {}
    for line in tagged.all("container"):
        try:
            row = json.loads(line)
            one = ServiceContainer(*(str(row[name] or "") for name in ("name", "config", "image", "state")))
        except (ValueError, KeyError, TypeError):
            continue
        found[one.name.lstrip("/")] = replace(one, name=one.name.lstrip("/"))
    return Services(
        containers=found if "engine" in tagged else None,
        images=dict(tagged.words("image", 2)),
        files={path: digest for digest, path in tagged.words("file-digest", 2)},
        units=dict(tagged.words("unit", 2)),
    )


SUBJECT = Subject("services", _SCRIPT, parse, Services(), seconds=60, limit=200_000)


class ModelServices(SubjectFact[Services]):
    """Our containers, and the ids and digests of the images and files that are asked for."""

    subject = SUBJECT

    @override
    def command(self, images: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> str:
        asked = f"images={shlex.quote(' '.join(images))} files={shlex.quote(' '.join(files))}\n"
        return build_command([replace(self.subject, script=asked + self.subject.script)])
