"""Docker's configuration and the proof in containers, on a real engine; what needs silicon is played, and made to lie."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploys.knowledge.paths import DAEMON_JSON
from deploys.plan.devices import device_files
from deploys.plan.gpu_access import Access, compose_fragment, docker_arguments
from tests.bed.host import Host
from tests.hosts import engine_lab
from tests.hosts.engine_lab import LIE, LIE_INSIDE, Site

FOREIGN = (
    '{"debug": false, "log-opts": {"max-size": "9m"}, "cdi-spec-dirs": ["/opt/cdi"], "features": {"buildkit": true}}'
)
CONFIGURE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from deploys.operations import docker
from deploys.plan.daemon_json import Wanted
from deploys.support.run import begin, entry

def main():
    brief = begin(decide=False)
    if brief:
        settings = brief.settings
        docker.configured(name="Docker", wanted=Wanted(True, settings.docker_live_restore, settings.docker_cdi))

entry(main)
"""
INSIDE = ("container_gpu", "compose_gpu", "container_keeps_gpu")


@pytest.fixture(scope="module")
def site(make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("engine")
    stand_ins = {"/proc/driver/nvidia/version": engine_lab.NVRM}
    host = make_module_host("trixie", "engine", nouveau="absent", gpu_driver="nvidia", stand_ins=stand_ins)
    engine_lab.install(host, "docker-compose", "busybox-static")
    engine_lab.pretend_gpu(host, folder)
    host.put(DAEMON_JSON, FOREIGN)
    host.nsenter(
        "systemctl restart docker; mkdir -p /tmp/i/bin && cp /bin/busybox /tmp/i/bin/sleep && tar -C /tmp/i -c . | docker import - idle; "
        "cp /bin/busybox /tmp/i/bin/ls && tar -C /tmp/i -c . | docker import - tool"
    )
    (folder / "configure.py").write_text(CONFIGURE)
    return Site(host, folder)


def pids(site: Site) -> tuple[str, str]:
    """dockerd's and that of the container "busy" ("" there is none)."""
    daemon = site.host.nsenter("systemctl show -p MainPID --value docker").stdout.strip()
    container = site.host.nsenter("docker inspect --format '{{.State.Pid}}' busy 2>/dev/null", check=False).stdout
    return daemon, container.strip()


def configure(site: Site, **data: object) -> tuple[int, str]:
    done = site.run(str(site.folder / "configure.py"), **data)
    return done.returncode, done.stderr + done.stdout


def daemon_json(site: Site) -> dict[str, object]:
    return dict(json.loads(site.host.nsenter(f"cat {DAEMON_JSON}").stdout))


def test_runtime_is_taken_over_by_a_reload(site: Site) -> None:
    site.host.nsenter("docker run -d --name busy idle sleep 3000")
    before = pids(site)
    assert configure(site)[0] == 0
    assert pids(site) == before
    assert "nvidia" in json.loads(site.host.nsenter("docker info --format '{{json .Runtimes}}'").stdout)
    document = daemon_json(site)
    document.pop("runtimes")
    assert document == json.loads(FOREIGN)


def test_restart_waits_while_it_would_end_a_container(site: Site) -> None:
    before = pids(site)
    code, said = configure(site, gpu_docker_cdi=True)
    assert code == 0
    assert "restart-pending: dockerd reads CDI specifications from its next start on; 1 containers run" in said
    assert pids(site) == before
    assert daemon_json(site)["features"] == {"buildkit": True, "cdi": True}
    assert daemon_json(site)["cdi-spec-dirs"] == ["/opt/cdi", "/etc/cdi", "/var/run/cdi"]
    assert site.proof(gpu_docker_cdi=True)["container_cdi"][0] == "FAIL"


def test_with_live_restore_the_container_outlives_the_restart(site: Site) -> None:
    daemon, container = pids(site)
    assert configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)[0] == 0
    after = pids(site)
    assert after[0] != daemon
    assert after[1] == container != ""
    assert site.proof(gpu_docker_cdi=True)["container_cdi"] == ("PASS", "dockerd reads CDI specifications")


def test_second_run_touches_nothing(site: Site) -> None:
    before, text = (
        pids(site),
        site.host.nsenter(f"stat -c %i {DAEMON_JSON}; ls -A /var/lib/gpu-host", check=False).stdout,
    )
    assert configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)[0] == 0
    assert site.report()["changed"] == []
    assert pids(site) == before
    assert site.host.nsenter(f"stat -c %i {DAEMON_JSON}; ls -A /var/lib/gpu-host", check=False).stdout == text


