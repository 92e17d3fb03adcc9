"""Inventories as YAML, JSON, Terraform's outputs and tables."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.plan.inventory.ini import parse_ini
from deploys.plan.inventory.mapping import Fleet, make_fleet
from deploys.plan.inventory.records import InventoryError, Tree
from deploys.plan.inventory.tables import parse_csv, parse_terraform
from deploys.plan.inventory.tree import parse_listed, parse_tree
from deploys.support.yaml_text import read_json, read_yaml


def fleet(tree: Tree) -> Fleet:
    return make_fleet(tree, {}, "hosts")


def ini(text: str) -> Fleet:
    return fleet(parse_ini(text, "hosts"))


def of_yaml(text: str) -> Fleet:
    return fleet(parse_tree(read_yaml(text, "hosts")))


def of_csv(text: str) -> Fleet:
    return fleet(parse_csv(text, "hosts"))


def of_terraform(document: object) -> Fleet:
    return fleet(parse_terraform(read_json(json.dumps(document), "hosts")))


def of_list(document: object) -> Fleet:
    return fleet(parse_listed(read_json(json.dumps(document), "hosts")))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(" \n\t[]:=#@'\"abg01{}-.")) | st.text())
def test_any_text_is_an_inventory_or_the_one_named_error(text: str) -> None:
    for read in (ini, of_yaml, of_csv):
        with suppress(InventoryError):
            read(text)


YAML = """
all:
  vars: {gpu_reboot: never}
  children:
    gpu:
      hosts:
        gpu[1:2]:
          ansible_port: 2222
        gpu3:
      vars:
        gpu_driver_branch: "580"
        gpu_accept: [a]
        http: {port: 80}
