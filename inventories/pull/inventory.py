"""The machine that runs it, with the host data of its own configuration. Used by `./provision pull`."""

import os
import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.knowledge.paths import PULL_CONFIG as _CONFIG  # noqa: E402 - the path comes first
from deploys.plan.pull import parse_config as _parse  # noqa: E402

_file = os.environ.get("GPU_HOST_PULL", _CONFIG)
# The result goes where `results` says; a folder of reports would grow for ever.
hosts = [("@local", {"gpu_report_dir": None, **_parse(Path(_file).read_text(encoding="utf-8"), _file).data})]
