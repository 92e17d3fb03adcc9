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
from importlib import import_module
from types import SimpleNamespace
from pyinfra.api import Config, arguments
from pyinfra.api.exceptions import ArgumentTypeError
from pyinfra.api.host import HostData
import paramiko.util
slow, slow_equal = arguments.pop_global_arguments, paramiko.util.constant_time_bytes_eq
asked = []
class Group(dict):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)

def host(**more):
    group = Group(_sudo=True, _env={"A": "1"}, _timeout=7, gpu_x=1)
    made = SimpleNamespace(**{"current_deploy_data": None, "current_op_deploy_data": None, "current_deploy_kwargs": None, **more})
    made.data = HostData(made, lambda: group)
    return made

def answer(function, host, **kwargs):
    try:
        return function(state, host, kwargs), kwargs
    except ArgumentTypeError as error:
        return str(error)

from deploys.support import quick
# What an operation and a deploy really call: the name of a module may be that of a decorator.
for name in ("arguments", "deploy", "facts", "operation"):
    module = import_module("pyinfra.api." + name)
    assert module.__name__ == "pyinfra.api." + name
    assert module.pop_global_arguments is quick.pop_global_arguments
for config in (Config(), Config(SUDO=False, SU_USER="x", ENV={"B": "2"}, SHELL="bash")):
    state = SimpleNamespace(config=config)
    for more in ({}, {"current_deploy_kwargs": {"_sudo": False, "_chdir": "/"}}, {"current_deploy_data": {"x": 1}}):
        for kwargs in ({}, {"_sudo": False, "name": "n", "plain": 3}, {"_timeout": "much"}, {"_env": {"C": "3"}, "_if": [lambda: True]}):
            one, two = host(**more), host(**more)
            for _ in range(2):
                assert answer(quick.pop_global_arguments, one, **kwargs) == answer(slow, two, **kwargs), (more, kwargs)
            one.data._timeout = two.data._timeout = 11
            assert answer(quick.pop_global_arguments, one, **kwargs) == answer(slow, two, **kwargs), (more, kwargs)
            assert one.data.gpu_x == 1
one = host()
asked.clear()
first, second = (quick.pop_global_arguments(state, one, {})[0] for _ in range(2))
assert asked.count("_sudo") == 1 and asked.count("_su_user") == 1, asked
assert first["_env"] == second["_env"] and first["_env"] is not second["_env"]
for a, b in ((b"abc", b"abc"), (b"abc", b"abd"), (b"abc", b"ab"), (b"", b"")):
    assert paramiko.util.constant_time_bytes_eq(a, b) is slow_equal(a, b)
"""


def test_global_arguments_are_those_of_the_slow_way_and_looked_up_once() -> None:
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
