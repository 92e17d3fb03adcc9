"""What the proof asks of a host, with stand-ins for its programs."""

from __future__ import annotations

from pathlib import Path

import pytest

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
