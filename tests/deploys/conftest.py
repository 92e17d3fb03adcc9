"""A stand-in host for tests of operations."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host, ctx_state

from deploys.support import world


@pytest.fixture
def host() -> Iterator[SimpleNamespace]:
    """A host whose record the test sets; whoever would ask the real one fails for want of `get_fact`."""
    stand_in = SimpleNamespace(name="stand-in", said=[])
    stand_in.noop = stand_in.said.append
    stand_in.log_styled = lambda text, **_: stand_in.said.append(text)
    # Who asks for the lease of the host gets it.
    stand_in.run_shell_command = lambda *_, **__: (True, SimpleNamespace(stdout="", stderr=""))
    stand_in.current_op_hash, stand_in.current_op_global_arguments = None, {}
    state = SimpleNamespace(is_executing=True, failed_hosts=set())
    with ctx_host.use(stand_in), ctx_state.use(state):
        yield stand_in
    world._MACHINES.pop("stand-in", None)
