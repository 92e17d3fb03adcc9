"""KNOW: the records of what is installed on a host: packages, driver, CUDA, Docker, files, units.

`None` means unknown, as in `machine`, which hands all of these on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploys.plan.record import Record
from deploys.plan.work import Process


@dataclass(frozen=True)
class Package(Record):
    """An installed (or half-installed) package. `status` is dpkg's three letters, or "ii " for rpm and pacman."""

    name: str
    version: str
    status: str = "ii "
    architecture: str = ""

    @property
    def installed(self) -> bool:
        return len(self.status) > 1 and self.status[1] == "i"


@dataclass(frozen=True)
class Lock(Record):
    """A package manager's lock that a process holds now. `step`: the process is a part of that step of ours ("rehearsal")."""

    path: str
    pid: int | None = None
    command: str | None = None
    step: str = ""


@dataclass(frozen=True)
class Hold(Record):
    """A package (or, of others, a pattern) that is kept at its version; `ours`: by this toolkit. `since` is the day ("2026-11-27") from which we have held `version`."""

    name: str
    ours: bool = False
    version: str = ""
    since: str = ""


@dataclass(frozen=True)
class TextFile(Record):
    """A small text file, whole. `content` is None when it could not be read or is not text."""

    path: str
    content: str | None = None


@dataclass(frozen=True)
class Packages(Record):
    """The package database as far as a GPU host is concerned.

    `installed` holds packages whose names concern GPU, CUDA, containers, kernels and building; `candidates` maps a
    name to the version that the host's own index would install now ("" when the index does not know the name).
    `origins` maps an installed package to the repository lines that offer its version (empty: none does).
    `available` maps a name to every version that the index offers, newest first. `cut_off`: a transaction of ours has not
    come to its end.
    """

    manager: str | None = None
    healthy: bool | None = None
    problems: tuple[str, ...] = ()
    cut_off: bool = False
    locks: tuple[Lock, ...] = ()
    installed: Mapping[str, Package] = field(default_factory=dict)
    candidates: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    available: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    sources: tuple[TextFile, ...] = ()

    def version(self, name: str) -> str | None:
        """Version of a package that is fully installed, else None."""
        package = self.installed.get(name)
        return package.version if package and package.installed else None


@dataclass(frozen=True)
class DkmsEntry(Record):
    """One line of `dkms status`. `kernel` is "" for state "added"."""

    module: str
    version: str
    kernel: str
    state: str


@dataclass(frozen=True)
class Driver(Record):
    """The NVIDIA driver. `loaded` and `loaded_flavour` ("proprietary" | "open") describe the module in the kernel;

    "" means that none is loaded. `user_space` is the version of libcuda/libnvidia-ml on disk. `unowned` lists driver
    files that no package owns; `unlinked` lists device nodes without their /dev/char link; `load_tried` is the version that was loaded, or tried in vain, in this boot, and `reload_tried` the one that an older module would not make room for; `runfile` is the version (or "unknown") that a .run installer left, "" when none did.
    """

    loaded: str | None = None
    loaded_flavour: str | None = None
    load_tried: str | None = None
    reload_tried: str = ""
    user_space: str | None = None
    runfile: str | None = None
    unowned: tuple[str, ...] = ()
    dkms: tuple[DkmsEntry, ...] = ()
    device_nodes: tuple[str, ...] = ()
    unlinked: tuple[str, ...] = ()
    holders: tuple[Process, ...] = ()


@dataclass(frozen=True)
class CudaToolkit(Record):
    """A CUDA toolkit: folder and version ("12.4") as its nvcc says."""

    path: str
    version: str | None


@dataclass(frozen=True)
class Docker(Record):
    """Docker client, engine and configuration.

    `client`/`engine` are versions, "" when absent. `engine_error` holds what `docker version` said instead.
    `impostor` is "podman" or "snap" when the command is not the Docker that packages install, else "".
    `cdi`: the running engine reads CDI specifications; `hook_late`: the hook of `--gpus` came, or
    changed, after its start; `gpu_containers`: names of running containers that were given a GPU; `containers`: name of every running one by its id; `flags`: long options of its command line; `unit_hosts`: its unit names sockets (-H); `rootless`: user ids that run an engine of their own.
    `runtime_flag`: dockerd was started with `--add-runtime nvidia`. `compose` is the v2 plugin's version; `compose_v1` that of the old stand-alone program.
    """

    client: str | None = None
    engine: str | None = None
    engine_error: str = ""
    impostor: str | None = None
    runtimes: tuple[str, ...] = ()
    default_runtime: str | None = None
    cgroup_driver: str | None = None
    running: int | None = None
    gpu_containers: tuple[str, ...] | None = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    live_restore: bool | None = None
    cdi: bool | None = None
    hook_late: bool = False
    runtime_flag: bool = False
    flags: tuple[str, ...] = ()
    unit_hosts: bool | None = None
    rootless: tuple[int, ...] = ()
    compose: str | None = None
    compose_v1: str | None = None
    daemon_json: TextFile | None = None
    daemon_json_exists: bool | None = None


@dataclass(frozen=True)
class ContainerToolkit(Record):
    """NVIDIA Container Toolkit: version ("" when absent), runtime binary, CDI spec files with their sha256.

    `config` is the sha256 of its configuration, "" where there is none. `proven` are the three words of CONTAINERS_PROVEN.
    """

    version: str | None = None
    runtime: str | None = None
    cdi_specs: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    proven: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileState(Record):
    """A file that this toolkit owns. `sha256` is "" when it does not exist; `mode` is "644", `owner` "user:group".

    `text` is the content of keys, which are judged by their fingerprint; "" for all others.
    """

    path: str
    sha256: str
    mode: str = ""
    owner: str = ""
    text: str = ""


@dataclass(frozen=True)
class Filesystem(Record):
    """Free space at `path` (bytes, inodes; inodes None where the file system has none). `mount` is its mount point."""

    path: str
    mount: str | None = None
    free_bytes: int | None = None
    free_inodes: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class UnitState(Record):
    """A systemd unit: `load` "loaded|not-found", `active` "active|inactive|failed", `enabled` as is-enabled says."""

    name: str
    load: str = ""
    active: str = ""
    enabled: str = ""


@dataclass(frozen=True)
class Footprint(Record):
    """What this toolkit has left on a host, as it wrote it down there.

    `packages` came with transactions of ours and are installed now, name -> "wanted" | "needed"; `edits` are records of our edits in files of
    the host, `enabled` units that we have enabled; `services` units of raw model services and `containers` of ours, name -> state
    (None: no engine answered); `paths` are those of our files and folders that are there.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    containers: Mapping[str, str] | None = None
    paths: tuple[str, ...] = ()
