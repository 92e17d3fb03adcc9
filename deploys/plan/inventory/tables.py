"""Inventories of no group variables: a CSV with a header, and what `terraform output -json` prints. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from deploys.plan.inventory.records import Tree, Value, Variables, group

# Columns and keys by plain names.
_SHORT = {
    "host": "ansible_host",
    "address": "ansible_host",
    "user": "ansible_user",
    "port": "ansible_port",
    "key": "ansible_ssh_private_key_file",
    "sudo": "ansible_become",
}
OUTPUT = "gpu_hosts"


def parse_csv(text: str, file: str) -> Tree:
    """One host per row. The column `name` is needed; `groups` holds names with spaces between them. Raises InventoryError."""
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), skipinitialspace=True, strict=True)
    tree: Tree = {}
    header: list[str] = []
    try:
        for row in reader:
            place = Value(None, file, reader.line_num)
            if not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#"):
                continue
            if header:
                _row(tree, header, [cell.strip() for cell in row], place)
            else:
                header = _header([cell.strip() for cell in row], place)
    except csv.Error as error:
        place = Value(None, file, reader.line_num)
        raise place.error("", f"a row that cannot be read ({error})", "CSV", "correct the row") from None
    return tree


def _header(names: list[str], place: Value) -> list[str]:
    if "name" not in names:
        raise place.error(
            "name",
            f"no such column among {', '.join(names)[:200]}",
            "a first line with the columns",
            "name,host,user,port",
        )
    header = [_SHORT.get(name, name) for name in names]
    twice = [name for name in names if header.count(_SHORT.get(name, name)) > 1]
    if twice:
        raise place.error(twice[0], "two columns of one meaning", "one of each", f"remove one of {', '.join(twice)}")
    return header


def _row(tree: Tree, header: list[str], row: list[str], place: Value) -> None:
    if len(row) != len(header):
        raise place.error(
            "", f"{len(row)} cells", f"{len(header)}, as in the first line", "quote cells with a comma in them"
        )
    cells = {key: cell for key, cell in zip(header, row, strict=True) if cell}
    name = cells.pop("name", "")
    if not name:
        raise place.error("name", "nothing", "the name of a host", "fill it in, or remove the row")
    if any(name in own.hosts for own in tree.values()):
        raise place.error(name, "a second row of that name", "one row per host", "put all of it into one row")
    groups = cells.pop("groups", "").split() or ["ungrouped"]
    variables = {key: Value(cell, place.file, place.line, text=True) for key, cell in cells.items()}
    for number, title in enumerate(groups):
        group(tree, title, place).hosts[name] = variables if number == 0 else {}


def parse_terraform(document: Value) -> Tree:
    """The output `gpu_hosts`: a list of addresses, or by name an address or an object with the host's variables. Raises InventoryError."""
    outputs = document.mapping("", "outputs by name")
    if OUTPUT not in outputs:
        there = ", ".join(sorted(outputs)) or "none"
        fix = f'output "{OUTPUT}" {{ value = {{ for i in aws_instance.gpu : i.tags["Name"] => i.public_ip }} }}'
        raise document.error(OUTPUT, f"no such output; there: {there[:200]}", "the output with the hosts", fix)
    value = outputs[OUTPUT].mapping(OUTPUT, "an output as terraform prints it").get("value", document)
    tree: Tree = {}
    place = group(tree, "ungrouped", value)
    if isinstance(value.value, list):
        entries: Mapping[str, Value] = {str(item.value): item for item in value.value if isinstance(item.value, str)}
        if len(entries) != len(value.value):
            raise value.error(
                OUTPUT,
                "a list of something else, or with an address twice",
                "addresses, each once",
                "name the hosts: { NAME = ADDRESS }",
            )
    else:
        entries = value.mapping(OUTPUT, "a list of addresses, or a map by name")
    for name, item in entries.items():
        place.hosts[name] = _host(name, item)
    return tree


def _host(name: str, item: Value) -> Variables:
    if isinstance(item.value, str):
        return {} if item.value == name else {"ansible_host": item}
    given = item.mapping(f"{OUTPUT}.{name}", "an address, or an object with `host` and more")
    return {_SHORT.get(key, key): value for key, value in given.items()}
