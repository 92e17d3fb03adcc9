"""DECIDE: the package sources of a site without internet: the vendors' own signed indexes, below one address of the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deploys.knowledge.managers import manager
from deploys.knowledge.paths import BUNDLE_DIR, repository_files
from deploys.knowledge.records import Archive, Distro, Repository
from deploys.plan.files import Fetch, FileChange
from deploys.plan.machine import Machine
from deploys.plan.repositories import base_url, key_file, source_text
from deploys.plan.settings import Settings


@dataclass(frozen=True)
class BundleSource:
    """One source. Its name is its folder in the bundle, `url` where it is collected from, `signed_by` a keyring's path or a key's text.

    Without that text `fetch` says where the key is, and what it must be.
    """

    repository: Repository
    url: str
    signed_by: str
    fetch: Fetch | None = None

    @property
    def name(self) -> str:
        return self.repository.name

    @property
    def own_key(self) -> bool:
        """Does the key travel with the sources? That of a distribution is on each of its hosts."""
        return not self.signed_by.startswith("/")


@dataclass(frozen=True)
class Bundle:
    """The only package sources that are asked: the bundle's address, and the files that name it and its keys."""

    address: str
    files: tuple[FileChange, ...]


def bundle_sources(
    machine: Machine, settings: Settings, distro: Distro, repositories: Sequence[str]
) -> tuple[BundleSource, ...]:
    """Everything that a plan's packages come from: the distribution's archive (whose mirrors the operator knows) and the vendors' repositories."""
    form = manager(distro.manager).form
    found = [BundleSource(_own(a, form), "", a.keyring) for a in distro.archives]
    for name in repositories:
        repository = distro.repository(name)
        if repository and repository.kind == form:
            key = key_file(machine, repository, settings, repository_files(distro.manager, name)[0])
            found.append(BundleSource(repository, base_url(repository, settings), key.content, key.fetch))
    return tuple(found)


def _own(archive: Archive, form: str) -> Repository:
    """A part of the distribution's archive as a repository; beside deb packages, which have none, each package's own signature counts."""
    return Repository(
        name=archive.name,
        url="",
        key="",
        fingerprint="",
        path="",
        suite=archive.suites,
        components=archive.components,
        packages=(),
        why="the distribution's own archive",
        source=archive.source,
        kind=form,
        signed_index=form == "deb",
    )


def bundle_files(
    manager_name: str, sources: Sequence[BundleSource], base: str = "", folder: str = BUNDLE_DIR
) -> tuple[FileChange, ...]:
    """All sources as one file in `folder`, beside the keys that travel: from their own addresses or, with `base`, out of the bundle there."""
    form = manager(manager_name).sources_as
    text, keys = "", []
    for source in sources:
        key = f"{folder}/{source.name}.asc" if source.own_key else source.signed_by
        url = f"{base}/{source.name}" if base else source.url
        stanza = source_text(manager_name, source.repository, url, key) + _FURTHER[form] + "\n"
        # A distribution's own keys may be a folder of many, and are rpm's already.
        text += stanza if source.own_key or form != "zypp" else stanza.replace(f"gpgkey=file://{key}\n", "")
        if source.own_key:
            fetch = replace(source.fetch, url=f"{base}/{key_place(source)}") if source.fetch else None
            keys.append(FileChange(key, source.signed_by, f"signing key of {source.name}", fetch=fetch))
    ending = {"deb822": "sources", "conf": "conf"}.get(form, "repo")
    return (*keys, FileChange(f"{folder}/bundle.{ending}", text, "the bundle's package sources"))


# A bundle holds packages of one architecture, and all that is asked of it must be there.
_FURTHER = {"deb822": "Architectures: amd64\n", "repo": "skip_if_unavailable=0\n", "zypp": "", "conf": ""}


def key_place(source: BundleSource) -> str:
    """Where in a bundle the key lies that is known by its fingerprint only."""
    return f"{source.name}/{source.repository.key_path}"


def plan_bundle(machine: Machine, settings: Settings, distro: Distro, repositories: Sequence[str]) -> Bundle | None:
    """What a host asks for packages in place of its own sources and ours; None without a bundle."""
    if not settings.bundle:
        return None
    sources = bundle_sources(machine, settings, distro, repositories)
    return Bundle(settings.bundle, bundle_files(distro.manager, sources, settings.bundle))
