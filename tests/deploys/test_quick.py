"""The quick ways give the answers of the slow ones; in a process of its own, because they stand in for good."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import inspect, sys
from types import SimpleNamespace
import pyinfra
from pyinfra.api import arguments, util
pyinfra.is_cli = True
state = SimpleNamespace(current_deploy_filename="<deploy>", current_op_file_number=3)
slow_arguments = arguments.all_global_arguments

def where():
    return util.get_operation_order_from_stack(state)

def run(code):
    space = {"where": where}
    exec(compile(code, "<deploy>", "exec"), space)
    return space["found"]

deploy = "\\n\\ndef step():\\n    return [where() for _ in range(2)]\\n\\nfound = step()\\n"
slow = run(deploy)
from deploys.support import quick
assert util.stack is quick.stack
assert run(deploy) == slow, (run(deploy), slow)
assert len(set(map(str, slow))) == 1 and 6 in slow[0], slow
assert arguments.all_global_arguments() == slow_arguments()
assert arguments.all_global_arguments() is arguments.all_global_arguments()
"""


DATA = """
from types import SimpleNamespace
from pyinfra.api.host import HostData
host = SimpleNamespace(current_deploy_data=None, current_op_deploy_data=None)
asked = []
class Group(dict):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)
group = Group(_sudo=True, _env={"A": "1"}, gpu_x=1)
data = HostData(host, lambda: group)
from deploys.support import quick
for _ in range(2):
    assert data._sudo is True and data.get("_su_user", 7) == 7 and data.gpu_x == 1
assert asked.count("_sudo") == 1 and asked.count("_su_user") == 1 and asked.count("gpu_x") == 2, asked
data._env["B"] = "2"
assert data._env == {"A": "1"}
data._sudo = False
assert data._sudo is False
host.current_deploy_data = {"x": 1}
asked.clear()
assert data._env == {"A": "1"} and asked == ["_env"]
"""


def test_data_are_found_as_before_and_global_arguments_looked_up_once() -> None:
    done = subprocess.run([sys.executable, "-c", DATA], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_an_operations_identity_and_arguments_stay_what_they_were() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_nobody_changes_the_list_that_is_kept() -> None:
    """pyinfra only iterates over it; where that changes, this says so."""
    code = """
import inspect, re
from pyinfra.api import arguments, facts
for module in (arguments, facts):
    source = inspect.getsource(module)
    uses = re.findall(r"^.*all_global_arguments\\(\\).*$", source, re.MULTILINE)
    assert uses and all(re.search(r"\\bfor\\b.* in all_global_arguments\\(\\)|def all_global_arguments", u) for u in uses), uses
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
