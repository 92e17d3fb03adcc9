"""What pyinfra 3.10 and Python do over and over for each host, done once or cheaply: most of what a host without changes costs the controller.

Import this before any fact. The answers are the same ones (tests/deploys/test_quick.py compares them):

* where an operation was called from: pyinfra asks `inspect`, which looks through all modules and reads sources for each frame,
  though only file names and line numbers count;
* the type hints of the global arguments: evaluated anew for each class of a fact, and for each operation of each host;
* which of a host's data are global arguments: looked for in all its groups, thirty names for each operation and each fact;
* the collector of cycles: it looks again and again through modules that stay.
"""

from __future__ import annotations

import functools
import gc
import sys
from copy import copy
from types import FrameType
from typing import Any, NamedTuple

from pyinfra.api import arguments, facts, util
from pyinfra.api.host import HostData


class Place(NamedTuple):
    """What is asked of `inspect.getframeinfo`."""

    filename: str
    lineno: int


def stack() -> list[tuple[FrameType]]:
    """The frames that `inspect.stack` gives, without their sources."""
    found: list[tuple[FrameType]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found.append((frame,))
        frame = frame.f_back
    return found


def getframeinfo(frame: FrameType) -> Place:
    """Where this frame is, without its source."""
    return Place(frame.f_code.co_filename, frame.f_lineno)


def lookup(data: Any, key: str) -> Any:
    """`HostData.__getattr__`: an item of the host's data. Raises AttributeError.

    What is set during the run (`host.data.x = ...`), or by a deploy around this operation, is looked up each time, as ever.
    """
    host = data.host
    if not key.startswith("_") or key in data.override_datas or host.current_deploy_data or host.current_op_deploy_data:
        return _lookup(data, key)
    known = data.__dict__.setdefault("known_by_quick", {})
    if key not in known:
        try:
            known[key] = _lookup(data, key)
        except AttributeError as error:
            known[key] = error
    if isinstance(known[key], AttributeError):
        raise known[key].with_traceback(None)
    return copy(known[key])


def started() -> None:
    """All modules are there and stay: the collector need not look at them again, nor often at the records of hosts."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


_util: Any = util
_arguments: Any = arguments
_facts: Any = facts
_util.stack, _util.getframeinfo = stack, getframeinfo
_lookup: Any = HostData.__getattr__
_host_data: Any = HostData
_host_data.__getattr__ = lookup
_arguments.all_global_arguments = _facts.all_global_arguments = functools.cache(arguments.all_global_arguments)
