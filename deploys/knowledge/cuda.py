"""CUDA toolkits: the driver that each was made with, the oldest driver that runs it at all, and what a GPU must be."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source

_NOTES = Source("NVIDIA CUDA toolkit release notes, table of toolkit and driver versions (copies)", "2026-11-22")
_PAIRS = Source("github GoogleCloudPlatform/compute-gpu-installation, pairs of toolkit and driver", "2026-11-22")
_UNBUNDLED = Source(
    "third-party copies of the CUDA 13.4 release notes: no driver bundled, features of R615", "2026-11-22"
)
_COMPATIBILITY = Source("NVIDIA CUDA compatibility guide: minor-version and forward compatibility", "2026-11-22")


@dataclass(frozen=True)
class CudaRelease:
    """One toolkit ("12.4"): `driver` is the lowest driver that runs everything in it."""

    version: str
    driver: str
    source: Source


@dataclass(frozen=True)
class CudaFamily:
    """All toolkits of one major version: `driver` is the lowest that runs them by minor-version compatibility.

    Below a toolkit's own driver, new features and PTX that is compiled on the host do not work.
    """

    major: int
    driver: str
    source: Source


# Oldest first.
RELEASES: tuple[CudaRelease, ...] = (
    CudaRelease("11.4", "470.42.01", _NOTES),
    CudaRelease("11.5", "495.29.05", _NOTES),
    CudaRelease("11.6", "510.39.01", _NOTES),
    CudaRelease("11.7", "515.43.04", _NOTES),
    CudaRelease("11.8", "520.61.05", _NOTES),
    CudaRelease("12.0", "525.60.13", _NOTES),
    CudaRelease("12.1", "530.30.02", _NOTES),
    CudaRelease("12.2", "535.54.03", _NOTES),
    CudaRelease("12.3", "545.23.06", _NOTES),
    CudaRelease("12.4", "550.54.14", _NOTES),
    CudaRelease("12.5", "555.42.02", _NOTES),
    CudaRelease("12.6", "560.28.03", _NOTES),
    CudaRelease("12.8", "570.26", _NOTES),
    CudaRelease("12.9", "575.51.03", _NOTES),
    CudaRelease("13.0", "580.65.06", _PAIRS),
    CudaRelease("13.1", "590.44.01", _NOTES),
    CudaRelease("13.2", "595.45.04", _PAIRS),
    CudaRelease("13.3", "610.43.02", _PAIRS),
    CudaRelease("13.4", "615", _UNBUNDLED),
)

FAMILIES: tuple[CudaFamily, ...] = (
    CudaFamily(11, "450.80.02", _COMPATIBILITY),
    CudaFamily(12, "525.60.13", _COMPATIBILITY),
    CudaFamily(13, "580.65.06", _COMPATIBILITY),
)

# Forward compatibility (package cuda-compat-X-Y): a newer toolkit on an older driver.
FORWARD_COMPATIBILITY = (
    "only data-centre GPUs run a toolkit that is newer than their driver, with NVIDIA's package {package}"
)
FORWARD_SOURCE = _COMPATIBILITY


def find_release(version: str) -> CudaRelease | None:
    """The row of a toolkit, or None."""
    return next((r for r in RELEASES if r.version == version), None)


def find_family(version: str) -> CudaFamily | None:
    """The family of a toolkit ("12.4" -> 12), or None."""
    return next((f for f in FAMILIES if str(f.major) == version.partition(".")[0]), None)
