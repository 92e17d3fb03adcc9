"""Who does the job, or a part of it, over a fleet: the words to run each with."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pformat
from typing import Any

from tests.bed.cache import cache_folder
from tests.bed.shell import REPOSITORY, run

PLAY = Path(__file__).parent / "ansible"
ANSIBLE = ("ansible-core==2.19.*", "mitogen>=0.3.25")


@dataclass(frozen=True)
class Contestant:
    """`words` run in `cwd`; `what` is for the table."""

    name: str
    what: str
    words: list[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fleet:
    """How the hosts of one round are reached: name -> (address, port); `data` is shared by all."""

    places: Mapping[str, tuple[str, int]]
    data: Mapping[str, Any]
    folder: Path


def floor_and_product(fleet: Fleet) -> list[Contestant]:
    """pyinfra that runs `true`, and the deploy; both as an operator types them."""
    inventory = fleet.folder / "inventory.py"
    hosts = [(n, {**fleet.data, "ssh_hostname": a, "ssh_port": p}) for n, (a, p) in fleet.places.items()]
    inventory.write_text(f"hosts = {pformat(hosts, width=160)}\n")
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    return [
        Contestant("floor", "pyinfra INV exec -- true", [pyinfra, str(inventory), "-y", "exec", "--", "true"], fleet.folder),
        Contestant("gpu-host", "./provision INV -y", [str(REPOSITORY / "provision"), str(inventory), "-y"], REPOSITORY),
    ]  # fmt: skip


def ssh_loops(fleet: Fleet, probe: str) -> list[Contestant]:
    """OpenSSH once per host, all at a time: `true`, and the product's own probe."""
    config = fleet.folder / "ssh_config"
    shared = (
        f"User root\nIdentityFile {fleet.data['ssh_key']}\nUserKnownHostsFile {fleet.data['ssh_known_hosts_file']}\n"
    )
    shared += "IdentitiesOnly yes\nBatchMode yes\nLogLevel ERROR\nStrictHostKeyChecking no\nCheckHostIP no\n"
    entries = "".join(f"Host {n}\nHostname {a}\nPort {p}\nHostKeyAlias {a}\n" for n, (a, p) in fleet.places.items())
    config.write_text(f"{entries}Host *\n{shared}")
    script = fleet.folder / "probe.sh"
    script.write_text(probe)
    names, client = " ".join(fleet.places), f"ssh -F {shlex.quote(str(config))} HOST"
    loop = f"printf '%s\\n' {names} | xargs -P 100 -I HOST {client} "
    # The probe is a word of its own, as pyinfra sends it: xargs takes no word of that length.
    ask = f"sh -c '{client} \"$(cat {shlex.quote(str(script))})\" >/dev/null'"
    return [
        Contestant("ssh true", "ssh HOST true, all at a time", ["sh", "-c", loop + "true"], fleet.folder),
        Contestant(
            "ssh probe",
            'ssh HOST "$probe"',
            ["sh", "-c", f"printf '%s\\n' {names} | xargs -P 100 -I HOST {ask}"],
            fleet.folder,
        ),
    ]


def environment() -> tuple[str, str]:
    """Ansible's program and the folder of Mitogen's strategies ("" without), installed once from this machine's own package index.

    Raises BedError when Ansible cannot be installed.
    """
    venv = cache_folder() / "bench-ansible"
    if not (venv / "bin/ansible-playbook").exists():
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", venv], timeout=300)
        run([venv / "bin/pip", "install", "-q", ANSIBLE[0]], timeout=1200)
        run([venv / "bin/pip", "install", "-q", ANSIBLE[1]], timeout=600, check=False)
    found = sorted(venv.glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
    return str(venv / "bin/ansible-playbook"), str(found[0]) if found else ""


def ansible(
    fleet: Fleet, job: Mapping[str, Any], program: str, mitogen: str, *, round_name: str, play: str = "site.yml"
) -> list[Contestant]:
    """The play: tuned, and with Mitogen where it is there. Facts are cached by the first run, which is not counted."""
    hosts = {
        n: {"ansible_host": a, "ansible_port": p, "ansible_ssh_common_args": f"-o HostKeyAlias={a}"}
        for n, (a, p) in fleet.places.items()
    }
    shared = {"ansible_user": "root", "ansible_ssh_private_key_file": fleet.data["ssh_key"]}
    inventory, extra = fleet.folder / "ansible.json", fleet.folder / "job.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}))
    extra.write_text(json.dumps({"job": job}))
    words = [program, "-i", str(inventory), "-e", f"@{extra}", str(PLAY / play)]
    base = {
        "ANSIBLE_CONFIG": str(PLAY / "ansible.cfg"),
        "ANSIBLE_FORKS": str(max(5, min(len(hosts), 50))),
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(fleet.folder / "facts"),
        "ANSIBLE_HOME": str(fleet.folder / "ansible-home"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": f"/tmp/bench-{round_name}",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
    }
    found = [Contestant("Ansible", "tuned: pipelining, forks, cached facts, free strategy", words, PLAY, base)]
    if mitogen:
        more = {**base, "ANSIBLE_STRATEGY_PLUGINS": mitogen, "ANSIBLE_STRATEGY": "mitogen_free"}
        found.append(Contestant("Mitogen", "the same play by Mitogen's strategy", words, PLAY, more))
    return found
