"""The judgement inside the apt scripts, on recorded simulations; the scripts as a whole run on booted hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploys.knowledge.managers import APT
from deploys.operations.initramfs import rebuild_script
from deploys.operations.packages import SCRIPTS, spec

GOOD = """\
Inst libcuda1 (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst nvidia-smi [535.261.03-1] (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst nvidia-kernel-dkms (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Conf libcuda1 (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
"""


def judge(tmp_path: Path, simulation: str, code: int = 0) -> tuple[int, str]:
    """Exit status and output of `simulate` and `same_version` when apt prints this."""
    (tmp_path / "said").write_text(simulation)
    query = tmp_path / "dpkg-query"
    query.write_text("#!/bin/sh\nexit 1\n")
    query.chmod(0o755)
    script = "\n".join(
        [
            f"PATH={tmp_path}:$PATH LOCK_WAIT=1 SCRATCH={tmp_path} STATE_DIR={tmp_path} MAY_REMOVE='{APT.may_remove}' MUST_STAY='{APT.must_stay}'",
            "SAME_VERSION='nvidia-kernel-dkms libcuda1 nvidia-smi' HOLDS= PINS= MODULES= BUNDLE=",
            (SCRIPTS / "common.sh").read_text(),
            (SCRIPTS / "apt.sh").read_text(),
            f"apt() {{ cat {tmp_path}/said; return {code}; }}",
            "simulate x && same_version && given_up && echo allowed",
        ]
    )
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_good_simulation_is_allowed(tmp_path: Path) -> None:
    assert judge(tmp_path, GOOD) == (0, "allowed\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Remv openssh-server [1:9.2p1-2]", "would remove: openssh-server"),
        ("Remv linux-image-6.1.0-50-amd64 [6.1.1]", "would remove: linux-image-6.1.0-50-amd64"),
        ("Inst openssh-server [1:9.2p1-1] (1:9.2p1-2 Debian:12 [amd64])", "reachable: openssh-server"),
        ("Inst linux-image-6.1.0-99-amd64 (6.1.2 Debian:12 [amd64])", "linux-image-6.1.0-99-amd64"),
    ],
)
def test_dangerous_simulation_is_refused_by_name(tmp_path: Path, line: str, words: str) -> None:
    code, text = judge(tmp_path, f"{GOOD}{line}\n")
    assert code == 1
    assert words in text


def test_older_driver_may_be_replaced(tmp_path: Path) -> None:
    assert judge(tmp_path, f"{GOOD}Remv nvidia-legacy-390xx-driver [390.157-1]\n")[0] == 0


def test_modules_and_libraries_of_two_versions_are_refused(tmp_path: Path) -> None:
    mixed = GOOD.replace("nvidia-kernel-dkms (535.309.01-0+deb12u1", "nvidia-kernel-dkms (535.261.03-1")
    code, text = judge(tmp_path, mixed)
    assert code == 1
    assert "nvidia-kernel-dkms=535.261.03 libcuda1=535.309.01" in text


def test_packages_that_cannot_be_installed_together_show_what_apt_says(tmp_path: Path) -> None:
    code, text = judge(tmp_path, "E: Unable to correct problems, you have held broken packages.\n", 100)
    assert code == 1
    assert "held broken packages" in text
    assert "cannot be installed together" in text


def test_driver_that_was_given_up_is_not_installed_again_by_itself(tmp_path: Path) -> None:
    (tmp_path / "given-up").write_text("0123 2026-11-01 driver 550.1\n4567 2026-11-02 driver 535.309.01\n")
    code, text = judge(tmp_path, GOOD)
    assert code == 1
    assert (
        f"535.309.01 failed its proof here on 2026-11-02 and was given up: ask for another gpu_driver_branch or, to try it once more, rm {tmp_path}"
        in text
    )
    (tmp_path / "given-up").write_text("0123 2026-11-01 driver 550.1\n")
    assert judge(tmp_path, GOOD) == (0, "allowed\n")


BLOCK = "usr/lib/x\netc/modprobe.d/gpu-host-nouveau.conf"
IMAGES = {
    "/boot/initrd.img-6.1.0-50-amd64": ("update-initramfs -u -k 6.1.0-50-amd64", "6.1.0-50-amd64"),
    "/boot/initramfs-5.14.0-570.el9.x86_64.img": (
        "dracut --force /boot/initramfs-5.14.0-570.el9.x86_64.img 5.14.0-570.el9.x86_64",
        "5.14.0-570.el9.x86_64",
    ),
}


def rebuild(tmp_path: Path, images: dict[str, str], listing: str) -> tuple[int, str, str]:
    """Exit status and output of the script, and which builders it called, with stand-ins for all programs."""
    for name in ("update-initramfs", "dracut"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/called\n')
    for name in ("lsinitramfs", "lsinitrd"):
        (tmp_path / name).write_text(f"#!/bin/sh\nprintf '%s\\n' '{listing}'\n")
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    script = f"PATH={tmp_path}:$PATH\n{rebuild_script(images)}"
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=30, check=False)
    called = tmp_path / "called"
    return done.returncode, done.stdout + done.stderr, called.read_text() if called.exists() else ""


@pytest.mark.parametrize("image", IMAGES)
def test_each_boot_image_is_built_by_the_program_that_owns_it(tmp_path: Path, image: str) -> None:
    command, release = IMAGES[image]
    assert rebuild(tmp_path, {release: image}, BLOCK) == (0, "", f"{command}\n")


def test_a_boot_image_without_the_block_or_of_unknown_make_is_no_success(tmp_path: Path) -> None:
    image = "/boot/initrd.img-6.1.0-50-amd64"
    code, text, _ = rebuild(tmp_path, {"6.1.0-50-amd64": image}, "usr/lib/x")
    assert code == 1
    assert "does not carry the block" in text
    (tmp_path / "called").unlink()
    code, text, called = rebuild(tmp_path, {"6.17.9": "/efi/loader/unified.efi"}, BLOCK)
    assert (code, called) == (1, "")
    assert "it is not known what makes the boot image /efi/loader/unified.efi" in text


@pytest.mark.parametrize(
    ("manager", "version", "words"),
    [
        ("apt", "", "nvidia-x"),
        ("apt", "580", "nvidia-x=580.*"),
        ("apt", "580.159.03", "nvidia-x=580.159.03-*"),
        ("dnf4", "580", "nvidia-x-580.*"),
        ("dnf5", "580.159.03", "nvidia-x-580.159.03-*"),
        ("zypper", "580", "nvidia-x~580"),
        ("zypper", "580.159.03", "nvidia-x~580.159.03"),
        ("pacman", "580", "nvidia-x~580"),
        ("pacman", "", "nvidia-x"),
    ],
)
def test_a_version_is_asked_for_in_the_managers_words(manager: str, version: str, words: str) -> None:
    assert " ".join(spec(manager, "nvidia-x", version)) == words
