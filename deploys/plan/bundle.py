"""DECIDE: the package sources of a site without internet: the vendors' own signed indexes, below one address of the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploys.knowledge.paths import repository_files
from deploys.knowledge.records import Distro
from deploys.plan.machine import Machine
from deploys.plan.repositories import base_url, key_file
from deploys.plan.settings import Settings


@dataclass(frozen=True)
class BundleSource:
    """One source. `name` is its folder in the bundle, `url` where it is collected from, `signed_by` a keyring's path or a key's text."""

    name: str
    url: str
    suites: str
    components: str
    signed_by: str

    def stanza(self, base: str | None) -> str:
        """As apt reads it (source: sources.list(5), deb822): from its own address or, with `base`, out of the bundle there."""
        lines = [
            "Types: deb",
            f"URIs: {f'{base}/{self.name}' if base else self.url}",
            f"Suites: {self.suites}",
            *([f"Components: {self.components}"] if self.components else []),
            "Architectures: amd64",
        ]
        if self.signed_by.startswith("/"):
            return "\n".join([*lines, f"Signed-By: {self.signed_by}"]) + "\n"
        key = [f" {line}" if line.strip() else " ." for line in self.signed_by.strip().splitlines()]
        return "\n".join([*lines, "Signed-By:", *key]) + "\n"


def bundle_sources(
    machine: Machine, settings: Settings, distro: Distro, repositories: Sequence[str]
) -> tuple[BundleSource, ...]:
    """Everything that a plan's packages come from: the distribution's archive (whose mirrors the operator knows) and the vendors' repositories."""
    found = [BundleSource(a.name, "", a.suites, a.components, a.keyring) for a in distro.archives]
    for name in repositories:
        repository = distro.repository(name)
        if repository and repository.kind == "deb":
            key = key_file(machine, repository, settings, repository_files(distro.manager, name)[0])
            url = base_url(repository, settings)
            found.append(BundleSource(name, url, repository.suite, repository.components, key.content))
    return tuple(found)


def sources_text(sources: Sequence[BundleSource], base: str | None = None) -> str:
    """All sources as one file."""
    return "# Written by gpu-host\n" + "\n".join(s.stanza(base) for s in sources)


def bundle_address(text: str) -> str:
    """The address of the bundle whose sources these are ("" none)."""
    first = next((line for line in text.splitlines() if line.startswith("URIs: ")), "")
    return first.removeprefix("URIs: ").rpartition("/")[0]
