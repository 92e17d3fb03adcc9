"""Every kind of inventory that people have, over real SSH to one host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.host import Host
from tests.bed.shell import REPOSITORY, run

KINDS = {
    "hosts.ini": "[gpu]\nn ansible_host={address} ansible_user=root\n[gpu:vars]\nansible_port=22\nansible_private_key_file={key}\nssh_known_hosts_file={known}\n",
    "fleet.yaml": "gpu:\n  hosts:\n    n: {{ansible_host: {address}, ansible_user: root}}\n  vars: {{ansible_ssh_private_key_file: {key}, ssh_known_hosts_file: {known}}}\n",
    "fleet.json": '{{"_meta": {{"hostvars": {{"n": {{"ansible_host": "{address}", "ansible_user": "root", "ansible_private_key_file": "{key}", "ssh_known_hosts_file": "{known}"}}}}}}, "gpu": {{"hosts": ["n"]}}}}',
    "tf.json": '{{"gpu_hosts": {{"value": {{"n": {{"host": "{address}", "user": "root", "key": "{key}", "ssh_known_hosts_file": "{known}"}}}}}}}}',
    "hosts.csv": "name,address,user,port,key,ssh_known_hosts_file\nn,{address},root,22,{key},{known}\n",
    "hosts.txt": "root@{address}:22\n",
}


@pytest.fixture(scope="module")
def host(make_module_host: Callable[..., Host]) -> Host:
    return make_module_host("bookworm", "inventories")


@pytest.mark.parametrize("name", KINDS)
def test_host_of_a_foreign_inventory_answers(host: Host, name: str, tmp_path: Path) -> None:
    data = host.inventory_data()
    words = {"address": host.address, "key": data["ssh_key"], "known": data["ssh_known_hosts_file"]}
    (tmp_path / name).write_text(KINDS[name].format(**words))
    # A plain list has no room for keys; these are pyinfra's own options.
    options = (
        ["--ssh-key", words["key"], "--data", f"ssh_known_hosts_file={words['known']}"] if name == "hosts.txt" else []
    )
    before = host.count_commands()
    done = ask(tmp_path / name, *options)
    assert done.returncode == 0, done.stderr
    assert host.count_commands() == before + 1
    assert "bookworm" in json.dumps(done.stdout + done.stderr)


def ask(inventory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program: list[str | Path] = [sys.executable, "-m", "deploys.support.front", inventory, *options]
    return run([*program, "fact", "facts.distribution.LinuxDistribution"], check=False, timeout=120, cwd=REPOSITORY)
