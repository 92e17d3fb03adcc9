"""Signing keys of the vendors' repositories: the file that is shipped in `knowledge/keys`, pinned by full fingerprint.

Every file was checked with gpg: the fingerprint is the published one and the self signatures verify. A row without a
file is a key whose text could be read nowhere: the host fetches it where a `pin` is known, else the operator brings it with `gpu_mirrors`.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Key:
    """One key. `published` is the vendor's name for the file, next to the packages.

    `file`: "" where the operator brings it. `fingerprint`: 40 digits, "" unknown. `expires`: ISO date, "" never.
    `digest`: hash of its self signature as OpenPGP tools call it, "" unknown; some tools refuse SHA-1 by policy.
    `sha256`: of the published text without its Version line, as NVIDIA's image recipes pin it, where nothing else is known.
    """

    name: str
    published: str
    file: str
    fingerprint: str
    why: str
    source: Source
    expires: str = ""
    digest: str = "SHA-256"
    sha256: str = ""

    @property
    def pin(self) -> str:
        """What a fetched key is judged by: its fingerprint, else "sha256:" and the digest of its text; "" nothing is known."""
        return self.fingerprint or (f"sha256:{self.sha256}" if self.sha256 else "")


CUDA_DEB_2022 = Key(
    name="cuda 3bf863cc",
    published="3bf863cc.pub",
    file="nvidia-cuda-3bf863cc.asc",
    fingerprint="EB693B3035CD5710E231E123A4B469963BF863CC",
    why="signs the repositories of Ubuntu up to 24.04 and Debian up to 12 since April 2022; replaced 7fa2af80. "
    "Its self signature is SHA-1: tools of newer releases refuse it, which have keys of their own",
    source=Source(
        "github pardus/pardus-nvidia-installer @cff549d nvidia.pub; fingerprint also in three independent "
        "public files (index 71058746883, 36933507724, 10904918615), key id in NVIDIA/cuda-repo-management issue 4",
        "2026-11-25",
    ),
    digest="SHA-1",
)

CUDA_DEBIAN_13 = Key(
    name="cuda 8793f200",
    published="8793F200.pub",
    file="nvidia-cuda-8793f200.asc",
    fingerprint="02182E60104FCDC26EAE1B8597A5D4CB8793F200",
    why="NVIDIA's key for Debian 13 alone: its apt refuses SHA-1 self signatures",
    source=Source(
        "github pardus/pardus-nvidia-installer @cff549d nvidia.pub; fingerprint also in two independent public files "
        "(index 68706970270, 69395751110)",
        "2026-11-25",
    ),
)

CUDA_UBUNTU_2604 = Key(
    name="cuda 60df8a40",
    published="60DF8A40.pub",
    file="",
    fingerprint="14BAFBC7562AD710CA04E69905FBB6DA60DF8A40",
    why="NVIDIA's key for Ubuntu 26.04 alone; its text was found in no public file, its fingerprint in four",
    source=Source(
        "fingerprint from public files of four projects (index 59703946347, 69395751110, 70884589543, "
        "70925858998): rsa4096 of 2025-11-24, Kitmaker (Ubuntu 26.04)",
        "2026-11-25",
    ),
    digest="",
)

CUDA_RPM_2022 = Key(
    name="cuda d42d0685",
    published="D42D0685.pub",
    file="nvidia-cuda-d42d0685.asc",
    fingerprint="610C7B14E068A878070DA4E99CD0A493D42D0685",
    why="signs the repositories of RHEL 8 and 9, Amazon Linux 2023, SLES 15 and Leap 15 since April 2022. "
    "Its self signature is SHA-1: hosts whose crypto policy forbids that refuse it",
    source=Source(
        "github DataLabHell/okd-nvidia-image @e07b349 and SUSE/BCI-dockerfile-generator @8b7daed, the same bytes; "
        "their sha256 without the Version line is the one that NVIDIA's own CUDA image recipes pin",
        "2026-11-25",
    ),
    digest="SHA-1",
)

CUDA_RHEL_10 = Key(
    name="cuda cdf6ba43",
    published="CDF6BA43.pub",
    file="",
    fingerprint="",
    why="NVIDIA's key for RHEL 10 alone; found in no public file, but the digest of its text in two",
    source=Source(
        "key id and sha256 from github NVIDIA/gpu-driver-container @06a208c rhel10/Dockerfile; the same sha256 in an independent public "
        "file (index 8849351531)",
        "2026-11-27",
    ),
    digest="",
    sha256="afbea87d3b979b3788ef34223aeeb323ade481128e2c133723ae99b8a51368bb",
)

CUDA_FEDORA_43 = Key(
    name="cuda 1940c73e",
    published="1940C73E.pub",
    file="",
    fingerprint="",
    why="NVIDIA's key for Fedora 43 alone; found in no public file",
    source=Source("key id from public repository catalogues (index 68867227759, 68934079376)", "2026-11-25"),
    digest="",
)

CUDA_FEDORA_44 = Key(
    name="cuda 73cd9b30",
    published="73CD9B30.pub",
    file="nvidia-cuda-73cd9b30.asc",
    fingerprint="129994480EC63D2789BC98E490DFED2F73CD9B30",
    why="NVIDIA's key for Fedora 44 alone: each Fedora release gets a new one",
    source=Source(
        "github mheci/doors @be4e084 RPM-GPG-KEY-nvidia-cuda (its pinned sha256 fits); fingerprint also in an "
        "independent distribution's build notes (index 68398908154)",
        "2026-11-25",
    ),
)

CUDA_SUSE_16 = Key(
    name="cuda 3a8b5622",
    published="3A8B5622.pub",
    file="nvidia-cuda-3a8b5622.asc",
    fingerprint="CF65941A859D4B4E6870F188736A284B3A8B5622",
    why="NVIDIA's key for SLES 16, Leap 16 and Tumbleweed",
    source=Source(
        "github SUSE/BCI-dockerfile-generator @62f3657, branch 16.0, nvidia-driver-image; fingerprint also in an "
        "independent installer (index 68947279967)",
        "2026-11-25",
    ),
)

DOCKER_DEB = Key(
    name="docker deb",
    published="gpg",
    file="docker-deb.asc",
    fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    why="signs every deb repository of Docker; its subkey 7EA0A9C3F273FCD8 makes the signatures",
    source=Source(
        "github rpm-software-management/distribution-gpg-keys @65c3eae keys/docker/debian.gpg; the same bytes in "
        "Debian's package extrepo-offline-data 1.0.3+deb12u1; fingerprint in ten independent public files",
        "2026-11-25",
    ),
    digest="SHA-512",
)

DOCKER_RPM = Key(
    name="docker rpm",
    published="gpg",
    file="docker-rpm.asc",
    fingerprint="060A61C51B558A7F742B77AAC52FEB6B621E9F35",
    why="signs every rpm repository of Docker",
    source=Source(
        "github rpm-software-management/distribution-gpg-keys @65c3eae keys/docker/fedora.gpg; fingerprint in ten "
        "independent public files (63314180226, 71425981835, 54596151125, ...)",
        "2026-11-25",
    ),
    digest="SHA-512",
)

CONTAINER_TOOLKIT = Key(
    name="nvidia-container-toolkit",
    published="gpgkey",
    file="nvidia-container-toolkit.asc",
    fingerprint="C95B321B61E88C1809C4F759DDCAE044F796ECB0",
    why="signs the deb and the rpm repository of the toolkit alike; its only subkey expired in 2021, the "
    "primary key signs",
    source=Source(
        "NVIDIA/nvidia-docker gh-pages gpgkey; the same key in Debian's package extrepo-offline-data", "2026-11-25"
    ),
    digest="SHA-512",
)

KEYS = (
    CUDA_DEB_2022,
    CUDA_DEBIAN_13,
    CUDA_UBUNTU_2604,
    CUDA_RPM_2022,
    CUDA_RHEL_10,
    CUDA_FEDORA_43,
    CUDA_FEDORA_44,
    CUDA_SUSE_16,
    DOCKER_DEB,
    DOCKER_RPM,
    CONTAINER_TOOLKIT,
)
