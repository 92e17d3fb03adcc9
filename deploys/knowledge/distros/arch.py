"""Arch Linux's room, with Manjaro and EndeavourOS: everything from the official repositories, which carry open modules only."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.records import WHOLE_ROAD, Archive, AurRecipe, Distro, DriverOffer, PackageOffer, Source

_EXTRA = Source(
    "archlinux.org package pages and news of 2025-12-20 (copies); github endeavouros-team/PKGBUILDS", "2026-11-22"
)
_AUR = Source("aur.archlinux.org page of nvidia-580xx-utils; names from CachyOS/chwd", "2026-11-22")
_AUR_NAMES = Source("third-party lists of AUR packages; versions are the last of their branch", "2026-11-22")
_KEYS = Source(
    "pacman-key(8): the keys that a host trusts are a folder of its own; pacman.conf of pacman", "2026-11-28"
)


def _legacy(branch: str, version: str, why: str, source: Source) -> AurRecipe:
    names = (f"nvidia-{branch}xx-dkms", f"nvidia-{branch}xx-utils")
    return AurRecipe(names[1], names, why, source, branch, version)


ARCH = Distro(
    id="arch",
    version="",
    name="Arch Linux",
    codename="",
    manager="pacman",
    headers={
        "": "linux-headers",
        "-lts": "linux-lts-headers",
        "-zen": "linux-zen-headers",
        "-hardened": "linux-hardened-headers",
    },
    header_metas={},
    build_packages=("dkms", "gcc", "make", "python"),
    driver=DriverOffer(
        branch="615",
        user_space_version="615.71.09",
        user_space=("nvidia-utils",),
        libraries=("nvidia-utils",),
        kernel_modules={"open": ("nvidia-open-dkms",)},
        versions={"open": "615.71.09"},
        why="the only branch of a rolling release; since 590 its modules are the open ones",
        source=_EXTRA,
    ),
    cuda=PackageOffer("13.4", ("cuda",), "the only toolkit in the official repositories, in /opt/cuda", _EXTRA),
    docker=PackageOffer("29", ("docker", "docker-buildx"), "the engine of the official repositories", _EXTRA),
    compose=PackageOffer("2", ("docker-compose",), "Compose v2 as a plugin of the client", _EXTRA),
    runtime=PackageOffer(
        "1.19",
        ("nvidia-container-toolkit",),
        "the toolkit of the official repositories, by the name of NVIDIA's own",
        _EXTRA,
    ),
    aur_url="https://aur.archlinux.org",
    aur_drivers=(
        _legacy("580", "580.159.03", "the last branch for Maxwell, Pascal and Volta", _AUR),
        _legacy("470", "470.256.02", "the last branch for Kepler", _AUR_NAMES),
        _legacy("390", "390.157", "the last branch for Fermi", _AUR_NAMES),
    ),
    aur_runtime=AurRecipe(
        "nvidia-container-runtime",
        ("nvidia-container-runtime",),
        "asked for by gpu_container_runtime; the official repositories have its successor, nvidia-container-toolkit",
        _AUR_NAMES,
    ),
    default_driver="distro",
    default_docker="distro",
    archives=tuple(Archive(name, "/etc/pacman.d/gnupg", _KEYS) for name in ("core", "extra")),
    proven=WHOLE_ROAD,
)
ENDEAVOUROS = replace(
    ARCH, id="endeavouros", name="EndeavourOS", archives=(), proven="recorded; transactions as on Arch Linux"
)
# Manjaro names kernels and their headers after the series: linux612 has linux612-headers.
MANJARO = replace(
    ARCH,
    archives=(),
    id="manjaro",
    name="Manjaro",
    proven="recorded; transactions as on Arch Linux",
    headers={
        f"{major}.{minor}.": f"linux{major}{minor}-headers"
        for major, minor in ((6, 6), (6, 12), (6, 18), (6, 19), (7, 0))
    },
)
