"""What `./provision ARGUMENTS` means: pyinfra's arguments with our defaults, and an exit code that can be trusted.

pyinfra 3.10 ends with 0 when the inventory's path is mistyped, when no host matches `--limit`, after Ctrl-C and when
the question before a run is answered with no; it dies with EOFError when it wants to ask and there is no terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from pyinfra.api.state import StateStage
from pyinfra_cli.cli import cli
from pyinfra_cli.main import main as run_pyinfra

from deploys.plan import states
from deploys.plan.inventory.records import InventoryError
from deploys.plan.settings import Settings
from deploys.support import foreign, quick, rolling
from deploys.support.board import BOARD
from deploys.support.context import this_state
from deploys.support.outcome import LEDGER, install, settle_failed

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = frozenset({"fact", "exec", "debug-inventory"})
READ_ONLY = frozenset({"preflight.py", "verify.py"})
USAGE = states.USAGE_CODE
INTERRUPTED = states.INTERRUPTED_CODE

# Options of pyinfra that take their value from the next argument.
TAKES_VALUE = frozenset(
    name for p in cli.params if isinstance(p, click.Option) and not p.is_flag and not p.count for name in p.opts
)


class UsageError(Exception):
    """Arguments that cannot mean anything; the text says what would."""


@dataclass
class CommandLine:
    """Arguments sorted as pyinfra will: indexes of the positional ones, and the options with their values."""

    words: list[str]
    positional: list[int] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = 0
        while index < len(self.words):
            word = self.words[index]
            if word == "--":
                self.positional += range(index + 1, len(self.words))
                return
            if word.startswith("--"):
                name, _, value = word.partition("=")
                if word in TAKES_VALUE:
                    index += 1
                    value = self.words[index] if index < len(self.words) else ""
                self.options[name] = value
            elif word.startswith("-") and word != "-":
                self.options |= {f"-{letter}": "" for letter in word[1:]}
            else:
                self.positional.append(index)
            index += 1

    def has(self, *names: str) -> bool:
        return any(name in self.options for name in names)

    def operations(self) -> list[str]:
        """What follows the inventory: deploys, or one of pyinfra's words and its arguments."""
        return [self.words[i] for i in self.positional[1:]]


def pyinfra_arguments(words: list[str], *, cwd: Path, terminal: bool, always_yes: bool = False) -> list[str]:
    """Arguments of pyinfra for ours. `terminal`: a person can answer; `always_yes`: PYINFRA_YES is set.

    Raises UsageError.
    """
    line = CommandLine(list(words))
    if not line.positional and line.has("--help", "-h", "--version", "--support"):
        return line.words
    cwd = cwd / line.options.get("--chdir", "")
    line = CommandLine(_complete(line, cwd))
    if not (always_yes or line.has("-y", "--yes")):
        line.words[:0] = _yes(line, cwd, terminal=terminal)
    return line.words


def _complete(line: CommandLine, cwd: Path) -> list[str]:
    """The arguments with what was left out."""
    local, deploy = (_shown(ROOT / path, cwd) for path in ("inventories/local.py", "deploys/gpu_host.py"))
    given = [line.words[i] for i in line.positional]
    if not given:
        return [local, deploy, *line.words]
    if given[0] in COMMANDS or _is_deploy(cwd / given[0]):
        return [local, *line.words]
    _check_inventory(given[0], cwd)
    if foreign.is_foreign(cwd / given[0]):
        given[0] = line.words[line.positional[0]] = _read_foreign(given[0], cwd)
    if len(given) == 1:
        line.words.insert(line.positional[0] + 1, deploy)
    if not line.has("--group-data") and not _has_defaults(cwd / given[0], cwd):
        line.words[:0] = ["--group-data", _shown(ROOT / "inventories/group_data", cwd)]
    return line.words


def _read_foreign(name: str, cwd: Path) -> str:
    """Read it for the first time, so that what is wrong with it is said before anything else; returns what pyinfra reads in its place."""
    inventory = Path(name) if cwd == Path.cwd() else cwd / name
    try:
        fleet = foreign.read_fleet(inventory)
    except InventoryError as error:
        raise UsageError(str(error)) from None
    for note in fleet.notes:
        sys.stderr.write(f"provision: {note}\n")
    os.environ[foreign.VARIABLE] = str(inventory.absolute())
    return _shown(ROOT / "inventories/from_file.py", cwd)


def _shown(path: Path, cwd: Path) -> str:
    """A path of the checkout, short where the current folder is the checkout."""
    return str(path.relative_to(ROOT) if cwd == ROOT else path)


def _has_defaults(inventory: Path, cwd: Path) -> bool:
    """Does pyinfra find data for all hosts by itself, beside the inventory or in the current folder?"""
    return any((folder / "group_data/all.py").is_file() for folder in (inventory.parent, cwd))


def _is_deploy(path: Path) -> bool:
    return path.suffix == ".py" and path.is_file() and path.resolve().parent == ROOT / "deploys"


def _check_inventory(inventory: str, cwd: Path) -> None:
    """Refuse a path that is not there. Names of hosts and connectors are pyinfra's to judge."""
    if "," in inventory or "@" in inventory or (cwd / inventory).is_file():
        return
    if "/" not in inventory and not inventory.endswith(".py"):
        return
    ours = sorted(p for p in (ROOT / "inventories").glob("*.py") if p.stem == Path(inventory).stem)
    instead = f"; did you mean {_shown(ours[0], cwd)}?" if ours else "; an inventory is a file, HOST,HOST or @local"
    raise UsageError(f"no inventory file {inventory} in {cwd}{instead}")


