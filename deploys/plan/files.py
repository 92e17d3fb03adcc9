"""DECIDE: the files that a host gets, and its own package sources with our edit in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from deploys.knowledge.paths import (
    CUDA_LOADER,
    CUDA_PROFILE,
    DOCKER_PROXY_UNIT,
    DOCKER_PROXY_VALUES,
    FABRIC_MODULES,
    NOUVEAU_BLOCK,
)
from deploys.knowledge.records import Distro
from deploys.plan.apt_sources import enable_components
from deploys.plan.machine import Machine, TextFile
from deploys.plan.settings_proxy import Proxy

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
class Fetch:
    """Where a key is published, and the full fingerprint that it must have, or "sha256:" and the digest of its text."""

    url: str
    fingerprint: str


@dataclass(frozen=True)
class FileChange:
    """A whole file of ours (or, for package sources, the host's file with our edit). `mode` is octal text or KEEP.

    With `fetch` and without content, the text is fetched by the host and judged before it is used.
    """

    path: str
    content: str
    why: str
    mode: str = "644"
    fetch: Fetch | None = None


@dataclass(frozen=True)
class Packed:
    """A folder that travels: `text` is a tar in base64, `digest` that of its names, modes and contents."""

    name: str
    text: str
    digest: str


def digest(content: str) -> str:
    """sha256 of a file's text, as the probe reports it."""
    return hashlib.sha256(content.encode()).hexdigest()


def our_files(parts: frozenset[str], proxy: Proxy | None = None) -> tuple[FileChange, ...]:
    """Whole files of ours that this plan needs, beside those of its repositories."""
    files = [FileChange(NOUVEAU_BLOCK, NOUVEAU_TEXT, "nouveau must not claim the GPUs")]
    if "cuda" in parts:
        files += [
            FileChange(CUDA_PROFILE, _CUDA_PROFILE_TEXT, "PATH to nvcc for login shells"),
            FileChange(
                CUDA_LOADER, _CUDA_LOADER_TEXT, "loader path for toolkits outside the distribution's own folders"
            ),
        ]
    if "docker" in parts and proxy:
        values = "".join(f"{key}={value}\n" for key, value in proxy.variables().items())
        files += [
            FileChange(
                DOCKER_PROXY_VALUES, f"# Written by gpu-host\n{values}", "the proxy of dockerd, for root only", "600"
            ),
            FileChange(DOCKER_PROXY_UNIT, _DOCKER_PROXY_TEXT, "dockerd pulls images through the proxy"),
        ]
    return tuple(files)


def fabric_files(modules: tuple[str, ...]) -> tuple[FileChange, ...]:
    """The kernel modules that the fabric of a host needs beside NVIDIA's, loaded at every boot."""
    if not modules:
        return ()
    text = "\n".join(["# Written by gpu-host: Fabric Manager does not start without these", *modules]) + "\n"
    return (FileChange(FABRIC_MODULES, text, f"Fabric Manager does not start without {', '.join(modules)}"),)


_CUDA_PROFILE_TEXT = """\
# Written by gpu-host: CUDA toolkits outside the distribution's own folders.
if [ -d /usr/local/cuda/bin ]; then
    case ":$PATH:" in
        *:/usr/local/cuda/bin:*) ;;
        *) PATH="/usr/local/cuda/bin:$PATH"; export PATH ;;
    esac
fi
"""
_DOCKER_PROXY_TEXT = f"# Written by gpu-host\n[Service]\nEnvironmentFile=-{DOCKER_PROXY_VALUES}\n"
_CUDA_LOADER_TEXT = "# Written by gpu-host\n/usr/local/cuda/lib64\n"


def edited_sources(machine: Machine, distro: Distro) -> tuple[FileChange, ...]:
    """The host's own sources that lack a component, with it; mode, owner and mirror stay."""
    if not distro.components:
        return ()
    changed: tuple[TextFile, ...] = enable_components(
        machine.packages.sources, distro.codename, distro.components, distro.archive_keys
    )
    why = f"components {' '.join(distro.components)}; mirror and everything else as they were"
    return tuple(FileChange(f.path, f.content or "", why, mode=KEEP) for f in changed)
