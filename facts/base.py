"""What every fact of this package shares: one command for its subjects, and a `process` that fails one host only."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Generic, TypeVar

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from facts.sections import Section, split_sections
from facts.subject import Subject, build_command

T = TypeVar("T")
F = TypeVar("F", bound=FactBase)  # type: ignore[type-arg]


def fact_guard(process: Callable[[F, list[str]], T]) -> Callable[[F, list[str]], T]:
    """Turn whatever `process` raises into FactProcessError, which drops one host; anything else stops the fleet."""

    @wraps(process)
    def guarded(self: F, output: list[str]) -> T:
        try:
            return process(self, output)
        except FactProcessError:
            raise
        except Exception as error:
            raise FactProcessError(f"{type(self).__name__}: {error or type(error).__name__}") from error

    return guarded


class SubjectFact(FactBase[T], Generic[T]):
    """A fact of one subject. Raises FactProcessError when the host could not answer for it."""

    subject: ClassVar[Subject[Any]]

    @override
    def command(self) -> str:
        return build_command([self.subject])

    @override
    @fact_guard
    def process(self, output: list[str]) -> T:
        name = self.subject.name
        section = split_sections("\n".join(output)).get(name) or Section(name, "", None, 1)
        if section.problem:
            raise FactProcessError(f"{name} could not be read: {section.problem}")
        record: T = self.subject.parse(section.text)
        return record
