"""DECIDE: which vendors' repositories a host gets, as files of ours: a key and a source each."""

from __future__ import annotations

from collections.abc import Callable

from deploys.knowledge.keys import read_key
from deploys.knowledge.managers import manager
from deploys.knowledge.paths import repository_files
from deploys.knowledge.records import Distro, Repository
from deploys.plan.files import Fetch, FileChange
from deploys.plan.machine import Machine
from deploys.plan.openpgp import is_pinned
from deploys.plan.settings import Settings

CUDA, DOCKER, CONTAINER_TOOLKIT = "cuda", "docker", "nvidia-container-toolkit"


def base_url(repository: Repository, settings: Settings) -> str:
    """Where the repository is: the operator's mirror of it, else the vendor's own address."""
    mirror = settings.mirrors.get(repository.name)
    return (mirror.url if mirror else repository.url).rstrip("/")


def key_file(machine: Machine, repository: Repository, settings: Settings, path: str) -> FileChange:
    """The key of a repository as a file: the operator's, else the one that is shipped, else the vendor's by its pinned fingerprint.

    A key of that fingerprint that lies on the host already is not fetched again.
    """
    why = "signing key, pinned by its full fingerprint"
    mirror = settings.mirrors.get(repository.name)
    if mirror and mirror.key:
        return FileChange(path, mirror.key, why)
    if repository.key:
        return FileChange(path, read_key(repository.key), why)
    if not (repository.fingerprint and repository.key_path):
        return FileChange(path, "", why)
    known = machine.files.get(path)
    text = known.text if known and is_pinned(known.text, repository.fingerprint) else ""
    url = f"{base_url(repository, settings)}/{repository.key_path}"
    if ":" in repository.fingerprint:
        why = "signing key, pinned by the digest of its text"
    return FileChange(path, text, f"{why}, fetched from {url}", fetch=Fetch(url, repository.fingerprint))


def present_source(machine: Machine, distro: Distro, settings: Settings, name: str) -> str:
    """The host's own source file that names the repository already, "" when none does.

    A second file for the same address with another key would make the manager refuse all sources.
    """
    repository = distro.repository(name)
    if repository is None:
        return ""
    address = base_url(repository, settings).split("://", 1)[-1]
    ours = repository_files(distro.manager, name)
    for source in machine.packages.sources:
        lines = [line for line in (source.content or "").splitlines() if not line.lstrip().startswith("#")]
        plain = [line.replace("$(ARCH)", "amd64").replace("$basearch", "x86_64") for line in lines]
        if source.path not in ours and any(address in line for line in plain):
            return source.path
    return ""


def our_repositories(
    machine: Machine, distro: Distro, settings: Settings, names: tuple[str, ...]
) -> tuple[FileChange, ...]:
    """Key and source of each repository that the plan uses and the host does not have yet."""
    files: list[FileChange] = []
    for name in names:
        repository = distro.repository(name)
        if repository is None or present_source(machine, distro, settings, name):
            continue
        key, source = repository_files(distro.manager, name)
        text = source_text(distro.manager, repository, base_url(repository, settings), key)
        files += [
            key_file(machine, repository, settings, key),
            FileChange(source, text, f"repository {repository.name}"),
        ]
    return tuple(files)


def source_text(manager_name: str, repository: Repository, url: str, key: str) -> str:
    """A repository as its package manager reads it; `key` is the path of its key."""
    return _TEXTS[manager(manager_name).sources_as](repository, url, key)


def _deb822(repository: Repository, url: str, key: str) -> str:
    lines = [
        "# Written by gpu-host",
        "Types: deb",
        f"URIs: {url}",
        f"Suites: {repository.suite}",
        *([f"Components: {repository.components}"] if repository.components else []),
        f"Signed-By: {key}",
    ]
    return "\n".join(lines) + "\n"


def _repo(repository: Repository, url: str, key: str) -> str:
    lines = [
        "# Written by gpu-host",
        f"[gpu-host-{repository.name}]",
        f"name={repository.name} (gpu-host)",
        f"baseurl={url}",
        "enabled=1",
        f"gpgcheck={int(repository.signed_packages)}",
        f"repo_gpgcheck={int(repository.signed_index)}",
        f"gpgkey=file://{key}",
    ]
    return "\n".join(lines) + "\n"


def _zypp(repository: Repository, url: str, key: str) -> str:
    """Zypper's `gpgcheck` means the index where that is signed, else every package (source: zypper(8), GPG checks)."""
    shared = [line for line in _repo(repository, url, key).splitlines() if "gpgcheck" not in line]
    checks = ["gpgcheck=1", *(["repo_gpgcheck=1"] if repository.signed_index else [])]
    checks.append(f"pkg_gpgcheck={int(repository.signed_packages)}")
    return "\n".join([*shared, *checks, "type=rpm-md", "autorefresh=1"]) + "\n"


def _conf(repository: Repository, url: str, _key: str) -> str:
    """What a key is trusted for is the keyring's to say (source: pacman.conf(5))."""
    return f"[{repository.name}]\nServer = {url}\nSigLevel = Required DatabaseOptional\n"


_TEXTS: dict[str, Callable[[Repository, str, str], str]] = {
    "deb822": _deb822,
    "repo": _repo,
    "zypp": _zypp,
    "conf": _conf,
}
