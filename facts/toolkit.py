"""NVIDIA Container Toolkit and CDI specs (sources: `nvidia-ctk --version`; CDI specification, its two folders)."""

from __future__ import annotations

import re

from deploys.knowledge.paths import CONTAINERS_PROVEN, TOOLKIT_CONFIG
from deploys.plan.machine import ContainerToolkit
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, version_in

_SCRIPT = (
    f"config={TOOLKIT_CONFIG} proven={CONTAINERS_PROVEN}\n"
    r"""
echo looked
if have nvidia-ctk; then timeout 5 nvidia-ctk --version 2>&1 | head -n 3 | tag version; else echo absent; fi
have nvidia-container-runtime && echo "runtime $(command -v nvidia-container-runtime)"
set --
for f in "$config" /etc/cdi/*.yaml /etc/cdi/*.yml /etc/cdi/*.json /var/run/cdi/*.yaml /var/run/cdi/*.yml /var/run/cdi/*.json; do
  [ -f "$f" ] && set -- "$@" "$f"
done
[ $# -eq 0 ] || sha256sum "$@" | tag cdi
[ -r "$proven" ] && read -r line <"$proven" && echo "proven $line"
exit 0
"""
)


def parse(text: str) -> ContainerToolkit:
    """`version` is None for an nvidia-ctk that does not say one."""
    tagged = Tagged(text)
    if "looked" not in tagged:
        return ContainerToolkit()
    digests = {path.strip(): digest for digest, path in tagged.words("cdi", 2) if re.fullmatch(r"[0-9a-f]{64}", digest)}
    return ContainerToolkit(
        version="" if "absent" in tagged else version_in(" ".join(tagged.all("version"))),
        runtime=tagged.first("runtime") or "",
        config=digests.pop(TOOLKIT_CONFIG, ""),
        cdi_specs=dict(sorted(digests.items())),
        proven=tuple((tagged.first("proven") or "").split()),
    )


SUBJECT = Subject("toolkit", _SCRIPT, parse, ContainerToolkit())


class NvidiaContainerToolkit(SubjectFact[ContainerToolkit]):
    """The container toolkit, its runtime and its CDI specs."""

    subject = SUBJECT
