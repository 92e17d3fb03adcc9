"""An answer about one host that many rules ask for, worked out once: the driver that a host gets is asked for a dozen times in one judgement."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from deploys.plan.machine import Machine

P = ParamSpec("P")
T = TypeVar("T")

# By the identity of a record, which nobody changes. An answer is kept with the arguments that it was given for, so that no other object takes their identity.
_ANSWERS: dict[int, dict[object, tuple[object, object]]] = {}


def once(function: Callable[Concatenate[Machine, P], T]) -> Callable[Concatenate[Machine, P], T]:
    """For a pure function of a machine and further arguments that are not changed either; forgotten with the machine."""
    defaults = function.__kwdefaults__ or {}

    @wraps(function)
    def inner(machine: Machine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        known = _ANSWERS.get(id(machine))
        if known is None:
            known = _ANSWERS[id(machine)] = {}
            weakref.finalize(machine, _ANSWERS.pop, id(machine), None).atexit = False
        named = {**defaults, **kwargs}
        key = (function, *map(id, args), *((name, id(value)) for name, value in sorted(named.items())))
        if key not in known:
            known[key] = (function(machine, *args, **kwargs), (args, kwargs))
        return known[key][0]  # type: ignore[return-value]

    return inner
