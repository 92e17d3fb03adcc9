"""DECIDE: an inventory's variables as pyinfra's data of a host. What is not known here is left out and said, never guessed. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deploys.plan.inventory.records import VAULT, InventoryError, Tree, Value, Variables
from deploys.plan.inventory.resolve import Files, groups_of, variables_of

# Versions: a text, also where they look like numbers.
_VERSIONS = frozenset({"gpu_driver_branch", "gpu_cuda"})
_TRUE, _FALSE = frozenset({"yes", "on", "1", "true", "t", "y"}), frozenset({"no", "off", "0", "false", "f", "n"})
# Taken as they are (source: pyinfra 3.10, connectors/ssh.py and api/arguments.py).
_OWN = frozenset(
    {"ssh_hostname", "ssh_user", "ssh_key", "ssh_known_hosts_file", "ssh_config_file", "ssh_strict_host_key_checking"}
)
# Says how Ansible itself works on a host, or is said already.
_SILENT = frozenset(
    {"ansible_python_interpreter", "ansible_group_priority", "inventory_hostname", "ansible_become_flags"}
)
_POSSIBLE = {
    "ansible_connection": ("ssh", "smart", "paramiko", "paramiko_ssh", "local"),
    "ansible_become_method": ("sudo",),
}
_JUMPS = frozenset({"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"})


@dataclass(frozen=True)
class Fleet:
    """`hosts`: name -> data; `groups`: name -> hosts; `notes`: what was left out."""

    hosts: Mapping[str, Mapping[str, object]]
    groups: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def make_fleet(tree: Tree, files: Files, file: str) -> Fleet:
    """Hosts with their data. Raises InventoryError for the first thing that cannot be used."""
    hosts: dict[str, Mapping[str, object]] = {}
    groups: dict[str, list[str]] = {}
    ignored: dict[str, Value] = {}
    for host, titles in groups_of(tree).items():
        name, data = _host(host, variables_of(tree, files, host, titles), ignored)
        hosts[name] = data
        for title in sorted(titles - {"all", "ungrouped"}):
            groups.setdefault(title, []).append(name)
    if not hosts:
        raise InventoryError(file, "", "no host", "at least one", "see inventories/examples/ for the forms")
    return Fleet(hosts, {name: tuple(members) for name, members in groups.items()}, tuple(_notes(ignored)))


def _host(host: str, variables: Variables, ignored: dict[str, Value]) -> tuple[str, dict[str, object]]:
    data: dict[str, object] = {}
    for key, value in variables.items():
        if known := _known(key, value):
            data[known[0]] = known[1]
        elif key in ("ansible_connection", "ansible_become_method"):
            _one_of(key, value, *_POSSIBLE[key])
        elif key not in _SILENT:
            ignored.setdefault(key, value)
    # What only says how sudo is used means nothing without it.
    left_out = {"_sudo_user"} if data.get("_sudo") else {"_sudo_user", "_sudo_password"}
    connection = variables.get("ansible_connection")
    name = "@local" if connection and connection.value == "local" else host
    return name, {key: value for key, value in data.items() if key not in left_out}


def _known(key: str, value: Value) -> tuple[str, object] | None:
    """Our name and value of a variable; None for one that says nothing about the connection and is no setting."""
    if key in _CONVERTED:
        own, convert = _CONVERTED[key]
        return own, convert(key, value)
    if key.startswith("gpu_"):
        return key, _setting(key, value)
    return (key, _text(key, value)) if key in _OWN else None


def _notes(ignored: Mapping[str, Value]) -> Iterable[str]:
    """One line per kind; names only, because values may be secrets."""
    for key in sorted(set(ignored) & _JUMPS):
        value = ignored[key]
        yield f"{value.where}: {key} is not read; write what it says (such as ProxyJump) into ~/.ssh/config"
    others = sorted(set(ignored) - _JUMPS)
    known = [key for key in others if key.startswith("ansible_")]
    if known:
        yield f"not read, unknown here: {', '.join(known)}"
    if rest := [key for key in others if key not in known]:
        more = f" and {len(rest) - 10} more" if len(rest) > 10 else ""
        yield f"not read, no business of this toolkit: {', '.join(rest[:10])}{more}"


def _checked(key: str, value: Value) -> object:
    """The value, unless only Ansible could tell what it means."""
    if value.value is VAULT or (isinstance(value.value, str) and value.value.startswith("$ANSIBLE_VAULT")):
        fix = "keep it out of the inventory: an SSH key, sudo without a password; or decrypt this one value"
        raise value.error(key, "a value in Ansible's vault", "a value that can be read without Ansible", fix)
    plain = value.plain()
    if "{{" in str(plain) or "{%" in str(plain):
        raise value.error(key, "a template, which only Ansible can fill in", "the value itself", "write the value")
    return plain


def _text(key: str, value: Value) -> str:
    plain = _checked(key, value)
    if isinstance(plain, bool) or not isinstance(plain, str | int) or plain == "":
        raise value.error(key, value.kind, "a text", f"{key}: ...")
    return str(plain)


def _port(key: str, value: Value) -> int:
    text = _text(key, value)
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise value.error(key, "something else", "a port, 1 to 65535", f"{key}: 22")
    return int(text)


def _switch(key: str, value: Value) -> bool:
    word = str(_checked(key, value)).lower()
    if word not in _TRUE | _FALSE:
        raise value.error(key, value.kind, "yes or no", f"{key}: yes")
    return word in _TRUE


def _become_user(key: str, value: Value) -> str:
    _one_of(key, value, "root")
    return "root"


def _one_of(key: str, value: Value, *words: str) -> str:
    text = _text(key, value)
    if text not in words:
        raise value.error(key, f'"{text}"', " or ".join(words), f"{key}: {words[0]}; nothing else is possible here")
    return text


_CONVERTED: Mapping[str, tuple[str, Callable[[str, Value], object]]] = {
    **dict.fromkeys(("ansible_host", "ansible_ssh_host"), ("ssh_hostname", _text)),
    **dict.fromkeys(("ansible_user", "ansible_ssh_user"), ("ssh_user", _text)),
    **dict.fromkeys(("ansible_port", "ansible_ssh_port", "ssh_port"), ("ssh_port", _port)),
    **dict.fromkeys(("ansible_ssh_private_key_file", "ansible_private_key_file"), ("ssh_key", _text)),
    **dict.fromkeys(("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"), ("ssh_password", _text)),
    **dict.fromkeys(("ansible_become_password", "ansible_become_pass"), ("_sudo_password", _text)),
    "ansible_become": ("_sudo", _switch),
    "ansible_become_user": ("_sudo_user", _become_user),
}


def _setting(key: str, value: Value) -> object:
    """A setting of ours. A format that knows text only gives numbers, words for yes, no and nothing, lists and mappings by what they look like."""
    plain = _checked(key, value)
    if not value.text or not isinstance(plain, str):
        return plain
    words = {"true": True, "false": False, "none": None, "null": None}
    if plain.lower() in words:
        return words[plain.lower()]
    if re.fullmatch(r"[0-9]{1,9}", plain) and key not in _VERSIONS:
        return int(plain)
    return _literal(key, value, plain) if plain[:1] in ("[", "{", "'", '"') else plain


def _literal(key: str, value: Value, text: str) -> object:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError):
            continue
    raise value.error(key, "a list or mapping that cannot be read", "JSON", f'{key}=\'["a", "b"]\'')
