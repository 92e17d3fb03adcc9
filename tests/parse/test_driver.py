"""Driver, holders, CUDA, Docker, container toolkit, owned files and units: recorded outputs and stand-in roots."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from deploys.knowledge.paths import CONTAINERS_PROVEN, NOUVEAU_BLOCK, TOOLKIT_CONFIG
from deploys.plan.machine import CudaToolkit, Driver, FileState, Process, TextFile, UnitState
from facts import cuda, docker, driver, files, holders, toolkit, units
from tests.parse.host import link, program, read_root, write

if TYPE_CHECKING:
    from pathlib import Path

OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16)"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb  3 06:31:29 UTC 2024"
CUDA_LIB = "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.535.261.03"


@pytest.mark.parametrize(
    ("text", "loaded", "flavour"),
    [
        ("modules-readable\nasked\n", "", ""),
        ("", None, None),
        (f"modules-readable\nmodule nvidia\nloaded 550.54.14\nnvrm {OPEN}\n", "550.54.14", "open"),
        (f"modules-readable\nmodule nvidia\nnvrm {CLOSED}\n", "535.161.08", "proprietary"),
        ("modules-readable\nmodule nvidia_current\n", None, None),
        ("modules-readable\nmodule nvidia\nloaded 550.54.14\n", "550.54.14", None),
    ],
    ids=["none", "unknown", "open", "version from NVRM", "module without version", "no NVRM"],
)
def test_the_module_in_the_kernel(text: str, loaded: str | None, flavour: str | None) -> None:
    found = driver.parse(text)
    assert (found.loaded, found.loaded_flavour) == (loaded, flavour)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"library {CUDA_LIB}\ndpkg libcuda1:amd64: {CUDA_LIB}\nasked\n", Driver(user_space="535.261.03", runfile="")),
        (
            f"library {CUDA_LIB}\ndpkg libcuda1: {CUDA_LIB.removeprefix('/usr')}\nasked\n",
            Driver(user_space="535.261.03", runfile=""),
        ),
        (
            f"library {CUDA_LIB}\ndpkg diversion by glx from: {CUDA_LIB}\nasked\n",
            Driver(user_space="535.261.03", runfile="", unowned=(CUDA_LIB,)),
        ),
        (
            f"library {CUDA_LIB}\ninstaller /usr/bin/nvidia-uninstall\nlog installer version: 525.1\nasked\n",
            Driver(user_space="535.261.03", runfile="535.261.03", unowned=(CUDA_LIB,)),
        ),
        (
            "installer /usr/bin/nvidia-uninstall\nlog installer version: 525.60.13\nasked\n",
            Driver(user_space="", runfile="525.60.13"),
        ),
        ("installer /usr/bin/nvidia-installer\nasked\n", Driver(user_space="", runfile="unknown")),
        (
            "installer /usr/bin/nvidia-installer\nowned /usr/bin/nvidia-installer\nasked\n",
            Driver(user_space="", runfile=""),
        ),
        ("log installer version: 525.60.13\nasked\n", Driver(user_space="", runfile="")),
        (f"library {CUDA_LIB}\n", Driver(user_space="535.261.03", runfile=None)),
    ],
    ids=[
        "owned",
        "owned before merged /usr",
        "diverted only",
        "runfile",
        "only its uninstaller",
        "no version",
        "packaged",
        "leftover log",
        "nobody to ask",
    ],
)
def test_files_of_the_driver(text: str, expected: Driver) -> None:
    found = driver.parse(f"searched\nmodules-readable\n{text}")
    assert (found.user_space, found.runfile, found.unowned) == (expected.user_space, expected.runfile, expected.unowned)


def test_the_driver_fragment_finds_what_no_package_owns(tmp_path: Path) -> None:
    lib = "/usr/lib/x86_64-linux-gnu"
    for name in ("libcuda.so.570.1.2", "nvidia/current/libnvidia-ml.so.535.261.03"):
        write(tmp_path, f"{lib}/{name}")
    link(tmp_path, f"{lib}/libcuda.so.1", f"{lib}/libcuda.so.570.1.2")
    write(tmp_path, "/usr/bin/nvidia-uninstall")
    write(tmp_path, "/var/lib/dpkg/info/base-files.list")
    write(tmp_path, "/sys/module/nvidia/version", "570.1.2\n")
    write(tmp_path, "/proc/driver/nvidia/version", f"{OPEN}\nGCC version: gcc 12\n")
    owned = f"{tmp_path}{lib}/nvidia/current/libnvidia-ml.so.535.261.03"
    program(tmp_path, "ldconfig", "exit 1")
    found = read_root(
        driver.SUBJECT, tmp_path, program(tmp_path, "dpkg-query", f"echo 'libnvidia-ml1:amd64: {owned}'; exit 1")
    )
    assert found == Driver(
        loaded="570.1.2",
        loaded_flavour="open",
        load_tried="",
        user_space="570.1.2",
        runfile="570.1.2",
        unowned=(f"{lib}/libcuda.so.570.1.2",),
    )


def test_holders() -> None:
    text = "fd 9 /dev/nvidiactl\nfd 9 /dev/nvidia0\nfd 10 /dev/nvidia0\nprocess 9 root python3 -m vllm\nfd x /dev/nvidia0\n"
    assert holders.parse(text) == (
        Process(9, "root", "python3 -m vllm", ("/dev/nvidia0", "/dev/nvidiactl")),
        Process(10, None, None, ("/dev/nvidia0",)),
    )


def test_nvcc_in_its_usual_places(tmp_path: Path) -> None:
    for version in ("11.8", "12.4"):
        nvcc = write(
            tmp_path,
            f"/usr/local/cuda-{version}/bin/nvcc",
            f"#!/bin/sh\necho 'Cuda compilation tools, release {version}, V{version}.131'\n",
        )
        nvcc.chmod(0o755)
    link(tmp_path, "/usr/local/cuda", "/usr/local/cuda-12.4")
    write(tmp_path, "/opt/cuda/bin/nvcc", "#!/bin/sh\nexit 1\n").chmod(0o755)
    found = read_root(cuda.SUBJECT, tmp_path)
    assert CudaToolkit("/opt/cuda", None) in found
    assert [t for t in found if t.path.startswith("/usr/local")] == [
        CudaToolkit("/usr/local/cuda-11.8", "11.8"),
        CudaToolkit("/usr/local/cuda-12.4", "12.4"),
    ]


INFO = '{"ServerVersion":"26.1.5+dfsg1","Runtimes":{"runc":{},"nvidia":{}},"DefaultRuntime":"runc","CgroupDriver":"systemd","ContainersRunning":3,"LiveRestoreEnabled":true}'


def test_a_running_engine() -> None:
    found = docker.parse(
        f"looked\nclient Docker version 26.1.5+dfsg1, build a72d7cd\ncompose Docker Compose version v2.26.1\ninfo WARNING: bridge\ninfo {INFO}\n"
    )
    assert (found.client, found.engine, found.engine_error, found.impostor) == ("26.1.5+dfsg1", "26.1.5+dfsg1", "", "")
    assert (found.runtimes, found.default_runtime, found.cgroup_driver) == (("nvidia", "runc"), "runc", "systemd")
    assert (found.running, found.live_restore, found.compose, found.compose_v1) == (3, True, "2.26.1", "")


EMPTY = INFO.replace("26.1.5+dfsg1", "").replace("3", "0")
CANNOT = "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("text", "client", "engine", "error", "impostor"),
    [
        ("looked\nabsent\n", "", "", "", ""),
        (
            "looked\nclient Docker version 19.03.15, build x\nengine-down\n",
            "19.03.15",
            "",
            "the engine is not running",
            "",
        ),
        (
            f"looked\nclient Docker version 20.10.24+dfsg1, build x\ninfo {EMPTY}\ninfo {CANNOT}\n",
            "20.10.24+dfsg1",
            None,
            CANNOT,
            "",
        ),
        ("looked\nclient Docker version 20.10.24, build x\n", "20.10.24", None, "docker info gave no answer", ""),
        ("looked\nclient podman version 4.3.1\n", "", None, "docker info gave no answer", "podman"),
        ("looked\nimpostor snap\n", "", "", "", "snap"),
        ("looked\nimpostor podman\n", "", "", "", "podman"),
    ],
    ids=["absent", "down", "no connection", "no answer", "podman's banner", "snap", "podman"],
)
def test_docker_without_an_engine(text: str, client: str, engine: str | None, error: str, impostor: str) -> None:
    found = docker.parse(text)
    assert (found.client, found.engine, found.engine_error, found.impostor) == (client, engine, error, impostor)
    assert (found.running, found.runtimes, found.live_restore) == (None, (), None)


def test_compose_version_1_is_told_from_version_2() -> None:
    assert (
        docker.parse("looked\nabsent\ncompose-program docker-compose version 1.29.2, build unknown\n").compose_v1
        == "1.29.2"
    )
    assert docker.parse("looked\nabsent\ncompose-program Docker Compose version 2.26.1-4\n").compose_v1 == ""


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("/snap/docker/current/bin/docker", "echo x", "snap"),
        ("/usr/bin/podman", "echo x", "podman"),
        (None, 'exec podman "$@"', "podman"),
    ],
    ids=["snap", "link to podman", "script of podman"],
)
def test_a_command_that_only_looks_like_docker(tmp_path: Path, target: str | None, body: str, expected: str) -> None:
    if target:
        write(tmp_path, target, "#!/bin/sh\n").chmod(0o755)
        link(tmp_path, "/stubs/docker", target)
    path = program(tmp_path, "docker" if target is None else "other", body)
    fragment = docker.SUBJECT.script.replace("/snap/*", "*/snap/*")
    found = read_root(type(docker.SUBJECT)("docker", fragment, docker.parse, docker.SUBJECT.unknown), tmp_path, path)
    assert found.impostor == expected


def test_the_engine_is_not_woken(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    path = program(
        tmp_path, "docker", f'case "$*" in *info*) touch {asked} ;; esac; echo "Docker version 26.1.5, build x"'
    )
    write(tmp_path, "/etc/docker/daemon.json", '{"log-driver": "local"}\n')
    found = read_root(docker.SUBJECT, tmp_path, path)
    assert (found.client, found.engine, asked.exists()) == ("26.1.5", "", False)
    assert found.daemon_json == TextFile("/etc/docker/daemon.json", '{"log-driver": "local"}\n')
    assert found.daemon_json_exists is True


def test_a_daemon_json_beyond_ascii_is_kept_exactly(tmp_path: Path) -> None:
    text = '{"labels": ["site=Köln"],\r\n "debug": true}'
    write(tmp_path, "/etc/docker/daemon.json", text)
    assert read_root(docker.SUBJECT, tmp_path).daemon_json.content == text


def test_container_toolkit(tmp_path: Path) -> None:
    write(tmp_path, "/etc/cdi/nvidia.yaml", "cdiVersion: 0.5.0\n")
    program(tmp_path, "nvidia-container-runtime", "exit 0")
    path = program(tmp_path, "nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.20.0'; echo 'commit: 0d5a'")
    found = read_root(toolkit.SUBJECT, tmp_path, path)
    assert (found.version, found.runtime) == ("1.20.0", "/stubs/nvidia-container-runtime")
    assert found.cdi_specs == {"/etc/cdi/nvidia.yaml": hashlib.sha256(b"cdiVersion: 0.5.0\n").hexdigest()}
    assert (found.config, found.proven) == ("", ())
    write(tmp_path, TOOLKIT_CONFIG, "disable-require = false\n")
    write(tmp_path, CONTAINERS_PROVEN, "5f2d 2026-11-28T07:00:00Z all\n")
    found = read_root(toolkit.SUBJECT, tmp_path, path)
    assert found.config == hashlib.sha256(b"disable-require = false\n").hexdigest()
    assert (found.proven, len(found.cdi_specs)) == (("5f2d", "2026-11-28T07:00:00Z", "all"), 1)
    assert toolkit.parse("looked\nabsent\n").version == ""


def test_owned_files(tmp_path: Path) -> None:
    write(tmp_path, NOUVEAU_BLOCK, "blacklist nouveau\n").chmod(0o640)
    found = {path.removeprefix(str(tmp_path)): state for path, state in _files(tmp_path).items()}
    assert found[NOUVEAU_BLOCK].sha256 == hashlib.sha256(b"blacklist nouveau\n").hexdigest()
    assert found[NOUVEAU_BLOCK].mode == "640"
    assert found["/etc/docker/daemon.json"] == FileState("/etc/docker/daemon.json", "")
    assert set(found) == set(files.PATHS)


def _files(root: Path) -> dict[str, FileState]:
    record = read_root(files.SUBJECT, root)
    assert isinstance(record, dict)
    return record


def test_a_folder_in_place_of_a_file_is_unknown(tmp_path: Path) -> None:
    (tmp_path / NOUVEAU_BLOCK.lstrip("/")).mkdir(parents=True)
    assert NOUVEAU_BLOCK not in _files(tmp_path)


def test_units() -> None:
    text = "Id=docker.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\nId=x.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
    assert units.parse(text) == {
        "docker.service": UnitState("docker.service", "loaded", "active", "enabled"),
        "x.service": UnitState("x.service", "not-found", "inactive", ""),
    }
    assert units.parse("Id=docker.service\nLoadState=loaded\n") == {}


def test_runtimes_are_asked_for_by_name_only() -> None:
    """Since Docker 25 the features of each runtime are kilobytes long: with a third runtime the answer was cut off."""
    template = docker.SUBJECT.script.split("format='")[1].split("'")[0]
    assert "json .Runtimes" not in template
    answer = '{"ServerVersion":"26.1.5","Runtimes":{ "io.containerd.runc.v2":1,"nvidia":1,"runc":1,"":0}}'
    found = docker.parse(f"looked\nclient Docker version 26.1.5\ninfo {answer}\n")
    assert (found.engine, found.runtimes) == ("26.1.5", ("io.containerd.runc.v2", "nvidia", "runc"))