def _yes(line: CommandLine, cwd: Path, *, terminal: bool) -> list[str]:
    """`-y` where pyinfra would ask although nothing would be changed."""
    operations = line.operations()
    if all(_is_deploy(cwd / name) and Path(name).name in READ_ONLY for name in operations):
        return ["-y"]
    if line.has("--json", "--debug-operations") or operations[0] == "debug-inventory":
        return []
    if line.has("--dry"):
        # Without -y a failed host is a question, and EOFError where nobody can answer. --diff needs the detection
        # of changes that -y leaves out.
        return [] if line.has("--diff") else ["-y"]
    if terminal:
        return []
    if operations[0] in COMMANDS:
        return ["-y"]
    raise UsageError("there is no terminal to ask on; add -y to install, or --dry to see the plan")


@dataclass(frozen=True)
class End:
    """How pyinfra ended: its exit code and the stage it got to.

    `reached`: a host was connected to. `broke`: there were hosts to go on with, and none had failed.
    """

    code: int
    stage: StateStage
    reached: bool = True
    broke: bool = False
    looked_only: bool = False


def exit_code(end: End, hosts: Sequence[str] = ()) -> int:
    """The exit code of pyinfra, made honest. `hosts`: their states, where one of our deploys ran."""
    if end.code == 0 and end.stage >= StateStage.Connect and not end.reached:
        return USAGE
    if end.code == 0 and end.stage < StateStage.Disconnect and not end.looked_only:
        return INTERRUPTED
    if end.code == 1 and (end.stage < StateStage.Connect or (end.broke and end.stage < StateStage.Disconnect)):
        # Nothing was tried yet, or pyinfra gave up in the middle.
        return USAGE
    return (states.exit_code(hosts) or end.code) if end.code in (0, 1) else end.code


def main() -> None:
    """Run pyinfra with the arguments of this process."""
    quick.started()
    cwd, terminal = Path.cwd(), sys.stdin is not None and sys.stdin.isatty()
    if "--rolling" in sys.argv[1:]:
        sys.exit(_rolling([word for word in sys.argv[1:] if word != "--rolling"], cwd))
    try:
        words = pyinfra_arguments(sys.argv[1:], cwd=cwd, terminal=terminal, always_yes=_yes_by_environment())
    except UsageError as error:
        sys.stderr.write(f"provision: {error}\n")
        sys.exit(USAGE)
    sys.argv = ["pyinfra", *words]
    if any(_is_deploy(cwd / name) for name in CommandLine(words).operations()):
        # A run that reaches no host never loads the deploy; it ends with a table all the same.
        install(Settings().report_dir)
        BOARD.watch()
    try:
        run_pyinfra()
    except SystemExit as end:
        sys.exit(_judge(end, CommandLine(words)))


def _rolling(arguments: list[str], cwd: Path) -> int:
    """`--rolling`: the same arguments, in waves."""
    try:
        line = rolling_line(arguments, cwd)
    except UsageError as error:
        sys.stderr.write(f"provision: {error}\n")
        return USAGE
    options = [w for i, w in enumerate(line.words) if i not in line.positional and w not in ("-y", "--yes")]
    return rolling.main(line.words[line.positional[0]], line.operations(), options)


def rolling_line(arguments: list[str], cwd: Path) -> CommandLine:
    """The arguments of a rolling run, completed. Raises UsageError."""
    line = CommandLine(_complete(CommandLine(list(arguments)), cwd))
    if not all((cwd / name).is_file() for name in line.operations()):
        raise UsageError("--rolling is for deploys, not for facts and commands")
    if not line.has("-y", "--yes"):
        raise UsageError("--rolling asks nothing between its waves: add -y")
    if line.has("--dry"):
        raise UsageError("--rolling and --dry exclude each other: leave out --rolling to see all plans")
    return line


def _yes_by_environment() -> bool:
    """PYINFRA_YES stands for -y, read as click reads it."""
    return os.environ.get("PYINFRA_YES", "").strip().lower() in {"1", "true", "t", "yes", "y", "on"}


def _judge(end: SystemExit, line: CommandLine) -> int:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    state = this_state()
    if state is None:
        return code
    looked_only = line.operations()[:1] in (["fact"], ["debug-inventory"]) or line.has("--dry", "--debug-operations")
    looked_only = looked_only or (line.has("--json") and not line.has("-y", "--yes"))
    reached, active, lost = (bool(getattr(state, f"{name}_hosts", ())) for name in ("activated", "active", "failed"))
    if LEDGER.outcomes and state.inventory is not None:
        settle_failed(state)
    found = [outcome.state for outcome in LEDGER.outcomes.values()]
    honest = exit_code(End(code, state.current_stage, reached, active and not lost, looked_only), found)
    if honest == USAGE and code == 0:
        sys.stderr.write("provision: no host was reached; check the inventory and --limit\n")
    elif honest == USAGE and code == 1:
        sys.stderr.write("provision: nothing more was done, and that is no fault of a host; see above\n")
    return honest


if __name__ == "__main__":
    main()
