"""Keys that are pinned and not shipped: fetched by the host, judged by their fingerprint before any use."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state

from deploys.knowledge.keys import read_key
from deploys.knowledge.vendors.keys import CUDA_DEB_2022, CUDA_RPM_2022, DOCKER_RPM
from deploys.plan.files import Fetch, FileChange
from deploys.plan.machine import FileState
from deploys.plan.repositories import key_file
from deploys.plan.settings import Mirror, Proxy, Settings
from deploys.support import fetch
from deploys.support.fetch import WrongKeyError, with_keys
from tests.plan import gpg_keys
from tests.plan.hosts import changed, debian_12_bare
from tests.plan.test_capabilities import DOCKER

PATH = "/etc/pki/rpm-gpg/gpu-host-cuda.asc"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A host that runs its commands here, in a real shell."""
    stand_in = SimpleNamespace(name="fetcher", current_op_global_arguments={}, scripts=[])

    def run_shell_command(command: Any, *, _stdin: str, **_: Any) -> tuple[bool, SimpleNamespace]:
        stand_in.scripts.append(_stdin)
        done = subprocess.run(
            ["sh", "-c", command.get_raw_value()],
            input=_stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        return done.returncode == 0, SimpleNamespace(stdout=done.stdout.strip("\n"), stderr=done.stderr)

    stand_in.run_shell_command = run_shell_command
    with ctx_host.use(stand_in), ctx_state.use(SimpleNamespace(is_executing=True, failed_hosts=set())):
        yield stand_in
    fetch._FETCHED.clear()


def change(url: str, fingerprint: str) -> FileChange:
    return FileChange(PATH, "", "a test", fetch=Fetch(url, fingerprint))


def published(folder: Path, text: str) -> str:
    """The URL of a key that a repository publishes."""
    (folder / "key.pub").write_text(text)
    return f"file://{folder}/key.pub"


def test_the_pinned_key_is_fetched_once(host: SimpleNamespace, tmp_path: Path) -> None:
    wanted = change(published(tmp_path, read_key(DOCKER_RPM.file)), DOCKER_RPM.fingerprint)
    (first,) = with_keys([wanted])
    (second,) = with_keys([wanted])
    assert first == second
    assert first.content.strip() == read_key(DOCKER_RPM.file).strip()
    assert len(host.scripts) == 1


@pytest.mark.usefixtures("host")
def test_another_key_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    wanted = change(published(tmp_path, read_key(DOCKER_RPM.file)), CUDA_RPM_2022.fingerprint)
    with pytest.raises(WrongKeyError) as caught:
        with_keys([wanted])
    assert DOCKER_RPM.fingerprint in str(caught.value)
    assert CUDA_RPM_2022.fingerprint in str(caught.value)
    assert "gpu_mirrors" in str(caught.value)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("text", ["", "<html>404</html>", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongKeyError, match="no armoured OpenPGP key"):
        with_keys([change(published(tmp_path, text), CUDA_RPM_2022.fingerprint)])


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("text", "fingerprint", "words"),
    [
        (gpg_keys.EXPIRED, gpg_keys.EXPIRED_FINGERPRINT, "ended on 2024-12-31"),
        (gpg_keys.REVOKED, gpg_keys.REVOKED_FINGERPRINT, "has been revoked"),
    ],
)
def test_the_pinned_key_at_its_end_is_refused(tmp_path: Path, text: str, fingerprint: str, words: str) -> None:
    with pytest.raises(WrongKeyError, match=words):
        with_keys([change(published(tmp_path, text), fingerprint)])


@pytest.mark.usefixtures("host")
def test_a_key_that_is_not_there_names_its_address(tmp_path: Path) -> None:
    with pytest.raises(WrongKeyError, match=r"missing\.pub could not be fetched"):
        with_keys([change(f"file://{tmp_path}/missing.pub", CUDA_RPM_2022.fingerprint)])


def test_the_way_out_is_the_proxys_and_no_command_line_has_its_login(host: SimpleNamespace, tmp_path: Path) -> None:
    wanted = change(published(tmp_path, read_key(DOCKER_RPM.file)), DOCKER_RPM.fingerprint)
    with_keys([wanted], Proxy("http://ann:s3cret@proxy.invalid:3128"))
    assert "export http_proxy=http://ann:s3cret@proxy.invalid:3128\n" in host.scripts[0]


def test_nothing_is_fetched_while_changes_are_only_detected(host: SimpleNamespace) -> None:
    wanted = change("file:///nonexistent", CUDA_RPM_2022.fingerprint)
    with ctx_state.use(SimpleNamespace(is_executing=False, failed_hosts=set())):
        assert with_keys([wanted]) == (wanted,)
    assert host.scripts == []


def test_a_key_that_lies_on_the_host_with_the_pinned_fingerprint_is_not_fetched_again() -> None:
    text = read_key(CUDA_DEB_2022.file)
    pinned = replace(DOCKER, fingerprint=CUDA_DEB_2022.fingerprint, key_path="3bf863cc.pub")
    bare = debian_12_bare()
    there = changed(bare, files={PATH: FileState(PATH, "0" * 64, "644", "root:root", text)})
    other = changed(bare, files={PATH: FileState(PATH, "0" * 64, "644", "root:root", read_key(DOCKER_RPM.file))})
    assert key_file(there, pinned, Settings(), PATH).content == text
    assert key_file(other, pinned, Settings(), PATH).content == ""
    fetched = key_file(bare, pinned, Settings(), PATH).fetch
    assert fetched == Fetch(f"{DOCKER.url}/3bf863cc.pub", CUDA_DEB_2022.fingerprint)


def test_a_mirror_moves_the_address_of_the_key_too_and_its_own_key_wins() -> None:
    pinned = replace(DOCKER, fingerprint=CUDA_DEB_2022.fingerprint, key_path="3bf863cc.pub")
    moved = Settings(mirrors={"docker": Mirror("https://mirror.example/x")})
    own = Settings(mirrors={"docker": Mirror("https://mirror.example/x", "THEIR KEY", "AB" * 20)})
    bare = debian_12_bare()
    assert key_file(bare, pinned, moved, PATH).fetch == Fetch(
        "https://mirror.example/x/3bf863cc.pub", CUDA_DEB_2022.fingerprint
    )
    assert key_file(bare, pinned, own, PATH).content == "THEIR KEY"
