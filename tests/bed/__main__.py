"""Test hosts by hand, as root, from the repository's root.

python -m tests.bed up SUITE NAME [--gpus t4] [--set FIELD=JSON ...]    e.g. --set disguise=false
python -m tests.bed down NAME | down --all
python -m tests.bed repository             start the stand-in repository, and say where it is
python -m tests.bed list | ssh NAME [COMMAND] | inventory [FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.bed.bed import Bed
from tests.bed.families import FAMILIES
from tests.bed.inventory import write_inventory
from tests.bed.pci import SCENARIOS
from tests.bed.shell import BedError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bed", description="Test hosts by hand.")
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="make and boot a host")
    up.add_argument("suite", choices=sorted(FAMILIES))
    up.add_argument("name")
    up.add_argument("--gpus", choices=sorted(SCENARIOS), default="t4")
    up.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="any field of Spec")
    down = actions.add_parser("down", help="remove a host")
    down.add_argument("name", nargs="?", default="")
    down.add_argument("--all", action="store_true", help="remove every host, the network and the keys")
    ssh = actions.add_parser("ssh", help="a shell, or one command, on a host")
    ssh.add_argument("name")
    ssh.add_argument("command", nargs="*")
    inventory = actions.add_parser("inventory", help="write a pyinfra inventory of the hosts")
    inventory.add_argument("file", nargs="?", default="")
    actions.add_parser("repository", help="start the stand-in repository of the container toolkit")
    actions.add_parser("list", help="hosts and addresses")
    return parser


def _up(bed: Bed, arguments: argparse.Namespace) -> None:
    options = {}
    for item in arguments.set:
        field, _, value = item.partition("=")
        options[field] = json.loads(value)
    host = bed.make_host(arguments.suite, arguments.name, gpus=arguments.gpus, **options)
    print(f"{host.name} {host.address} {host.root}")


def _act(bed: Bed, arguments: argparse.Namespace) -> None:
    if arguments.action == "up":
        _up(bed, arguments)
    elif arguments.action == "down" and arguments.all:
        bed.wipe()
    elif arguments.action == "down":
        bed.host(arguments.name).remove()
    elif arguments.action == "repository":
        repository = bed.repository()
        print(f"{repository.url}\n{repository.fingerprint}\n{repository.key_path}\n{repository.stranger_key_path}")
    elif arguments.action == "inventory":
        path = Path(arguments.file or bed.folder / "inventory.py")
        write_inventory(path, bed.hosts())
        print(path)
    elif arguments.action == "ssh":
        host = bed.host(arguments.name)
        os.execvp("ssh", ["ssh", *host.ssh_options(), f"root@{host.address}", *arguments.command])
    else:
        for host in bed.hosts():
            print(host.name, host.address, "up" if host.leader else "down", host.root)


def main() -> int:
    arguments = _parser().parse_args()
    try:
        _act(Bed.by_hand(change=arguments.action in ("up", "down", "repository")), arguments)
    except BedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