"""


def test_yaml() -> None:
    common = {"gpu_reboot": "never", "gpu_driver_branch": "580", "gpu_accept": ["a"]}
    found = of_yaml(YAML)
    assert found.hosts == {"gpu1": {**common, "ssh_port": 2222}, "gpu2": {**common, "ssh_port": 2222}, "gpu3": common}
    assert (dict(found.groups), found.notes) == (
        {"gpu": ("gpu1", "gpu2", "gpu3")},
        ("not read, no business of this toolkit: http",),
    )


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("all:\n  hosts: [a, b]\n", "hosts:2: all.hosts", "no list"),
        ("all:\n  host:\n    a:\n", "hosts:2: all.host", "hosts, vars, children"),
        ("- a\n- b\n", "hosts:1", "a list"),
        ("all:\n  hosts:\n    a:\n    a:\n", "hosts:4: a", "there twice"),
        ("all:\n  hosts:\n    a: {ansible_password: !vault |\n  s3cret}\n", "hosts:", ""),
        ("all:\n  hosts:\n    a:\n      ansible_password: !vault |\n        $ANSIBLE_VAULT;1.1\n        s3cret\n", "hosts:4: ansible_password", "vault"),
        ("all:\n  hosts:\n    a:\n      ansible_host: !lookup s3cret\n", "hosts:4", "could not determine a constructor"),
        ("all:\n\thosts:\n", "hosts:2", "cannot start any token"),
        ("all:\n  vars: {gpu_cuda: 2026-99-99}\n", "hosts", "into quotes"),
        ("all:\n  hosts:\n    a: 5\n", "hosts:3: a", "a mapping, or nothing"),
        ("all:\n  hosts:\n    a: {gpu_cuda: [1], ansible_host: [x]}\n", "hosts:3: ansible_host", "a text"),
    ],
)  # fmt: skip
def test_wrong_yaml_is_named(text: str, where: str, words: str) -> None:
    with pytest.raises(InventoryError) as error:
        of_yaml(text)
    assert str(error.value).startswith(where)
    assert words in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_vault_that_nobody_here_needs_is_no_error() -> None:
    found = of_yaml("all:\n  hosts:\n    a:\n      db_password: !vault |\n        s3cret\n")
    assert (found.hosts, found.notes) == ({"a": {}}, ("not read, no business of this toolkit: db_password",))


def test_yaml_without_pyyaml_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploys.support.yaml_text.yaml", None)
    with pytest.raises(InventoryError, match=r"ansible-inventory -i INVENTORY --list >fleet\.json"):
        of_yaml(YAML)


def test_what_ansible_inventory_prints() -> None:
    document = {
        "_meta": {"hostvars": {"a": {"ansible_host": {"__ansible_unsafe": "192.0.2.1"}}, "c": {}}},
        "all": {"children": ["ungrouped", "g"]},
        "g": {"hosts": ["a", "b"], "vars": {"gpu_reboot": "never"}},
    }
    found = of_list(document)
    assert found.hosts == {
        "a": {"gpu_reboot": "never", "ssh_hostname": "192.0.2.1"},
        "b": {"gpu_reboot": "never"},
        "c": {},
    }
    with pytest.raises(InventoryError, match="ansible_password"):
        of_list({"_meta": {"hostvars": {"a": {"ansible_password": {"__ansible_vault": "s3cret"}}}}})
    with pytest.raises(InventoryError, match=r"hosts: g\.hosts"):
        of_list({"g": {"hosts": "a"}})


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        (["192.0.2.1", "192.0.2.2"], {"192.0.2.1": {}, "192.0.2.2": {}}),
        ({"a": "192.0.2.1"}, {"a": {"ssh_hostname": "192.0.2.1"}}),
        ({"a": {"host": "192.0.2.1", "user": "ubuntu", "sudo": True, "gpu_expected_gpus": 8}}, {"a": {"ssh_hostname": "192.0.2.1", "ssh_user": "ubuntu", "_sudo": True, "gpu_expected_gpus": 8}}),
    ],
)  # fmt: skip
def test_terraform(value: object, hosts: object) -> None:
    assert of_terraform({"gpu_hosts": {"sensitive": True, "value": value}, "other": {"value": 1}}).hosts == hosts


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"vpc": {"value": "x"}}, "no such output; there: vpc"),
        ({"gpu_hosts": {"value": [1, 2]}}, "name the hosts"),
        ({"gpu_hosts": {"value": ["a", "a"]}}, "name the hosts"),
        ({"gpu_hosts": {"value": {"a": 5}}}, "an address, or an object"),
        ({"gpu_hosts": {"value": "a"}}, "a list of addresses"),
    ],
)
def test_wrong_outputs_are_named(document: object, words: str) -> None:
    with pytest.raises(InventoryError, match="gpu_hosts") as error:
        of_terraform(document)
    assert words in str(error.value)


def test_csv() -> None:
    text = 'name,host,user,port,groups,gpu_accept,rack\na,192.0.2.1,root,22,"x y","[""b""]",1\n\n# gone\nc,,,,,,\n'
    found = of_csv(text)
    assert found.hosts == {
        "a": {"ssh_hostname": "192.0.2.1", "ssh_user": "root", "ssh_port": 22, "gpu_accept": ["b"]},
        "c": {},
    }
    assert dict(found.groups) == {"x": ("a",), "y": ("a",)}


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("host,user\n", "hosts:1: name", "name,host,user,port"),
        ("name,host,ansible_host\n", "hosts:1: host", "two columns"),
        ("name,user\na\n", "hosts:2", "1 cells"),
        ("name,user\n,b\n", "hosts:2: name", "fill it in"),
        ("name,user\na,b\na,c\n", "hosts:3: a", "one row per host"),
        ('name,user\n"a,b\n', "hosts:2", "CSV"),
    ],
)
def test_wrong_tables_are_named(text: str, where: str, words: str) -> None:
    with pytest.raises(InventoryError) as error:
        of_csv(text)
    assert str(error.value).startswith(where)
    assert words in str(error.value)
