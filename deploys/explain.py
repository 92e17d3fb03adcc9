"""`./provision explain`: which driver a described system would get, and why. Contacts nothing; run without pyinfra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deploys.plan.arguments import device, release
from deploys.plan.explain import Question, describe_explanation, explain
from deploys.plan.settings import Settings, SettingsError, parse_settings

DECIDED, REFUSED, USAGE = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./provision explain",
        description="Prints which driver, kernel modules and CUDA a system would get, and every rule that led there.",
        epilog="Exit code: 0 decided, 1 refused, 2 wrong usage.",
    )
    add = parser.add_argument
    add("--gpu", action="append", type=device, default=[], metavar="10de:2330", help="a GPU or NVSwitch; repeatable")
    add("--distro", type=release, required=True, metavar="ID-VERSION", help="such as ubuntu-24.04, debian-12, arch")
    add("--kernel", default="", metavar="RELEASE", help="as uname -r prints it")
    add("--arch", default="", choices=("x86_64", "aarch64"), help="processor; x86_64 where it is not given")
    add("--secure-boot", action="store_true", help="Secure Boot is on")
    add("--key-enrolled", action="store_true", help="the key that DKMS signs with is enrolled")
    add("--modules", default="auto", metavar="auto|open|proprietary", help="gpu_kernel_modules")
    add("--branch", metavar="580", help="gpu_driver_branch: a branch or a full version")
    add("--cuda", action="append", metavar="12.4", help="gpu_cuda: a version; repeatable; the newest that fits without")
    add("--source", default="auto", metavar="auto|distro|nvidia", help="gpu_driver_source")
    return parser


def _settings(words: argparse.Namespace) -> Settings:
    data: dict[str, object] = {"gpu_kernel_modules": words.modules, "gpu_driver_source": words.source}
    if words.branch is not None:
        data["gpu_driver_branch"] = words.branch
    if words.cuda:
        data["gpu_cuda"] = words.cuda
    return parse_settings(data)


def main(arguments: Sequence[str]) -> int:
    """Print the answer; returns the exit code. Raises SystemExit(2) for arguments that mean nothing."""
    parser = _parser()
    words = parser.parse_args(arguments)
    try:
        settings = _settings(words)
    except SettingsError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return USAGE
    distro, version = words.distro
    question = Question(
        devices=tuple(device for group in words.gpu for device in group),
        distro=distro,
        version=version,
        kernel=words.kernel,
        architecture=words.arch,
        secure_boot=words.secure_boot,
        key_enrolled=words.key_enrolled,
        settings=settings,
    )
    answer = explain(question)
    sys.stdout.write(f"{describe_explanation(answer)}\n")
    return REFUSED if answer.refusals else DECIDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
