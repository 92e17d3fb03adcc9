"""Hosts of an inventory that is no pyinfra: ./provision hosts.ini. What the file says becomes hosts, groups and data here.

The name of the file travels in GPU_HOST_INVENTORY; deploys/support/front.py sets it.
"""

import os
import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.support.foreign import VARIABLE as _VARIABLE  # noqa: E402 - the path comes first
from deploys.support.foreign import read_fleet as _read_fleet  # noqa: E402

_FLEET = _read_fleet(Path(os.environ[_VARIABLE]))
hosts = [(_name, dict(_data)) for _name, _data in _FLEET.hosts.items()]
# A group of pyinfra is a name of this module; a name that begins with "_" would be none.
globals().update({_name.lstrip("_"): list(_members) for _name, _members in _FLEET.groups.items() if _name != "hosts"})