def test_busy_host_is_not_made_to_read_its_units_again(site: Site) -> None:
    said = site.proof()
    assert said["container_gpu"] == ("PASS", "docker run: a kernel ran on every GPU")
    assert said["compose_gpu"] == ("PASS", "docker compose run: a kernel ran on every GPU")
    assert said["container_keeps_gpu"] == ("SKIP", "not tried: 1 containers run that it could harm")


def test_container_has_its_gpu_and_keeps_it(site: Site) -> None:
    site.host.nsenter("docker rm -f busy")
    said = site.proof()
    assert {said[name][0] for name in INSIDE} == {"PASS"}
    assert (
        site.host.nsenter(
            "docker ps -a -q; docker images -q gpu-host-proof; docker network ls -q --filter name=gpu-host"
        ).stdout
        == ""
    )


def test_dockerd_that_has_not_seen_the_hook_is_restarted(site: Site) -> None:
    """It looks for the hook of --gpus once, at its start; a toolkit that came later needs another one."""
    assert (
        "could not select device driver"
        in site.host.nsenter("docker run --rm --gpus all tool /bin/ls", check=False).stderr
    )
    site.host.nsenter("sleep 1.1")
    site.host.put("/usr/bin/nvidia-container-runtime-hook", "#!/bin/sh\nexit 0\n", 0o755)
    daemon = pids(site)[0]
    assert configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)[0] == 0
    assert pids(site)[0] != daemon
    assert site.host.nsenter("docker run --rm --gpus all tool /bin/ls /").stdout
    assert configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)[0] == 0
    assert site.report()["changed"] == []


WAYS = {
    "cdi": Access("cdi"),
    "runtime": Access("runtime"),
    "gpus": Access("gpus"),
    "devices": Access("devices"),
}


