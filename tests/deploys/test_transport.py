from __future__ import annotations

import runpy
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from deploys.support.transport import DEAD_PEER_SECONDS, tuned_transport

ROOT = Path(__file__).resolve().parents[2]


def test_a_tcp_connection_is_tuned() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = tuned_transport(client)
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        if sys.platform == "linux":
            limit = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert limit == DEAD_PEER_SECONDS * 1000
        assert not transport.is_active()


def test_a_jump_hosts_channel_has_no_socket_options_and_is_used_as_it_is() -> None:
    class Channel:
        def settimeout(self, seconds: float) -> None:
            self.timeout = seconds

    channel: Any = Channel()
    assert tuned_transport(channel).sock is channel


def test_every_host_gets_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(ROOT))])
    data = runpy.run_path(str(ROOT / "inventories/group_data/all.py"))
    assert data["ssh_paramiko_connect_kwargs"]["transport_factory"].__name__ == "tuned_transport"
    assert str(ROOT) in sys.path
    assert {name for name in data["__all__"] if not name.startswith("ssh_")} == set()
