"""A deploy that drains, reboots where the state asks for it, and calls back: the road without its packages."""

from __future__ import annotations

from tests.bed.shell import REPOSITORY

DEPLOY = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from dataclasses import replace
from deploys.knowledge.distros import find_distro
from deploys.operations import reboot
from deploys.plan.plan import make_plan
from deploys.steps import drain
from deploys.support.outcome import current
from deploys.support.run import begin, entry

def main():
    brief = begin(decide=False)
    if brief:
        plan = make_plan(brief.machine, brief.settings, find_distro("debian", "12"))
        plan = replace(plan, packages=replace(plan.packages, wanted=()))  # only the reboot is at stake
        drain.drain(plan=plan, settings=brief.settings)
        reboot.rebooted_when_needed(name="Reboot", allowed=True, timeout=60)
        drain.undrain(settings=brief.settings)
        current().state = "passed"

entry(main)
"""
