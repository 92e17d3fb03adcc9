"""What `./provision` ends with: by how pyinfra ended and by the states of the hosts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# pyinfra's exit code, the stage it ended in, a host reached, gave up in the middle, only looked, states of the hosts -> ours.
EXIT_CODES: list[tuple[int, str, bool, bool, bool, list[str], int]] = [
    (0, "Disconnect", True, False, False, [], 0),
    (0, "Disconnect", True, False, False, ["ready", "passed"], 0),
    (0, "Prepare", True, False, True, ["planned"], 0),
    (1, "Disconnect", True, False, False, [], 1),
    (1, "Disconnect", True, False, False, ["ready"], 1),
    (1, "Disconnect", True, False, False, ["ready", "not-ready"], 1),
    (1, "Disconnect", True, False, False, ["ready", "refused"], 3),
    (1, "Disconnect", True, False, False, ["reboot-pending"], 3),
    (1, "Disconnect", True, False, False, ["refused", "unreachable"], 1),
    (1, "Prepare", True, False, True, ["refused"], 3),
    (1, "Connect", False, False, False, ["unreachable"], 1),
    (0, "Disconnect", True, False, False, ["ready", "failed"], 1),
    (0, "Disconnect", False, False, False, [], 2),
    (0, "Prepare", False, False, True, [], 2),
    (1, "Setup", False, False, False, [], 2),
    (1, "Execute", True, True, False, ["interrupted"], 2),
    (2, "Setup", False, False, False, [], 2),
    (0, "Execute", True, False, False, ["interrupted"], 130),
    (0, "Prepare", True, False, False, ["planned"], 130),
    (0, "Setup", False, False, True, [], 0),
]

# Importing pyinfra's command line patches the standard library for gevent, so it happens in a process of its own.
ASK = """
import json, sys
from deploys.support import front
json.dump([
    front.exit_code(front.End(code, front.StateStage[stage], *flags), states)
    for code, stage, *flags, states in json.load(sys.stdin)
], sys.stdout)
"""


def test_exit_code_tells_how_the_hosts_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([row[:-1] for row in EXIT_CODES]),
        text=True,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    answers = dict(zip(map(str, EXIT_CODES), json.loads(done.stdout), strict=True))
    assert answers == {str(row): row[-1] for row in EXIT_CODES}
