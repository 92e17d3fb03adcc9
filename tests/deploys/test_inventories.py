"""The examples of foreign inventories, as `./provision` takes them: told apart, read with the variables beside them, planned for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploys.plan.inventory.records import InventoryError
from deploys.plan.settings import parse_settings
from deploys.support.foreign import read_fleet

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "inventories/examples"
GPU = {"ssh_user": "admin", "ssh_key": "~/.ssh/gpu", "_sudo": True, "gpu_reboot": "never"}
ANSIBLE = {
    "login.example": {},
    **{f"gpu-0{n}.example": {**GPU, "ssh_port": 2222} for n in (1, 2, 3)},
    "gpu-04.example": {**GPU, "ssh_hostname": "203.0.113.4", "gpu_expected_gpus": 8},
    "gpu-05.example": {**GPU, "gpu_profile": "containers", "gpu_driver_branch": "580", "gpu_accept": ["clock_sane"]},
}
HOSTS: dict[str, dict[str, dict[str, object]]] = {
    "hosts.ini": ANSIBLE,
    "fleet.yaml": ANSIBLE,
    "fleet.json": ANSIBLE,
    "hosts.txt": {**{f"gpu-0{n}.example": {"ssh_user": "root", "ssh_port": 2222} for n in (1, 2, 3)}, "gpu-05.example": {}},
    "hosts.csv": {
        "gpu-04.example": {"ssh_hostname": "203.0.113.4", "ssh_user": "admin", "ssh_port": 2222, "_sudo": True, "gpu_expected_gpus": 8},
        "gpu-05.example": {"ssh_user": "root"},
    },
    "terraform.json": {
        "gpu-04.example": {"ssh_hostname": "203.0.113.4", "ssh_user": "admin", "_sudo": True, "gpu_expected_gpus": 8},
        "gpu-05.example": {"ssh_hostname": "203.0.113.5", "ssh_user": "admin", "_sudo": True, "gpu_profile": "containers"},
    },
}  # fmt: skip
# The hosts of all examples on recordings: what `./provision EXAMPLE --dry` prints where the hosts answer like these.
RECORDED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from deploys.support.foreign import read_fleet as _read_fleet
from facts.subject import PROBE as _PROBE

_ROOT = Path({root!r}) / "inventories"
_TEXT = (_ROOT / "recordings/debian-13-converged.txt").read_text(encoding="ascii")
_FAKE = {{"fake_responses": {{_PROBE: _TEXT}}, "fake_delay": 0, "fake_delay_jitter": 0, "gpu_report_dir": None}}
_OURS = ("gpu_profile", "gpu_reboot", "gpu_expected_gpus", "gpu_accept")
hosts = [
    (f"@fake/{{file.name}}/{{n}}", {{**{{k: v for k, v in d.items() if k in _OURS}}, **_FAKE}})
    for file in sorted((_ROOT / "examples").iterdir())
    for n, d in _read_fleet(file).hosts.items()
]
"""


@pytest.mark.parametrize("name", HOSTS)
def test_examples_say_what_they_mean(name: str) -> None:
    fleet = read_fleet(EXAMPLES / name)
    assert fleet.hosts == HOSTS[name]
    for data in fleet.hosts.values():
        parse_settings(data, checks=frozenset({"clock_sane"}), waivable=frozenset({"clock_sane"}))


def test_every_example_has_its_row() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(HOSTS)


def test_examples_are_planned_for(tmp_path: Path) -> None:
    """Eight GPUs are expected of gpu-04, which has one; everything else is planned for, each with its own profile."""
    inventory = tmp_path / "inventory.py"
    inventory.write_text(RECORDED.format(root=str(ROOT)))
    done = front(str(inventory), "--dry")
    rows = [line.split() for line in done.stderr.split("\nhost ")[-1].splitlines() if line.startswith("@fake/")]
    states = {row[0].removeprefix("@fake/"): row[1] for row in rows}
    wanted = {
        f"{name}/{host}": "refused" if data.get("gpu_expected_gpus") else "planned"
        for name, hosts in HOSTS.items()
        for host, data in hosts.items()
    }
    assert states == wanted, done.stderr[-2000:]
    assert done.returncode == 3, "all that is wrong is that hosts are refused"


def front(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "GPU_HOST_INVENTORY"}
    return subprocess.run(
        [sys.executable, "-m", "deploys.support.front", *words],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_pyinfra_gets_hosts_groups_and_data_and_our_defaults() -> None:
    done = front("inventories/examples/hosts.ini", "debug-inventory")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1]) if "{" in done.stdout else {}
    text = json.dumps(shown) + done.stdout + done.stderr
    for word in ("gpu-03.example", "training", "serving", "203.0.113.4", "ssh_connect_retries"):
        assert word in text
    assert "not read, no business of this toolkit: http_port" in done.stderr


def test_an_error_is_said_before_anything_is_contacted(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[gpu]\ngpu-01 ansible_port=ssh\n")
    done = front("hosts", "-y", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("provision: hosts:2: ansible_port\n    found   something else\n")
    assert "Traceback" not in done.stderr


def test_variables_beside_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[gpu]\na\nb\n")
    for path, text in {
        "group_vars/all.yml": "gpu_profile: raw\nhttp_port: 80\n",
        "group_vars/gpu/one.yml": "gpu_profile: containers\n",
        "group_vars/gpu/two.json": '{"gpu_reboot": "never"}',
        "group_vars/other.yml": "not: [read\n",
        "host_vars/b.yaml": "ansible_user: root\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    common = {"gpu_profile": "containers", "gpu_reboot": "never"}
    assert read_fleet(tmp_path / "hosts").hosts == {"a": common, "b": {**common, "ssh_user": "root"}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("group_vars/all.yml", b"$ANSIBLE_VAULT;1.1;AES256\n3333\n", "a file in Ansible's vault"),
        ("group_vars/all.yml", b"a: \xff\n", "no text in UTF-8"),
        ("group_vars/all.yml", b"- a\n", "variables: a mapping"),
        ("host_vars/a.json", b'{"ansible_port": 0}', "host_vars/a.json: ansible_port"),
        ("host_vars/a.json", b'{"a": \n', "host_vars/a.json:"),
    ],
)
def test_a_file_of_variables_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "hosts").write_text("a\n")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InventoryError) as error:
        read_fleet(tmp_path / "hosts")
    assert str(error.value).startswith(str(tmp_path / name))
    assert words in str(error.value)


def test_a_program_is_not_read_as_a_list(tmp_path: Path) -> None:
    (tmp_path / "ec2").write_text("#!/bin/sh\necho '{}'\n")
    with pytest.raises(InventoryError, match=r"ec2 --list >fleet\.json"):
        read_fleet(tmp_path / "ec2")


def test_shape_and_not_only_the_name_tells_the_kind(tmp_path: Path) -> None:
    for name, kind in (
        ("inventory", "fleet.json"),
        ("tfout", "terraform.json"),
        ("hosts", "hosts.ini"),
        ("list", "hosts.txt"),
    ):
        shutil.copy(EXAMPLES / kind, tmp_path / name)
        assert read_fleet(tmp_path / name).hosts == HOSTS[kind]
    (tmp_path / "fleet").write_text("---\n" + (EXAMPLES / "fleet.yaml").read_text())
    assert read_fleet(tmp_path / "fleet").hosts == ANSIBLE
