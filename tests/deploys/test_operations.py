"""What each operation would send to a host, from the record of that host alone: nothing when it is as wanted."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deploys.knowledge.paths import DAEMON_JSON, DOCKER_PROXY_VALUES, NOUVEAU_BLOCK
from deploys.operations import docker, files, initramfs, packages, services
from deploys.plan.daemon_json import Wanted
from deploys.plan.describe import describe
from deploys.plan.files import FileChange, digest
from deploys.plan.machine import FileState, Initramfs, Kernel, KernelModule, Machine, Process, TextFile, UnitState
from deploys.plan.settings import Proxy
from deploys.support import world
from deploys.support.logged import start_command
from tests.deploys.bench import commands, engine, plan_for
from tests.plan.hosts import debian_12_bare, debian_13_converged


def test_converged_host_is_sent_nothing(host: SimpleNamespace) -> None:
    machine = debian_13_converged()
    plan = plan_for(machine)
    assert commands(packages.rehearsed, machine, plan=plan, limit=60) == []
    assert commands(files.edited, machine, files=plan.sources) == []
    assert commands(files.owned, machine, files=plan.files) == []
    assert commands(docker.configured, machine, wanted=Wanted()) == []
    assert commands(packages.installed, machine, plan=plan, limit=60) == []
    assert commands(initramfs.nouveau_blocked, machine, limit=60) == []
    assert commands(services.driver_loaded, machine) == []
    assert commands(services.running, machine, units=plan.services) == []
    assert not [text for text in host.said if "Error" in text]


def test_bare_host_is_sent_a_rehearsal_before_a_transaction(host: SimpleNamespace) -> None:
    machine = debian_12_bare()
    plan = plan_for(machine)
    (rehearsal,) = commands(packages.rehearsed, machine, plan=plan, limit=60)
    (transaction,) = commands(packages.installed, machine, plan=plan, limit=60)
    assert "--unit=gpu-host-rehearsal.service" in rehearsal.get_raw_value()
    assert "--unit=gpu-host-transaction.service" in transaction.get_raw_value()
    assert host.said == []


@pytest.mark.parametrize("name", ["rehearse", "install"])
def test_scripts_are_valid_shell_and_name_every_missing_package(name: str) -> None:
    machine = debian_12_bare()
    plan = plan_for(machine)
    text = packages.script(plan, name, machine, (*plan.files, *plan.sources))
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    line = next(line for line in text.splitlines() if line.startswith("PACKAGES="))
    assert set(plan.packages.missing) == set(line.removeprefix("PACKAGES=").strip("'").split())
    assert "MODULES=nvidia-kernel-dkms" in text


def test_script_of_a_transaction_without_the_driver_builds_nothing() -> None:
    machine = debian_13_converged()
    installed = {n: p for n, p in machine.packages.installed.items() if n != "docker-compose"}
    machine = replace(machine, packages=replace(machine.packages, installed=installed))
    text = packages.script(plan_for(machine), "install", machine)
    assert "PACKAGES=docker-compose\n" in text
    assert "MODULES=''" in text


@pytest.mark.usefixtures("host")
def test_transaction_that_was_cut_off_is_taken_up_though_no_package_is_missing() -> None:
    machine = debian_13_converged()
    machine = replace(machine, packages=replace(machine.packages, cut_off=True))
    plan = plan_for(machine)
    (rehearsal,) = commands(packages.rehearsed, machine, plan=plan, limit=60)
    (transaction,) = commands(packages.installed, machine, plan=plan, limit=60)
    assert "MODULES=''" in transaction.connector_arguments["_stdin"], "the module is built: nothing is installed anew"
    bare = tuple(replace(k, nvidia_modules=()) for k in machine.kernels.installed)
    machine = replace(machine, kernels=replace(machine.kernels, installed=bare))
    plan = plan_for(machine)
    (transaction,) = commands(packages.installed, machine, plan=plan, limit=60)
    assert plan.packages.modules == plan.driver.modules
    assert f"MODULES={plan.packages.modules[0]}\n" in transaction.connector_arguments["_stdin"]
    assert rehearsal.connector_arguments["_stdin"].count("\ntake_up\n") == 1


def test_content_travels_on_standard_input_only(host: SimpleNamespace) -> None:
    change = FileChange("/etc/x.conf", "secret-word\n", "a test")
    (command,) = commands(files.owned, debian_12_bare(), files=[change])
    assert "secret-word" not in command.get_raw_value()
    assert command.connector_arguments["_stdin"] == "secret-word\n"
    assert host.said == []


@pytest.mark.usefixtures("host")
def test_owned_file_is_written_again_when_content_or_mode_differ() -> None:
    change = FileChange(NOUVEAU_BLOCK, "text\n", "a test")
    same = FileState(NOUVEAU_BLOCK, digest("text\n"), "644", "root:root")
    for state, count in ((same, 0), (replace(same, sha256=digest("other\n")), 1), (replace(same, mode="600"), 1)):
        machine = replace(debian_12_bare(), files={NOUVEAU_BLOCK: state})
        assert len(commands(files.owned, machine, files=[change])) == count


@pytest.mark.usefixtures("host")
def test_daemon_json_is_merged_and_a_running_engine_reloaded_not_restarted() -> None:
    machine = debian_13_converged()
    foreign = TextFile(DAEMON_JSON, '{"debug": true}')
    machine = replace(machine, docker=replace(machine.docker, daemon_json=foreign, runtimes=("runc",)))
    _, write, reload = commands(docker.configured, machine, wanted=Wanted())
    assert '"debug": true' in write.connector_arguments["_stdin"]
    assert "systemctl reload docker.service" in reload.get_raw_value()


@pytest.mark.parametrize(
    ("before", "reloaded", "verbs"),
    [
        ({"running": 0}, {}, ["reload", "restart"]),
        ({"running": 2}, {}, ["reload"]),
        ({"running": 2}, {"live_restore": True}, ["reload", "restart"]),
        ({"running": None}, {}, ["reload"]),
        ({"running": 0, "hook_late": True, "cdi": True}, {}, ["reload", "restart"]),
        ({"running": 1, "hook_late": True, "cdi": True}, {}, ["reload"]),
    ],
)
def test_engine_is_restarted_for_cdi_only_where_no_container_ends(
    host: SimpleNamespace, before: dict[str, Any], reloaded: dict[str, Any], verbs: list[str]
) -> None:
    machine = engine(debian_13_converged(), **{"cdi": False, "live_restore": False, **before})
    host.log = host.said.append
    operation, sent = docker.configured._inner(wanted=Wanted(cdi=True, live_restore=reloaded.get("live_restore"))), []
    world._MACHINES["stand-in"] = machine
    with pytest.MonkeyPatch.context() as patch:
        for command in operation:
            sent.append(command.get_raw_value())
            patch.setattr(docker, "machine", lambda: engine(machine, **reloaded))
    assert re.findall(r"systemctl (\w+) docker.service && up &&", "\n".join(sent[1:])) == verbs
    pending = [text for text in host.said if text.startswith("restart-pending")]
    assert len(pending) == (verbs == ["reload"])


def test_damaged_daemon_json_fails_the_operation_and_writes_nothing(host: SimpleNamespace) -> None:
    machine = debian_13_converged()
    machine = replace(machine, docker=replace(machine.docker, daemon_json=TextFile(DAEMON_JSON, "{,}")))
    assert [c.get_raw_value() for c in commands(docker.configured, machine, wanted=Wanted())] == ["false"]
    assert "not valid JSON" in host.said[-1]


@pytest.mark.usefixtures("host")
def test_only_images_without_the_block_are_rebuilt() -> None:
    machine = debian_12_bare()
    images = (
        Kernel("6.1.0-1-amd64", initramfs=Initramfs("/boot/initrd.img-6.1.0-1-amd64", True, False, True)),
        Kernel("6.1.0-2-amd64", initramfs=Initramfs("/boot/initrd.img-6.1.0-2-amd64", True, True, False)),
        Kernel("6.1.0-3-amd64"),
    )
    machine = replace(machine, kernels=replace(machine.kernels, installed=images))
    assert initramfs.unblocked(machine) == ("6.1.0-2-amd64",)


def _with_module(machine: Machine, **driver: Any) -> Machine:
    modules = (KernelModule("nvidia-current", "/lib/modules/x/nvidia-current.ko", "535.309.01"),)
    kernel = Kernel(machine.kernels.running or "", nvidia_modules=modules)
    gpus = tuple(replace(d, driver="") for d in machine.pci or ())
    return replace(
        machine,
        pci=gpus,
        kernels=replace(machine.kernels, installed=(kernel,)),
        nouveau=replace(machine.nouveau, loaded=False),
        driver=replace(machine.driver, **driver),
    )


def test_driver_is_tried_once_per_boot_and_version() -> None:
    machine = debian_12_bare()
    assert services.loadable(_with_module(machine, loaded="", load_tried="")) == "535.309.01"
    assert services.loadable(_with_module(machine, loaded="", load_tried="535.261.03")) == "535.309.01"
    assert services.loadable(_with_module(machine, loaded="", load_tried="535.309.01")) == ""
    assert services.loadable(_with_module(machine, loaded="535.309.01", load_tried="")) == ""
    assert services.loadable(_with_module(machine, loaded=None, load_tried="")) == ""


@pytest.mark.usefixtures("host")
def test_fabric_manager_starts_after_its_kernel_modules_and_not_without_the_driver() -> None:
    units = ["nvidia-fabricmanager.service"]
    loaded = debian_13_converged(units={})
    sent = [c.get_raw_value() for c in commands(services.running, loaded, units=units)]
    (start,) = [text for text in sent if "systemctl start" in text]
    assert start.index("modprobe -a $(grep -v '^#' /etc/modules-load.d/gpu-host-fabric.conf)") < start.index(
        "systemctl start"
    )
    subprocess.run(["sh", "-n", "-c", start], check=True)
    without = [c.get_raw_value() for c in commands(services.running, debian_12_bare(units={}), units=units)]
    assert [text for text in without if "start" in text] == []


@pytest.mark.usefixtures("host")
def test_running_services_are_never_restarted() -> None:
    units = {"docker.service": UnitState("docker.service", "loaded", "inactive", "disabled")}
    machine = replace(debian_13_converged(), units=units)
    sent = [c.get_raw_value() for c in commands(services.running, machine, units=["docker.service"])]
    assert sent[0].startswith("systemctl enable --quiet docker.service && ")
    assert sent[0].endswith("echo docker.service >>/var/lib/gpu-host/enabled; }")
    assert "systemctl start docker.service && up && {" in sent[1]
    assert [line for line in sent[1].splitlines() if "restart" in line and "/daemon.json.none" not in line] == []


@pytest.mark.usefixtures("host")
def test_units_are_not_read_again_while_somebody_uses_the_gpus() -> None:
    """A reload of systemd can take the GPUs from running containers (cgroup v2)."""
    units = {"docker.service": UnitState("docker.service", "loaded", "inactive", "enabled")}
    worker = Process(4711, "ml", "python3 -m vllm", ("/dev/nvidia0",))
    machine = replace(debian_13_converged(), units=units)
    machine = replace(machine, driver=replace(machine.driver, holders=(worker,)))
    sent = [c.get_raw_value() for c in commands(services.running, machine, units=["docker.service"])]
    assert len(sent) == 1
    assert "systemctl start docker.service" in sent[0]
    assert "daemon-reload" not in sent[0]


def test_login_of_a_proxy_travels_in_the_script_and_nowhere_else() -> None:
    machine = debian_12_bare()
    way_out = Proxy("http://ann:s3cret@proxy.example:3128", "http://ann:s3cret@proxy.example:3128", "localhost")
    plan = plan_for(machine, proxy=way_out)
    text = packages.script(plan, "rehearse", machine, plan.files)
    assert "export https_proxy=http://ann:s3cret@proxy.example:3128\n" in text
    assert "export NO_PROXY=localhost\n" in text
    page = describe(plan, machine, "host")
    assert "http://(login)@proxy.example:3128" in page
    assert "s3cret" not in page + repr(plan.proxy)
    secret = {f.path: f.mode for f in plan.files if "s3cret" in f.content}
    assert secret == {DOCKER_PROXY_VALUES: "600"}


def test_record_is_stale_once_a_command_has_run(host: SimpleNamespace) -> None:
    commands(files.owned, debian_12_bare(), files=[FileChange("/etc/x.conf", "x\n", "a test")])
    assert host.name not in world._MACHINES
    commands(files.owned, debian_12_bare(), files=[])
    assert host.name in world._MACHINES


def test_runtime_that_the_engine_knows_from_a_flag_is_not_written_too(host: SimpleNamespace) -> None:
    """dockerd refuses to start with a directive in its unit and in daemon.json."""
    machine = debian_13_converged()
    engine = replace(
        machine.docker, daemon_json=None, daemon_json_exists=False, runtimes=("nvidia", "runc"), runtime_flag=True
    )
    assert commands(docker.configured, replace(machine, docker=engine), wanted=Wanted()) == []
    assert host.said == ["Docker is configured as wanted"]


@pytest.mark.usefixtures("host")
def test_changed_key_or_source_is_rehearsed_though_no_package_is_missing() -> None:
    machine = debian_13_converged()
    plan = plan_for(machine)
    assert not packages.unrehearsed(plan, machine)
    assert packages.unrehearsed(plan, replace(machine, files={}))
    (rehearsal,) = commands(packages.rehearsed, replace(machine, files={}), plan=plan, limit=60)
    assert "PACKAGES=''" in str(rehearsal.connector_arguments["_stdin"])


def test_dpkg_is_never_cut_off_by_a_limit() -> None:
    assert "RuntimeMaxSec=60" in start_command("rehearsal", 60)
    assert "RuntimeMaxSec" not in start_command("transaction", 60, may_stop=False)


@pytest.mark.usefixtures("host")
def test_runtime_that_only_the_engine_remembers_is_written_again() -> None:
    """A reload with a daemon.json that lost the key leaves the runtime in memory, until dockerd starts anew."""
    machine = debian_13_converged()
    lost = replace(machine.docker, daemon_json=TextFile(DAEMON_JSON, '{"debug": true}'), runtimes=("nvidia", "runc"))
    sent = commands(docker.configured, replace(machine, docker=lost), wanted=Wanted())
    assert len(sent) == 3
