"""A GPU container that serves HTTP while runs of every kind go over its host, and a client that counts what it misses."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bed import standins
from tests.bed.host import Host
from tests.bed.pack import Package, build_deb
from tests.hosts import engine_lab
from tests.hosts.engine_lab import VERSION, Site

PORT = 8080
KERNEL = "uname -r"
_UNIT = "[Unit]\nDescription=stand-in\n\n[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n"
_BUILT = """v={version} k={kernel} m=/var/lib/dkms/nvidia-current
mkdir -p /usr/src/nvidia-current-$v $m/$v/$k/x86_64/module /lib/modules/$k/updates/dkms
echo 'BUILT_MODULE_NAME[0]=nvidia' >/usr/src/nvidia-current-$v/dkms.conf
echo {module} | base64 -d | gzip -dc >/lib/modules/$k/updates/dkms/nvidia-current.ko
cp /lib/modules/$k/updates/dkms/nvidia-current.ko $m/$v/$k/x86_64/module/nvidia-current.ko
ln -sfn /usr/src/nvidia-current-$v $m/$v/source; ln -sfn $v/$k/x86_64 $m/kernel-$k-x86_64
depmod $k
"""


def driver_packages(kernel: str) -> list[Package]:
    """What a Debian 13 with its own driver has installed, as packages by the real names that bring next to nothing."""
    revision = f"{VERSION}-2"
    library = {f"/usr/lib/x86_64-linux-gnu/libcuda.so.{VERSION}": "stand-in\n"}
    built = _BUILT.format(version=VERSION, kernel=kernel, module=standins.module(VERSION, kernel))
    return [
        Package("nvidia-kernel-dkms", revision, post=built),
        Package("libcuda1", revision, files=library),
        *(Package(name, revision) for name in ("nvidia-smi", "libnvidia-cfg1", "libnvidia-ml1")),
        Package(
            "nvidia-persistenced", f"{VERSION}-1", files={"/usr/lib/systemd/system/nvidia-persistenced.service": _UNIT}
        ),
        Package("nvidia-modprobe", "570.133.07-1"),
        standins.other(f"linux-headers-{kernel}", "6.12.107-1", kernel),
        *(Package(name, "99-1") for name in ("linux-headers-amd64", "dkms", "gcc", "make")),
    ]


def make_site(make_host: Callable[..., Host], folder: Path) -> Site:
    """A host with a driver, Docker and no container toolkit, on which the sentinel serves."""
    site = engine_lab.make_site(make_host, folder, "sentinel", '{"log-opts": {"max-size": "9m"}}')
    host = site.host
    kernel = host.nsenter(KERNEL).stdout.strip()
    debs = host.root / "srv/debs"
    debs.mkdir()
    for package in driver_packages(kernel):
        shutil.copy(build_deb(package, folder), debs)
    host.nsenter("dpkg -i /srv/debs/*.deb && systemctl start nvidia-persistenced")
    start_sentinel(host)
    return site


def start_sentinel(host: Host) -> None:
    """On the host's network: a dockerd that starts makes its rules for published ports anew, and turns connections away meanwhile, whoever starts it."""
    host.nsenter(
        "mkdir -p /tmp/s/bin /tmp/s/www && cp /bin/busybox /tmp/s/bin/ && echo fine >/tmp/s/www/ok && tar -C /tmp/s -c . | docker import - web && "
        f"docker run -d --name sentinel --device /dev/nvidia0 --network host web /bin/busybox httpd -f -p {PORT} -h /www"
    )


@dataclass
class Client:
    """Asks a hundred times in a second; every request is a connection of its own. `failures` holds what went wrong, with the second of it."""

    address: str
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def answers(self) -> bool:
        with suppress(OSError, http.client.HTTPException, ValueError):
            self._ask()
            return True
        return False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(30)

    def _run(self) -> None:
        began = next_at = time.monotonic()
        while not self._over.is_set():
            next_at = max(next_at, time.monotonic() - 0.05) + 0.01
            asked = time.monotonic()
            try:
                self._ask()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{asked - began:.2f} s: {error!r}")
            self.requests += 1
            self.slowest = max(self.slowest, time.monotonic() - asked)
            time.sleep(max(0.0, next_at - time.monotonic()))

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.address, PORT, timeout=20)
        try:
            connection.request("GET", "/ok")
            answer = connection.getresponse()
            if (answer.status, answer.read()) != (200, b"fine\n"):
                raise ValueError(f"status {answer.status}")
        finally:
            connection.close()
