"""What pyinfra 3.10 and Python do over and over for each host, done once or cheaply: most of what a host without changes costs the controller.

Import this before any fact. The answers are the same ones (tests/deploys/test_quick.py compares them):

* where an operation was called from: pyinfra asks `inspect`, which looks through all modules and reads sources for each frame,
  though only file names and line numbers count;
* the type hints of the global arguments: evaluated anew for each class of a fact, and for each operation of each host;
* which of a host's data are global arguments: looked for in all its groups, thirty names for each operation and each fact;
* the sums over packets, compared byte by byte in Python;
* the collector of cycles: it looks again and again through modules that stay.
"""

from __future__ import annotations

import functools
import gc
import hmac
import sys
from copy import copy
from types import FrameType
from typing import Any, NamedTuple, cast

import paramiko.util
from pyinfra.api import arguments, facts, util
from pyinfra.api.exceptions import ArgumentTypeError
from pyinfra.api.util import raise_if_bad_type
from pyinfra.context import ctx_config


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


def pop_global_arguments(state: Any, host: Any, kwargs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`arguments.pop_global_arguments`. Raises ArgumentTypeError."""
    config = ctx_config.get() if ctx_config.isset() else state.config  # type: ignore[no-untyped-call]
    around = host.current_deploy_kwargs or {}
    own = _own(host)
    found, taken = {}, []
    for key, type_, default_of, handler in _TABLE:
        default = copy(own[key]) if key in own else default_of(config)
        if key in kwargs:
            taken.append(key)
            value = kwargs.pop(key)
        else:
            value = around.get(key, default)
        if handler:
            value = handler(config, value)
        if value != default:
            raise_if_bad_type(value, type_, ArgumentTypeError, f"Invalid argument `{key}`:")
        found[key] = value
    return found, taken


def _own(host: Any) -> dict[str, Any]:
    """The global arguments among the host's data, looked up once.

    What is set during the run (`host.data.x = ...`), or by a deploy around this operation, is looked up each time, as ever.
    """
    data = host.data
    variable = data.override_datas or host.current_deploy_data or host.current_op_deploy_data
    known: dict[str, Any] | None = None if variable else data.__dict__.get("known_by_quick")
    if known is None:
        known = {key: value for key, *_ in _TABLE if (value := data.get(key, _ABSENT)) is not _ABSENT}
        if not variable:
            data.__dict__["known_by_quick"] = known
    return known


def started() -> None:
    """All modules are there and stay: the collector need not look at them again, nor often at the records of hosts."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


# `from pyinfra.api import deploy, operation` finds the decorators of these names, not the modules that they are in.
_deploy, _operation = (cast("Any", sys.modules[f"pyinfra.api.{name}"]) for name in ("deploy", "operation"))
_util, _arguments, _facts, _paramiko = (cast("Any", module) for module in (util, arguments, facts, paramiko.util))
_util.stack, _util.getframeinfo = stack, getframeinfo
_arguments.all_global_arguments = _facts.all_global_arguments = functools.cache(arguments.all_global_arguments)
_ABSENT = object()
_TABLE = tuple(
    (key, type_, arguments.all_argument_meta[key].default, arguments.all_argument_meta[key].handler)
    for key, type_ in arguments.all_global_arguments()
)
for _module in (_arguments, _facts, _deploy, _operation):
    _module.pop_global_arguments = pop_global_arguments
# For each packet that comes in; paramiko compares byte by byte, in Python.
_paramiko.constant_time_bytes_eq = hmac.compare_digest