@pytest.mark.parametrize("gpus", ["0", "all"])
@pytest.mark.parametrize("way", WAYS)
def test_printed_words_run_on_the_real_engine(site: Site, way: str, gpus: str) -> None:
    """docker run and Compose take them; where they name the node, it is there inside."""
    site.host.nsenter("for n in uvm-tools modeset; do [ -e /dev/nvidia-$n ] || mknod /dev/nvidia-$n c 10 229; done")
    words = shlex.join(docker_arguments(WAYS[way], gpus, 1))
    by_docker = site.host.nsenter(f"docker run --rm {words} tool /bin/ls /dev").stdout.split()
    fragment = compose_fragment(WAYS[way], gpus, 1)
    site.host.put(
        "/srv/compose.yaml", f'services:\n  one:\n    image: tool\n    command: ["/bin/ls", "/dev"]\n{fragment}'
    )
    by_compose = site.host.nsenter(
        "docker compose -p words -f /srv/compose.yaml run --rm -T one; docker compose -p words -f /srv/compose.yaml down"
    ).stdout.split()
    assert ("nvidia0" in by_docker, "nvidia0" in by_compose) == (way in ("cdi", "devices"),) * 2
    if way == "devices":
        assert {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"} <= set(by_docker) & set(by_compose)


@pytest.fixture
def lie(site: Site) -> Iterator[Callable[[str, str], None]]:
    """`lie(FILE, TEXT)`: until the end of the test."""
    before: dict[str, str] = {}

    def tell(path: str, text: str) -> None:
        before[path] = site.host.nsenter(f"cat {path} 2>/dev/null", check=False).stdout
        site.host.nsenter(f"cat >{path}", text_in=text)

    yield tell
    for path, text in before.items():
        site.host.nsenter(f"cat >{path}" if text else f": >{path}", text_in=text)


@pytest.mark.parametrize(
    ("how", "words"),
    [("dead", "cuInit: unknown error (999)"), ("none", "no device (100)"), ("idle", "wrote 0 and not 4711"), ("hang", "within 60 s")],
)  # fmt: skip
def test_nvidia_smi_is_fine_and_cuda_is_not(site: Site, lie: Callable[[str, str], None], how: str, words: str) -> None:
    lie(LIE, how)
    said = site.proof()
    assert said["nvml"][0] == "PASS"
    assert said["cuda_call"][0] in ("FAIL", "UNKNOWN")
    assert words in said["cuda_call"][1]
    assert {said[name][0] for name in INSIDE} == {"SKIP"}
    assert site.report()["state"] == "not-ready"


@pytest.mark.parametrize(("how", "words"), [("dead", "unknown error (999)"), ("idle", "wrote 0")])
def test_the_host_is_fine_and_its_containers_are_not(
    site: Site, lie: Callable[[str, str], None], how: str, words: str
) -> None:
    lie(LIE_INSIDE, how)
    said = site.proof()
    assert said["cuda_call"][0] == "PASS"
    for name in INSIDE:
        assert said[name][0] == "FAIL"
        assert words in said[name][1]


def test_gpu_that_is_lost_when_systemd_reads_its_units_again(site: Site) -> None:
    """No device rule is at work here: the loss is played by what the word daemon-reload sets off."""
    program = "/usr/local/bin/systemctl"
    body = f'[ "$1" != daemon-reload ] || echo dead >{LIE_INSIDE}\nexec /usr/bin/systemctl "$@"'
    site.host.put(program, f"#!/bin/sh\n{body}\n", 0o755)
    said = site.proof()
    site.host.nsenter(f"rm {program}; : >{LIE_INSIDE}")
    assert said["container_gpu"][0] == said["compose_gpu"][0] == "PASS"
    assert said["container_keeps_gpu"] == ("FAIL", "after systemctl daemon-reload: cuInit: unknown error (999)")


@pytest.mark.parametrize(
    ("body", "words"),
    [("exit 0", "0 GPUs answer, 1 on the PCI bus"), ("sleep 600", "hung and was ended"), ("echo oops; exit 6", "ended with 6: oops")],
)  # fmt: skip
def test_nvidia_smi_that_lies(site: Site, lie: Callable[[str, str], None], body: str, words: str) -> None:
    lie("/usr/bin/nvidia-smi", f"#!/bin/sh\n{body}\n")
    said = site.proof()
    assert said["nvml"][0] == "FAIL"
    assert words in said["nvml"][1]


def test_dockerd_that_does_not_come_up_gets_its_old_file_back(site: Site) -> None:
    """In swarm mode dockerd does not start with live-restore; until then all is well."""
    before = '{"debug": false,\n  "labels": ["a=b"]}'
    site.host.put(DAEMON_JSON, before)
    site.host.nsenter("systemctl restart docker && docker swarm init --advertise-addr 127.0.0.1")
    code, said = configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)
    assert code == 1
    assert "the file from before is back, and dockerd is up" in said
    assert site.host.nsenter(f"cat {DAEMON_JSON}").stdout == before
    assert site.host.nsenter("systemctl is-active docker").stdout == "active\n"
    site.host.nsenter("docker swarm leave --force")
    assert site.host.nsenter("ls -A /var/lib/gpu-host", check=False).stdout == ""


def test_file_that_dockerd_would_not_take_stays_as_it_was(site: Site) -> None:
    wrong = '{"no-such-key": 1}'
    site.host.put(DAEMON_JSON, wrong)
    code, said = configure(site)
    assert code == 1
    assert "no-such-key" in said
    assert site.host.nsenter(f"cat {DAEMON_JSON}; ls -A /etc/docker").stdout == f"{wrong}daemon.json\n"


MODPROBE = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -c) [ -e /dev/nvidiactl ] || mknod /dev/nvidiactl c 195 255; mknod "/dev/nvidia$2" c 195 "$2" 2>/dev/null; shift ;;
    -u) mknod /dev/nvidia-uvm c 510 0; mknod /dev/nvidia-uvm-tools c 510 1 ;;
  esac
  shift
done
"""


def test_device_nodes_and_their_links_are_there_at_boot_before_docker(site: Site) -> None:
    site.host.put("/usr/bin/nvidia-modprobe", MODPROBE, 0o755)
    for file in device_files():
        site.host.put(file.path, file.content)
    site.host.nsenter("systemctl enable gpu-host-devices && rm -f /etc/docker/daemon.json")
    site.host.reboot()
    assert site.proof()["device_nodes"][0] == "PASS"
    assert site.host.nsenter("readlink /dev/char/195:0 /dev/char/510:0").stdout == "../nvidia0\n../nvidia-uvm\n"
    moments = [
        int(site.host.nsenter(f"systemctl show -p {what} --value {unit}").stdout)
        for unit, what in (
            ("gpu-host-devices", "ActiveEnterTimestampMonotonic"),
            ("docker", "InactiveExitTimestampMonotonic"),
        )
    ]
    assert 0 < moments[0] <= moments[1]
