"""Ansible's YAML inventories, and the JSON that `ansible-inventory --list` prints. Pure: both come as values with places."""

from __future__ import annotations

from collections.abc import Mapping

from deploys.plan.inventory.records import Group, Tree, Value, Variables, expand, group

_KEYS = ("hosts", "vars", "children")


def parse_tree(document: Value) -> Tree:
    """The groups of `all: {hosts: ..., vars: ..., children: ...}`. Raises InventoryError."""
    tree: Tree = {}
    for name, value in document.mapping("", "groups by name, `all` at the top").items():
        _group(tree, name, value)
    return tree


def _group(tree: Tree, name: str, value: Value) -> None:
    own = group(tree, name, value)
    for key, part in value.mapping(name, "a group: a mapping with hosts, vars and children").items():
        if key not in _KEYS:
            raise part.error(
                f"{name}.{key}", "a key that a group does not have", ", ".join(_KEYS), f"put {key} below one of these"
            )
        entries = part.mapping(f"{name}.{key}", f"a mapping ({key}: with a colon after each name, no list)")
        if key == "vars":
            own.variables.update(entries)
        elif key == "hosts":
            _hosts(own, entries)
        else:
            for child, below in entries.items():
                own.children.append(Value(child, below.file, below.line))
                _group(tree, child, below)


def _hosts(own: Group, entries: Mapping[str, Value]) -> None:
    for pattern, value in entries.items():
        variables = value.mapping(pattern, "the variables of a host: a mapping, or nothing")
        for host in expand(pattern, value):
            own.hosts.setdefault(host, {}).update(variables)


def parse_listed(document: Value) -> Tree:
    """Groups and `_meta.hostvars` as `ansible-inventory --list` prints them. Raises InventoryError."""
    tree: Tree = {}
    entries = document.mapping("", "groups by name")
    meta = entries["_meta"].mapping("_meta", "a mapping").get("hostvars") if "_meta" in entries else None
    known = meta.mapping("_meta.hostvars", "the variables of hosts by name") if meta else {}
    for name, value in entries.items():
        if name == "_meta":
            continue
        own = group(tree, name, value)
        # Old inventory scripts print the hosts of a group alone.
        parts = {"hosts": value} if isinstance(value.value, list) else value.mapping(name, "a group")
        for host in _names(parts.get("hosts"), f"{name}.hosts"):
            own.hosts[host] = _variables(known, host)
        own.children += [
            Value(child, value.file, value.line) for child in _names(parts.get("children"), f"{name}.children")
        ]
        if "vars" in parts:
            own.variables.update(parts["vars"].mapping(f"{name}.vars", "a mapping"))
    for host in set(known) - {h for g in tree.values() for h in g.hosts}:
        group(tree, "ungrouped", document).hosts[host] = _variables(known, host)
    return tree


def _variables(known: Mapping[str, Value], host: str) -> Variables:
    return dict(known[host].mapping(host, "the variables of a host")) if host in known else {}


def _names(value: Value | None, key: str) -> list[str]:
    if value is None:
        return []
    items = value.value if isinstance(value.value, list) else None
    if items is None or not all(isinstance(item.value, str) for item in items):
        raise value.error(key, value.kind, "a list of names", "print it anew: ansible-inventory -i FILE --list")
    return [str(item.value) for item in items]
