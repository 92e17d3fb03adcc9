"""DECIDE: the files that a host gets, and its own package sources with our edit in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from deploys.knowledge.keys import read_key
from deploys.knowledge.paths import CUDA_LOADER, CUDA_PROFILE, NOUVEAU_BLOCK, TOOLKIT_KEY, TOOLKIT_SOURCE
from deploys.knowledge.records import Distro, Repository
from deploys.plan.apt_sources import enable_components
from deploys.plan.machine import Machine, TextFile
from deploys.plan.settings import Settings

NOUVEAU_TEXT = """\
# Written by gpu-host: nouveau and nova must not claim the GPUs that the NVIDIA driver serves.
blacklist nouveau
blacklist nova_core
options nouveau modeset=0
install nouveau /bin/false
install nova_core /bin/false
"""


# Mode of a file that is the host's own: mode, owner and group stay as they are.
KEEP = ""


@dataclass(frozen=True)
class FileChange:
    """A whole file of ours (or, for package sources, the host's file with our edit). `mode` is octal text or KEEP."""

    path: str
    content: str
    why: str
    mode: str = "644"


def digest(content: str) -> str:
    """sha256 of a file's text, as the probe reports it."""
    return hashlib.sha256(content.encode()).hexdigest()


def our_files(machine: Machine, parts: frozenset[str], distro: Distro, settings: Settings) -> tuple[FileChange, ...]:
    """Whole files of ours that this plan needs."""
    files = [FileChange(NOUVEAU_BLOCK, NOUVEAU_TEXT, "nouveau must not claim the GPUs")]
    if "cuda" in parts:
        files += [
            FileChange(CUDA_PROFILE, _CUDA_PROFILE_TEXT, "PATH to nvcc for login shells"),
            FileChange(
                CUDA_LOADER, _CUDA_LOADER_TEXT, "loader path for toolkits outside the distribution's own folders"
            ),
        ]
    if "runtime" in parts and not toolkit_source(machine, distro, settings):
        repository = distro.repositories["nvidia-container-toolkit"]
        files += [
            FileChange(
                TOOLKIT_KEY, repository_key(repository, settings), "signing key, pinned by its full fingerprint"
            ),
            FileChange(TOOLKIT_SOURCE, _source_text(repository, settings), "repository of the container toolkit"),
        ]
    return tuple(files)


def toolkit_source(machine: Machine, distro: Distro, settings: Settings) -> str:
    """The host's own source file that names the container toolkit's repository already, "" when none does.

    A second file for the same URI with another key would make apt refuse all sources.
    """
    repository = distro.repositories["nvidia-container-toolkit"]
    mirror = settings.mirrors.get(repository.name)
    url = (mirror.url if mirror else repository.url).rstrip("/").split("://", 1)[-1]
    for source in machine.packages.sources:
        lines = [line for line in (source.content or "").splitlines() if not line.lstrip().startswith("#")]
        if source.path != TOOLKIT_SOURCE and any(url in line.replace("$(ARCH)", "amd64") for line in lines):
            return source.path
    return ""


def repository_key(repository: Repository, settings: Settings) -> str:
    """Armoured key of a repository: the mirror's own where it re-signs, else the vendor's that is shipped here."""
    mirror = settings.mirrors.get(repository.name)
    return mirror.key if mirror and mirror.key else read_key(repository.key)


_CUDA_PROFILE_TEXT = """\
# Written by gpu-host: CUDA toolkits outside the distribution's own folders.
if [ -d /usr/local/cuda/bin ]; then
    case ":$PATH:" in
        *:/usr/local/cuda/bin:*) ;;
        *) PATH="/usr/local/cuda/bin:$PATH"; export PATH ;;
    esac
fi
"""
_CUDA_LOADER_TEXT = "# Written by gpu-host\n/usr/local/cuda/lib64\n"


def _source_text(repository: Repository, settings: Settings) -> str:
    mirror = settings.mirrors.get(repository.name)
    lines = [
        "# Written by gpu-host",
        "Types: deb",
        f"URIs: {mirror.url if mirror else repository.url}",
        f"Suites: {repository.suite}",
        *([f"Components: {repository.components}"] if repository.components else []),
        f"Signed-By: {TOOLKIT_KEY}",
    ]
    return "\n".join(lines) + "\n"


def edited_sources(machine: Machine, distro: Distro) -> tuple[FileChange, ...]:
    """The host's own sources that lack a component, with it; mode, owner and mirror stay."""
    changed: tuple[TextFile, ...] = enable_components(
        machine.packages.sources, distro.codename, distro.components, distro.archive_keys
    )
    why = f"components {' '.join(distro.components)}; mirror and everything else as they were"
    return tuple(FileChange(f.path, f.content or "", why, mode=KEEP) for f in changed)
