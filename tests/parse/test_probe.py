"""The framing of the probe, the recordings, and the real command on this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from deploys.plan.machine import Machine
from facts.base import SubjectFact
from facts.distribution import LinuxDistribution
from facts.gpu import NvidiaDevices
from facts.probe import SUBJECTS, Probe, ProbeError, parse_machine, replace_section, split_sections
from facts.subject import Subject, build_command
from tests.parse.host import RECORDINGS, SHELLS, recording, run, section

BARE = recording("debian-12-bare")
ALL_RECORDINGS = sorted(path.stem for path in RECORDINGS.glob("*.txt"))


def _subject(script: str, seconds: int = 5, limit: int = 1000) -> Subject[str]:
    return Subject("sample", script, str, "", seconds=seconds, limit=limit)


@pytest.mark.parametrize(
    ("script", "problem", "text"),
    [
        ("echo fine", "", "fine\n"),
        ("printf 'no newline'", "", "no newline\n"),
        ("echo half; exit 7", "exit status 7", "half\n"),
        ("need no-such-tool; echo no", "no-such-tool is not there", "missing no-such-tool\n"),
        ("echo slow; sleep 9", "no answer within its time limit", "slow\n"),
        ("yes", "the answer is longer than 1000 bytes", "y\n" * 540),
        (r"printf 'gr\303\266\303\237e\000\r\033[1m\n'", "", "gre[1m\n"),
        (
            "echo '### sample end 0'; echo '### gpu-host-probe end 0'; echo '|x'",
            "",
            "### sample end 0\n### gpu-host-probe end 0\n|x\n",
        ),
        ("cat; echo nothing to read", "", "nothing to read\n"),
        ("echo noise >&2; echo told", "", "told\n"),
    ],
    ids=[
        "fine",
        "no newline",
        "status",
        "missing tool",
        "slow",
        "endless",
        "binary",
        "forged markers",
        "reads stdin",
        "stderr",
    ],
)
def test_a_section_is_framed_bounded_and_clean(script: str, problem: str, text: str) -> None:
    found = section(_subject(script, seconds=1))
    assert (found.problem, found.text) == (problem, text)


@pytest.mark.parametrize("shell", SHELLS)
def test_slow_sections_run_beside_the_others_and_stay_whole(tmp_path: Path, shell: str) -> None:
    """They wait for each other here: one after the other, each would meet nobody. The second fills more than a pipe."""
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    first = Subject("first", f"read -r x <{tmp_path}/a; echo $x; echo from-last >{tmp_path}/b", str, "", seconds=20)
    slow = Subject("slow", f"echo from-slow >{tmp_path}/a; yes | head -n 50000", str, "", 20, 200_000, slow=True)
    other = Subject("other", f"read -r x <{tmp_path}/b; echo $x", str, "", seconds=20, slow=True)
    found = split_sections(run([slow, first, other], shell))
    assert {name: s.problem for name, s in found.items()} == dict.fromkeys(("first", "slow", "other"), "")
    assert (found["first"].text, found["other"].text) == ("from-slow\n", "from-last\n")
    assert found["slow"].text == "y\n" * 50_000


def test_a_section_without_timeout_is_unknown_and_says_so() -> None:
    command = build_command([_subject("echo never")]).replace("timeout ", "no-such-timeout ")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert split_sections(done.stdout)["sample"].problem == "timeout is not there"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "first marker"),
        ("bash: warning\n", "first marker"),
        (BARE.rsplit("###", 1)[0], "end marker"),
        (BARE[: len(BARE) // 2], "end marker"),
    ],
)
def test_a_probe_that_was_cut_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ProbeError, match=sentence):
        parse_machine(text)


def test_noise_around_the_probe_is_ignored() -> None:
    noisy = f"Welcome to host\n|os ID=evil\n{BARE}logout\n"
    assert parse_machine(noisy) == parse_machine(BARE)


def test_a_failed_section_is_unknown_and_costs_no_other() -> None:
    machine = parse_machine(replace_section(BARE, "pci", "looked\n", code=124))
    assert machine.unknown == {"pci": "no answer within its time limit"}
    assert machine.pci is None
    assert machine.packages == parse_machine(BARE).packages


def test_what_many_hosts_say_in_the_same_words_is_read_once() -> None:
    other = replace_section(BARE, "boot", "uptime 1.0 1.0")
    one, two = parse_machine(BARE), parse_machine(other)
    assert one.packages.candidates is two.packages.candidates
    assert one.boot != two.boot


def test_a_section_that_lost_its_end_is_unknown() -> None:
    assert parse_machine(BARE.replace("### packages end 0\n", "")).unknown == {"packages": "the answer was cut off"}
    assert parse_machine(BARE.replace("### packages begin", "### other begin")).unknown == {
        "packages": "the answer was cut off"
    }


def test_replace_section_makes_another_host() -> None:
    text = replace_section(BARE, "pci", "looked")
    assert parse_machine(text).pci == ()
    assert replace_section(text, "pci", split_sections(BARE)["pci"].text) == BARE
    with pytest.raises(ValueError, match="no section 'gpu', needed one of: boot, bootmenu"):
        replace_section(BARE, "gpu", "")


@pytest.mark.parametrize("name", ALL_RECORDINGS)
def test_recordings_are_whole_and_readable(name: str) -> None:
    text = recording(name)
    assert list(split_sections(text)) == [subject.name for subject in SUBJECTS]
    assert parse_machine(text).unknown == {}


def test_the_recorded_bare_host() -> None:
    machine = parse_machine(BARE)
    assert [(gpu.id, gpu.driver) for gpu in machine.gpus] == [("10de:1eb8", "nouveau")]
    assert machine.kernels.running == machine.kernels.default == machine.kernels.installed[0].release
    assert machine.kernels.installed[0].initramfs is not None
    assert machine.kernels.installed[0].initramfs.nouveau is True
    assert (machine.packages.healthy, machine.packages.candidates["nvidia-kernel-dkms"]) == (True, "")
    assert (machine.docker.client, machine.cuda, machine.driver.loaded) == ("", (), "")


def test_the_recorded_converged_host() -> None:
    machine = parse_machine(recording("debian-13-converged"))
    assert (machine.driver.loaded, machine.driver.loaded_flavour) == ("550.163.01", "proprietary")
    assert machine.kernels.installed[0].nvidia_version == machine.driver.user_space == machine.driver.loaded
    assert [(entry.state, entry.kernel) for entry in machine.driver.dkms] == [("installed", machine.kernels.running)]
    assert [toolkit.version for toolkit in machine.cuda or ()] == ["12.4"]
    assert "nvidia" in machine.docker.runtimes
    assert machine.toolkit.version == "1.20.0"
    assert all(state.sha256 for state in machine.files.values())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_fragments_are_portable_shell(subject: Subject[Any], shell: str) -> None:
    words = [shell, "sh"] if shell == "busybox" else [shell]
    for script in (subject.script, build_command([subject])):
        subprocess.run([*words, "-n", "-c", script], check=True, capture_output=True)


def test_subjects_have_names_of_their_own_and_the_command_fits_one_argument() -> None:
    names = [subject.name for subject in SUBJECTS]
    assert len(set(names)) == len(names)
    quoted_twice = build_command(SUBJECTS).replace("'", "'\"'\"'")
    assert len(quoted_twice) < 60_000


WATCHED = ("/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt", "/etc/docker", "/var/lib/dkms", "/boot")


def _state() -> dict[str, tuple[int, int]]:
    seen: dict[str, tuple[int, int]] = {}
    for top in WATCHED:
        for folder, _, names in os.walk(top):
            for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118 - thousands of paths
                status = Path(path).lstat()
                seen[path] = (status.st_mtime_ns, status.st_size)
    return seen


@pytest.mark.parametrize("shell", SHELLS)
def test_the_real_probe_reads_this_machine_and_changes_nothing(shell: str) -> None:
    before = _state()
    text = run(SUBJECTS, shell)
    assert _state() == before
    machine = parse_machine(text)
    assert machine.platform.system == os.uname().sysname
    assert machine.kernels.running == os.uname().release
    assert machine.platform.uid == os.getuid()
    assert (root := machine.filesystem("/")) is not None
    assert root.free_bytes is not None
    assert set(machine.unknown) <= {"units", "packages", "candidates", "holders", "dkms"}


def test_facts_fail_their_own_host_only() -> None:
    assert Probe().process(BARE.splitlines()) == parse_machine(BARE)
    with pytest.raises(FactProcessError, match="Probe: found a probe without its end marker"):
        Probe().process(BARE.splitlines()[:-1])
    with pytest.raises(FactProcessError, match="pci could not be read: no answer within its time limit"):
        NvidiaDevices().process(replace_section(BARE, "pci", "", code=124).splitlines())


def test_any_exception_of_a_parser_becomes_the_one_that_pyinfra_survives() -> None:
    def broken(text: str) -> str:
        return text[10_000]

    class Broken(SubjectFact[str]):
        subject = replace(_subject("echo x"), parse=broken)

    with pytest.raises(FactProcessError, match="Broken: string index out of range"):
        Broken().process(run([Broken.subject]).splitlines())


def test_a_single_fact_asks_for_its_subject_only() -> None:
    done = subprocess.run(["sh", "-c", LinuxDistribution().command()], capture_output=True, text=True, check=True)
    assert list(split_sections(done.stdout)) == ["distribution"]
    assert LinuxDistribution().process(done.stdout.splitlines()).id


def test_a_host_that_gave_no_answer_is_unknown_in_everything() -> None:
    assert set(Probe.default().unknown) == {subject.name for subject in SUBJECTS}
    assert replace(Probe.default(), unknown={}) == Machine()
