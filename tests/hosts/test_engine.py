"""Docker's configuration and the proof in containers, on a real engine; what needs silicon is played, and made to lie."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from deploys.knowledge.paths import DAEMON_JSON
from deploys.plan.gpu_access import Access, compose_fragment, docker_arguments
from tests.bed.host import Host
from tests.hosts import engine_lab
from tests.hosts.engine_lab import Site

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
    site = engine_lab.make_site(make_module_host, tmp_path_factory.mktemp("engine"), "engine", FOREIGN)
    (site.folder / "configure.py").write_text(CONFIGURE)
    return site


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


def test_paused_container_counts_as_one_that_a_restart_would_end(site: Site) -> None:
    before = pids(site)
    site.host.nsenter("docker pause busy")
    assert "1 containers run" in configure(site, gpu_docker_cdi=True)[1]
    site.host.nsenter("docker unpause busy")
    assert pids(site) == before


def test_reload_that_fails_restarts_nothing(site: Site) -> None:
    """dockerd goes on as it was, with its containers, and the file from before is back."""
    before = pids(site)
    text = site.host.nsenter(f"cat {DAEMON_JSON}").stdout
    program = "/usr/local/bin/systemctl"
    site.host.put(program, '#!/bin/sh\n[ "$1" != reload ] || exit 1\nexec /usr/bin/systemctl "$@"\n', 0o755)
    code, said = configure(site, gpu_docker_live_restore=True)
    site.host.nsenter(f"rm {program}")
    assert code == 1
    assert "systemctl reload docker.service did not do; dockerd runs as before" in said
    assert pids(site) == before
    assert site.host.nsenter(f"cat {DAEMON_JSON}").stdout == text


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


def test_dockerd_that_does_not_come_up_gets_its_old_file_back(site: Site) -> None:
    """In swarm mode dockerd does not start with live-restore; until then all is well."""
    before = '{"debug": false,\n  "labels": ["a=b"]}'
    site.host.put(DAEMON_JSON, before)
    site.host.nsenter("systemctl restart docker && docker swarm init --advertise-addr 127.0.0.1")
    code, said = configure(site, gpu_docker_cdi=True, gpu_docker_live_restore=True)
    assert code == 1
    assert "the file from before is back" in said
    assert "dockerd is up" in said
    assert site.host.nsenter(f"cat {DAEMON_JSON}").stdout == before
    assert site.host.nsenter("systemctl is-active docker").stdout == "active\n"
    site.host.nsenter("docker swarm leave --force")
    assert site.host.nsenter("ls -A /var/lib/gpu-host", check=False).stdout == "edits\n"


def test_file_that_dockerd_would_not_take_stays_as_it_was(site: Site) -> None:
    wrong = '{"no-such-key": 1}'
    site.host.put(DAEMON_JSON, wrong)
    code, said = configure(site)
    assert code == 1
    assert "no-such-key" in said
    assert site.host.nsenter(f"cat {DAEMON_JSON}; ls -A /etc/docker").stdout == f"{wrong}daemon.json\n"
