"""A key that is pinned and not shipped, fetched by a real host over SSH: written only when it is the pinned one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.repository import Repository

PATH = "/etc/apt/keyrings/gpu-host-cuda.asc"
DEPLOY = """
import sys
sys.path.insert(0, {root!r})
from deploys.operations.files import owned
from deploys.plan.files import Fetch, FileChange
owned(name="key", files=[FileChange({path!r}, "", "a test", fetch=Fetch({url!r}, {fingerprint!r}))])
"""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_only_the_pinned_key_is_written(
    make_host: Callable[..., Host], toolkit_repository: Repository, tmp_path: Path, suite: str
) -> None:
    """A bare Debian host has neither curl nor wget; apt's own helper serves."""
    host, repo = make_host(suite, f"fetch-{suite}"), toolkit_repository
    inventory = write_inventory(tmp_path / "inventory.py", [host], {})
    url = f"{repo.base_url}/libnvidia-container/gpgkey"
    words = {"root": str(Path(__file__).parents[2]), "path": PATH}

    def run(url: str, fingerprint: str) -> str:
        deploy = tmp_path / "deploy.py"
        deploy.write_text(DEPLOY.format(**words, url=url, fingerprint=fingerprint))
        return run_pyinfra(inventory, str(deploy), "-y").stderr

    assert "could not be fetched" in run(f"{url}.missing", repo.fingerprint)
    assert f"holds a key with fingerprint {repo.fingerprint}; pinned is {'0' * 40}" in run(url, "0" * 40)
    assert host.ssh(f"test -e {PATH}", check=False).returncode != 0
    run(url, repo.fingerprint)
    assert host.ssh(f"cat {PATH}").stdout.strip() == repo.key_path.read_text().strip()
