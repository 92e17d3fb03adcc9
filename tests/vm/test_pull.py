"""A machine that provisions itself: from cloud-init alone, over its reboot, to the last word of the real driver."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bed.shell import REPOSITORY
from tests.vm.bed import VmBed
from tests.vm.commands import wait_until
from tests.vm.machine import PATIENCE, Vm
from tests.vm.site import Site

# Python's environment and cloud-init take an emulated guest a quarter of an hour, which the whole tier has not to spare.
pytestmark = pytest.mark.skipif(
    not os.environ.get("GPU_HOST_TEST_SLOW"), reason="set GPU_HOST_TEST_SLOW=1 to have a guest provision itself"
)
NAME = "gpu-07"
FIRST_RESULT = 600.0  # seconds on a quiet machine: packages, Python's environment, and a run
NEXT_RESULT = 300.0
# Beside what is shipped: the guest keeps the keys by which the test comes in, and finds Python's packages here.
TEST_CONFIG = """
ssh_deletekeys: false
disable_root: false
users: []
"""
PIP = """write_files:
  - path: /etc/pip.conf
    content: |
      [global]
      no-index = true
      find-links = {url}/wheels/
      trusted-host = {host}
"""


@dataclass
class Pull:
    vm: Vm
    site: Site
    boot: str

    def result(self, number: int, limit: float) -> dict[str, Any]:
        """Result `number` (1 is the first) that the machine has told, as soon as it has."""
        if not wait_until(lambda: len(self.site.results) >= number, limit * PATIENCE, pause=2):
            log = self.vm.ssh(
                "journalctl -b -n 60 --no-pager -o cat; tail -n 40 /var/log/cloud-init-output.log", check=False
            )
            pytest.fail(f"no result {number} after {limit * PATIENCE:.0f} s\n{log.stdout}")
        path, document = self.site.results[number - 1]
        assert path == f"/results/{NAME}.json"
        (host,) = document["hosts"]
        assert host["host"] == NAME
        assert isinstance(host, dict)
        return host


def user_data(url: str, host: str, commit: str) -> str:
    """The shipped file with an address, a commit and settings in the places that it names."""
    text = (REPOSITORY / "inventories/pull/cloud-init.yaml").read_text()
    for old, new in (
        ("https://git.example/gpu-host.git", f"{url}/gpu-host.git"),
        ("COMMIT", commit),
        ('{"gpu_profile": "full"}', '{"gpu_profile": "raw", "gpu_cuda": null}'),
        ('"/var/lib/gpu-host/results"', f'"/var/lib/gpu-host/results", "{url}/results/{{host}}.json"'),
        ("write_files:\n", PIP.format(url=url, host=host)),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text + TEST_CONFIG


@pytest.fixture(scope="module")
def pull(vm_bed: VmBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pull]:
    vm_bed.base_image("pull")
    with Site(tmp_path_factory.mktemp("site")) as site:
        site.publish_wheels()
        host = site.url.split("//")[1].split(":")[0]
        seed = site.publish_seed(user_data(site.url, host, site.publish_repository()), NAME)
        guest = vm_bed.new_vm("pull", "pull", seed=seed)
        try:
            yield Pull(guest, site, guest.boot_id())
        finally:
            vm_bed.discard(guest)


def test_cloud_init_alone_leads_to_one_reboot(pull: Pull) -> None:
    """Nobody logs in; the result that comes before the reboot says why there is one."""
    first = pull.result(1, FIRST_RESULT)
    assert (first["state"], "nouveau" in first["detail"]) == ("reboot-pending", True)
    second = pull.result(2, NEXT_RESULT)
    assert second["state"] == "not-ready"
    assert "NVRM" in second["detail"] or "driver" in second["detail"]
    assert pull.vm.boot_id() != pull.boot
    assert "nouveau" not in pull.vm.loaded_modules()


def test_cloud_init_is_content_with_the_shipped_file(pull: Pull) -> None:
    said = pull.vm.ssh("cloud-init schema --system 2>&1; cloud-init status --long", check=False).stdout
    assert "Valid schema user-data" in said, said
    assert "errors: []" in said, said


def test_units_are_sound_and_the_timer_has_jitter(pull: Pull) -> None:
    units = "/etc/systemd/system/gpu-host-pull.service /etc/systemd/system/gpu-host-pull.timer"
    assert pull.vm.ssh(f"systemd-analyze verify {units} 2>&1").stdout == ""
    timer = pull.vm.ssh(
        "systemctl show gpu-host-pull.timer -p ActiveState -p RandomizedDelayUSec -p FixedRandomDelay"
    ).stdout
    assert set(timer.split()) == {"ActiveState=active", "RandomizedDelayUSec=6h", "FixedRandomDelay=yes"}


def test_next_run_changes_nothing_and_does_not_reboot(pull: Pull) -> None:
    boot, told = pull.vm.boot_id(), len(pull.site.results)
    began = time.time()
    pull.vm.ssh("systemctl start --no-block gpu-host-pull.service")
    host = pull.result(told + 1, NEXT_RESULT)
    assert (host["state"], host["changed"]) == ("not-ready", [])
    kept = pull.vm.ssh(
        f"stat -c %Y /var/lib/gpu-host/results/{NAME}.json; ls -A /var/lib/gpu-host/results"
    ).stdout.split()
    assert kept[1:] == [f"{NAME}.json"]
    assert float(kept[0]) >= began - 60
    assert pull.vm.boot_id() == boot


def test_configuration_that_cannot_be_used_changes_nothing(pull: Pull) -> None:
    pull.vm.write("/root/wrong.json", '{"data": {"gpu_profil": "raw"}}')
    done = pull.vm.ssh("/opt/gpu-host/provision pull --config /root/wrong.json", check=False)
    assert done.returncode != 0
    assert "gpu_profil" in done.stderr
    assert "write gpu_profile" in done.stderr
