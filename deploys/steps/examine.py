"""The examination of a host that does not work as it should."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import doctor


@deploy("Examination")
def examine() -> None:
    """Known symptoms in the host's logs."""
    doctor.examined(name="The logs hold no known symptom")
