"""What the proof asks of a host, with stand-ins for its programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploys.knowledge.paths import CONTAINERS_PROVEN
from facts import container_proof
from facts.proof import SUBJECT
from tests.parse.host import SHELLS, at_root, program, section, write


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("module", "body", "answer"),
    [
        ("nvidia", "cat >/dev/null; echo 0", "0"),
        ("nvidia_current", "cat >/dev/null; echo 100", "100"),
        ("nvidia", "cat >/dev/null; exit 124", "no answer from the CUDA driver within 60 s"),
        ("nvidia", "cat >/dev/null; exit 1", None),
        ("nouveau", "cat >/dev/null; echo 0", "no answer: the NVIDIA module is not loaded"),
    ],
)
def test_cuda_is_asked_where_the_module_is_loaded(
    tmp_path: Path, shell: str, module: str, body: str, answer: str | None
) -> None:
    """Asked without it, libcuda tries to load the module: a proof changes nothing."""
    write(tmp_path, f"/sys/module/{module}/refcnt")
    path = program(tmp_path, "python3", f"touch {tmp_path}/asked; {body}")
    found = section(at_root(SUBJECT, tmp_path), shell, path)
    assert SUBJECT.parse(found.text).cuda == answer
    assert (tmp_path / "asked").exists() == module.startswith("nvidia")


def test_containers_that_are_tried_again_in_vain_count_as_proven_no_more(tmp_path: Path) -> None:
    """The engine takes no image: nothing was judged, and what was noted before does not stand."""
    note = write(tmp_path, CONTAINERS_PROVEN, "5f2d 2026-11-28T07:00:00Z all\n")
    path = program(tmp_path, "docker", "cat >/dev/null; exit 1")
    found = section(at_root(container_proof.SUBJECT, tmp_path), path=path)
    assert "skipped run no image could be made" in found.text
    assert not note.exists()
