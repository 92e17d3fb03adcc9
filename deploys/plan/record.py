"""The base of all records of a host."""

from __future__ import annotations


class Record:
    """Base of the records. pyinfra's command line prints any object that has `to_json`."""

    def to_json(self) -> dict[str, object]:
        """The fields by name; nested records stay records."""
        return dict(vars(self))
