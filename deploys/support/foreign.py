"""Inventories that are no pyinfra: told apart by their shape, read with the variables beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploys.plan.inventory.ini import parse_ini
from deploys.plan.inventory.mapping import Fleet, make_fleet
from deploys.plan.inventory.records import InventoryError, Tree, Value, Variables
from deploys.plan.inventory.resolve import groups_of
from deploys.plan.inventory.tables import parse_csv, parse_terraform
from deploys.plan.inventory.tree import parse_listed, parse_tree
from deploys.support.yaml_text import read_json, read_yaml

# Names the inventory to inventories/from_file.py, which pyinfra executes.
VARIABLE = "GPU_HOST_INVENTORY"
_YAML, _LARGEST = (".yaml", ".yml"), 20_000_000


def is_foreign(path: Path) -> bool:
    """Is it a file that pyinfra itself could not read?"""
    return path.is_file() and path.suffix != ".py"


def read_fleet(path: Path) -> Fleet:
    """Hosts, groups and data of an inventory. Raises InventoryError."""
    text = _read(path)
    tree = _tree(path, text)
    return make_fleet(tree, dict(_variables(path.parent, tree)), str(path))


def _tree(path: Path, text: str) -> Tree:
    name, start = str(path), text.lstrip("\ufeff \t\r\n")
    if start.startswith("#!"):
        fix = f"{path} --list >fleet.json, and use that file"
        raise InventoryError(f"{name}:1", "", "a program", "what it prints", fix)
    if path.suffix == ".csv":
        return parse_csv(text, name)
    if path.suffix in _YAML and not start.startswith("{"):
        return parse_tree(read_yaml(text, name))
    if path.suffix == ".json" or start.startswith("{"):
        return _json(read_json(text, name))
    if start.startswith("---"):
        return parse_tree(read_yaml(text, name))
    return parse_ini(text, name)


def _json(document: Value) -> Tree:
    """Terraform's outputs all have a value; groups have hosts and children."""
    entries = document.mapping("", "an object")
    outputs = [value.value for value in entries.values()]
    if entries and all(isinstance(value, dict) and "value" in value for value in outputs):
        return parse_terraform(document)
    return parse_listed(document)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InventoryError(str(path), "", "more than 20 MB", "an inventory", "name another file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InventoryError(str(path), "", str(error.strerror), "a file that can be read", f"ls -l {path}") from None
    except UnicodeDecodeError:
        raise InventoryError(
            str(path), "", "something that is no text in UTF-8", "an inventory", "save it as UTF-8"
        ) from None
    if text.startswith("$ANSIBLE_VAULT"):
        fix = "decrypt it, or name the hosts in a file that is not encrypted"
        raise InventoryError(str(path), "", "a file in Ansible's vault", "a file that can be read without Ansible", fix)
    return text


def _variables(folder: Path, tree: Tree) -> Iterator[tuple[tuple[str, str], Variables]]:
    """group_vars and host_vars beside the inventory, for the groups and hosts that it has."""
    hosts = groups_of(tree)
    for kind, names in (("group", {"all", "ungrouped", *tree}), ("host", set(hosts))):
        for name in sorted(names):
            merged: Variables = {}
            for file in _files(folder / f"{kind}_vars", name):
                merged |= _file(file)
            if merged:
                yield (kind, name), merged


def _files(folder: Path, name: str) -> list[Path]:
    if not name or "/" in name or name.startswith("."):
        return []
    found = [folder / f"{name}{suffix}" for suffix in ("", ".yml", ".yaml", ".json")]
    below = folder / name
    inside = sorted(p for p in below.rglob("*") if p.suffix in ("", ".yml", ".yaml", ".json")) if below.is_dir() else []
    return [path for path in (*inside, *found) if path.is_file()]


def _file(path: Path) -> Variables:
    text = _read(path)
    document = read_json(text, str(path)) if text.lstrip().startswith("{") else read_yaml(text, str(path))
    return dict(document.mapping("", "variables: a mapping"))
