"""DECIDE: which variables hold for which host. Pure.

The order is Ansible's (source: its documentation, "Understanding variable precedence"): group variables of the inventory, group_vars/all, group_vars
of other groups, host variables of the inventory, host_vars. A group wins over its parents; of groups side by side the one of the higher
ansible_group_priority, then the later name.
"""

from __future__ import annotations

from collections.abc import Mapping

from deploys.plan.inventory.records import Tree, Value, Variables

# ("group" or "host", name) -> the variables of its file.
Files = Mapping[tuple[str, str], Variables]


def groups_of(tree: Tree) -> dict[str, set[str]]:
    """Host -> its groups, those above included. Raises InventoryError for a group that is not there, or is above itself."""
    parents = _parents(tree)
    above = {name: _above(name, parents, tree) for name in tree}
    hosts: dict[str, set[str]] = {}
    for name, own in tree.items():
        for host in own.hosts:
            hosts.setdefault(host, {"all"}).update({name}, above[name])
    return hosts


def _parents(tree: Tree) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = {}
    for name, own in tree.items():
        for child in own.children:
            known = str(child.value)
            # Listed by `ansible-inventory --list` even where it has no host.
            if known not in tree and known != "ungrouped":
                raise child.error(
                    known,
                    f"a child of {name} that is no group",
                    "the name of a group",
                    f"write [{known}], or remove it",
                )
            parents.setdefault(known, set()).add(name)
    return parents


def _above(name: str, parents: Mapping[str, set[str]], tree: Tree) -> set[str]:
    found: set[str] = set()
    left = list(parents.get(name, ()))
    while left:
        parent = left.pop()
        if parent == name:
            raise tree[name].place.error(
                name, "a group that is among its own children", "a tree of groups", "remove the circle"
            )
        if parent not in found:
            found.add(parent)
            left += parents.get(parent, ())
    return found


def variables_of(tree: Tree, files: Files, host: str, groups: set[str]) -> Variables:
    """All variables of a host, each with the place that won."""
    ordered = sorted(groups - {"all"}, key=lambda name: _rank(tree, name))
    merged: Variables = {}
    for name in ("all", *ordered):
        merged |= tree[name].variables if name in tree else {}
    for name in ("all", *ordered):
        merged |= files.get(("group", name), {})
    for own in tree.values():
        merged |= own.hosts.get(host, {})
    return merged | files.get(("host", host), {})


def _rank(tree: Tree, name: str) -> tuple[int, int, str]:
    priority = tree[name].variables.get("ansible_group_priority")
    return _depth(tree, name), _integer(priority), name


def _depth(tree: Tree, name: str) -> int:
    """How far it is from the top, by the longest way."""
    above = [other for other, own in tree.items() if any(child.value == name for child in own.children)]
    return 1 + max((_depth(tree, other) for other in above if other != "all"), default=0)


def _integer(value: Value | None) -> int:
    text = str(value.value) if value else ""
    return int(text) if text.isdecimal() and len(text) < 9 else 1
