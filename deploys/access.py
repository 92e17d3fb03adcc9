"""`./provision access`: how a container gets its GPU and keeps it, by the versions of a host. Contacts nothing; run without pyinfra."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence

from deploys.plan.gpu_access import ALL, Engine, choose_access, compose_fragment, docker_arguments
from deploys.plan.versions import numbers

DECIDED, REFUSED = 0, 1


def _version(text: str) -> str:
    if numbers(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version; write 28.5.1, as `docker version` prints it")
    return text


def _gpus(text: str) -> str:
    if text != ALL and not re.fullmatch(r"\d{1,2}(,\d{1,2})*", text):
        raise argparse.ArgumentTypeError(f"{text!r} names no GPUs; write 0, 0,1 or all")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./provision access",
        description="Prints the docker run arguments and the Compose fragment that give a container its GPU for good, and why.",
        epilog="Exit code: 0 decided, 1 there is no way, 2 wrong usage.",
    )
    add = parser.add_argument
    add("--docker", type=_version, required=True, metavar="28.5.1", help="version of the engine")
    add(
        "--toolkit",
        type=_version,
        metavar="1.20.0",
        help="version of the NVIDIA Container Toolkit; none without",
    )
    add("--cgroup", type=int, choices=(1, 2), default=2, help="2 where `stat -fc %%T /sys/fs/cgroup` prints cgroup2fs")
    add("--cgroup-driver", choices=("systemd", "cgroupfs"), help="as `docker info` prints it")
    add("--cdi", action="store_true", help='daemon.json has {"features": {"cdi": true}}')
    add("--gpus", type=_gpus, default="0", metavar="0|0,1|all", help="which GPUs; the first one without")
    add("--count", type=int, default=1, metavar="N", help="how many GPUs the host has, for all of them by name")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Print the answer; returns the exit code. Raises SystemExit(2) for arguments that mean nothing."""
    words = _parser().parse_args(arguments)
    engine = Engine(
        words.docker, words.toolkit or "", words.cgroup, words.cgroup_driver, words.count, cdi_enabled=words.cdi
    )
    access = choose_access(engine)
    lines = []
    if access.problem:
        lines += [f"REFUSED  {access.problem}", f"  needed {access.needed}", f"  fix    {access.fix}"]
    else:
        arguments_ = docker_arguments(access, words.gpus, words.count)
        lines += [
            f"docker run {shlex.join(arguments_)} IMAGE",
            "",
            "services:",
            "  NAME:",
            compose_fragment(access, words.gpus, words.count),
        ]
        if access.feature:
            lines += ['daemon.json needs {"features": {"cdi": true}}']
    lines += [
        "because",
        *(f"  {rule.text}\n    source: {rule.source.title}, {rule.source.as_of}" for rule in access.rules),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return REFUSED if access.problem else DECIDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
