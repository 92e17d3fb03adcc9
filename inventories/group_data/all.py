"""Defaults for every host of every inventory in this folder; a host's own data wins."""

import sys
from pathlib import Path

# This file is executed, not imported: the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.support import contain as _contain  # noqa: E402 - the path comes first
from deploys.support.transport import tuned_transport  # noqa: E402

__all__ = [
    "ssh_connect_retries",
    "ssh_connect_retry_max_delay",
    "ssh_connect_retry_min_delay",
    "ssh_paramiko_connect_kwargs",
]

ssh_paramiko_connect_kwargs = {"transport_factory": tuned_transport}

# A bastion's sshd turns away some of many connections at once (MaxStartups); pyinfra's default is no second try.
ssh_connect_retries = 5
ssh_connect_retry_min_delay = 0.5
ssh_connect_retry_max_delay = 2.0

# Before the first connection: a host that is silent, or asks for sudo's password, must not hold the others.
_contain.contain()
_contain.fit_parallel()
