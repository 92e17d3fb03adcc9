"""The proof in containers on a real engine; what needs silicon is played, and made to lie. Device nodes at boot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploys.knowledge.paths import CONTAINERS_PROVEN, NOUVEAU_BLOCK, PROVEN_BEFORE, PROVEN_RECORD, TOOLKIT_CONFIG
from deploys.plan.devices import device_files
from deploys.plan.proven import read_proven
from tests.bed.host import Host
from tests.hosts import engine_lab
from tests.hosts.engine_lab import LIE, LIE_INSIDE, VERSION, Site
from tests.hosts.record_lab import SETTINGS, from_timer, make_ready

INSIDE = ("container_gpu", "compose_gpu", "container_keeps_gpu")


@pytest.fixture(scope="module")
def site(make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = engine_lab.make_site(
        make_module_host, tmp_path_factory.mktemp("proof"), "proof", '{"features": {"cdi": true}}'
    )
    site.host.nsenter("docker run -d --name busy idle sleep 3000")
    return site


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


def _steps(site: Site) -> dict[str, tuple[str, str]]:
    """What a run of the whole road would say at its end."""
    site.run(str(site.folder / "prove.py"))
    return {s["name"]: (s["result"], s["detail"]) for s in site.report()["steps"]}


def test_containers_are_tried_again_when_something_has_changed(site: Site, lie: Callable[[str, str], None]) -> None:
    make_ready(site)
    # This engine needs the toolkit for the option; a stand-in of the client takes the way that is there.
    docker = '#!/bin/sh\nfor word; do shift; [ "$word" = --gpus ] && word=--device; [ "$word" = all ] && word=nvidia.com/gpu=all; set -- "$@" "$word"; done\nexec /usr/bin/docker "$@"\n'
    site.host.put("/usr/local/bin/docker", docker, 0o755)
    said = site.proof()
    assert {said[name][0] for name in (*INSIDE, "gpus_option")} == {"PASS"}
    noted = site.host.nsenter(f"cat {CONTAINERS_PROVEN}").stdout.split()
    said = _steps(site)
    why = f"proven {noted[1]}, and nothing that it depends on has changed since; deploys/verify.py tries it again"
    assert {said[name] for name in (*INSIDE, "gpus_option")} == {("SKIP", why)}
    site.host.put(TOOLKIT_CONFIG, "# edited\n")
    said = _steps(site)
    assert {said[name][0] for name in INSIDE} == {"PASS"}
    lie(LIE_INSIDE, "dead")
    assert site.proof()["container_gpu"][0] == "FAIL"
    assert _steps(site)["container_gpu"][0] == "FAIL", "what has failed was not proven"
    site.host.nsenter("rm /usr/local/bin/docker")


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


def test_host_remembers_its_proof_and_says_what_has_drifted_since(site: Site) -> None:
    """Proven twice, then edited; asked as a timer asks, without a terminal and with hardly any environment."""
    make_ready(site)
    site.host.put(NOUVEAU_BLOCK, "# as written\n")
    prove = str(site.folder / "prove.py")
    assert site.run(prove, **SETTINGS).returncode == 0
    written = site.host.nsenter(f"cat {PROVEN_RECORD}; stat -c '%a %U %Y %i' {PROVEN_RECORD}").stdout
    proven = read_proven(written[: written.rindex("}") + 1])
    assert (proven.driver, proven.holds, set(proven.files)) == (VERSION, (), {NOUVEAU_BLOCK})
    assert written.splitlines()[-1].startswith("644 root ")
    assert site.run(prove, **SETTINGS).returncode == 0
    assert site.report()["changed"] == []
    assert site.host.nsenter(f"cat {PROVEN_RECORD}; stat -c '%a %U %Y %i' {PROVEN_RECORD}").stdout == written
    assert from_timer(site).returncode == 0
    assert site.report()["drift"] == []

    site.host.put(NOUVEAU_BLOCK, "# edited\n")
    said = from_timer(site)
    assert said.returncode == 3
    assert [line.split(";")[0] for line in said.stderr.splitlines() if "DRIFT" in line] == [
        f"    DRIFT   file {NOUVEAU_BLOCK}: found it was edited"
    ]
    report = site.report()
    assert (report["state"], report["detail"]) == ("drifted", f"drifted since {proven.time}: file {NOUVEAU_BLOCK}")
    assert site.run(prove, **SETTINGS).returncode == 0
    assert read_proven(site.host.nsenter(f"cat {PROVEN_BEFORE}").stdout) == proven


# As NVIDIA's: with -u the numbers are those of nvidia-uvm; 255 is nvidiactl.
MODPROBE = """#!/bin/sh
case $* in
  *-u*) mknod /dev/nvidia-uvm c 510 0; mknod /dev/nvidia-nvswitch0 c 511 0; mknod /dev/nvidia-uvm-tools c 510 1 ;;
  '-c 255') mknod /dev/nvidiactl c 195 255 ;;
  '-c '*) mknod "/dev/nvidia$2" c 195 "$2" ;;
esac
"""


def test_device_nodes_and_their_links_are_there_at_boot_before_docker(site: Site) -> None:
    site.host.put("/usr/bin/nvidia-modprobe", MODPROBE, 0o755)
    for file in device_files():
        site.host.put(file.path, file.content)
    site.host.nsenter(
        "mkdir -p /etc/hostmask-gpus/0000:00:1e.0; systemctl enable gpu-host-devices && rm -f /etc/docker/daemon.json; "
        "sed -i s,/proc/driver/nvidia/gpus,/etc/hostmask-gpus, /etc/gpu-host/devices"
    )
    site.host.reboot()
    assert site.proof()["device_nodes"][0] == "PASS"
    nodes = "for n in /dev/nvidia*; do [ -e /dev/char/$(stat -c %Hr:%Lr $n) ] || echo $n; done"
    assert site.host.nsenter(nodes).stdout == "", (
        "whatever node there is has its link, or the unit would run again each time"
    )
    assert site.host.nsenter("readlink /dev/char/195:0 /dev/char/510:0").stdout == "../nvidia0\n../nvidia-uvm\n"
    moments = [
        int(site.host.nsenter(f"systemctl show -p {what} --value {unit}").stdout)
        for unit, what in (
            ("gpu-host-devices", "ActiveEnterTimestampMonotonic"),
            ("docker", "InactiveExitTimestampMonotonic"),
        )
    ]
    assert 0 < moments[0] <= moments[1]
