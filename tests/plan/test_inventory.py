"""Inventories as people have them: what becomes of every variable, and what is said of one that cannot be used."""

from __future__ import annotations

import pytest

from deploys.plan.inventory.ini import parse_ini
from deploys.plan.inventory.mapping import Fleet, make_fleet
from deploys.plan.inventory.records import InventoryError, Value, expand

HERE = Value(None, "hosts", 3)


def ini(text: str) -> Fleet:
    return make_fleet(parse_ini(text, "hosts"), {}, "hosts")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("gpu", ["gpu"]),
        ("gpu[01:03].x", ["gpu01.x", "gpu02.x", "gpu03.x"]),
        ("gpu[9:11]", ["gpu9", "gpu10", "gpu11"]),
        ("g[1:7:3]", ["g1", "g4", "g7"]),
        ("n-[a:c]", ["n-a", "n-b", "n-c"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("[2001:db8::1]", ["[2001:db8::1]"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern, HERE)) == names


@pytest.mark.parametrize("pattern", ["g[3:1]", "g[1:99999999]", "g[01:9]", "g[a:9]", "g[1-3]", "g[1:2:0]"])
def test_ranges_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(InventoryError, match="hosts:3: "):
        list(expand(pattern, HERE))


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("g", {}),
        ("root@g:2222", {"ssh_user": "root", "ssh_port": 2222}),
        ("g ansible_host=192.0.2.1 ansible_port=22 # a comment", {"ssh_hostname": "192.0.2.1", "ssh_port": 22}),
        ("g ansible_ssh_user=a ansible_ssh_private_key_file='~/my keys/id'", {"ssh_user": "a", "ssh_key": "~/my keys/id"}),
        ("g ansible_become=yes ansible_become_user=root ansible_become_password=s", {"_sudo": True, "_sudo_password": "s"}),
        ("g ansible_become=no ansible_become_password=s", {"_sudo": False}),
        ("g ansible_become_method=sudo ansible_connection=ssh ansible_python_interpreter=/usr/bin/python3", {}),
        ("g ansible_password=s3cret", {"ssh_password": "s3cret"}),
        ("g ssh_known_hosts_file=/k ssh_strict_host_key_checking=yes", {"ssh_known_hosts_file": "/k", "ssh_strict_host_key_checking": "yes"}),
        ("g gpu_expected_gpus=8 gpu_driver_branch=580 gpu_cuda=12.4", {"gpu_expected_gpus": 8, "gpu_driver_branch": "580", "gpu_cuda": "12.4"}),
        ("g gpu_docker_cdi=True gpu_docker_live_restore=false gpu_drain=None", {"gpu_docker_cdi": True, "gpu_docker_live_restore": False, "gpu_drain": None}),
        ("""g gpu_accept='["a", "b"]' gpu_mirrors="{'cuda': 'https://m.example'}" """, {"gpu_accept": ["a", "b"], "gpu_mirrors": {"cuda": "https://m.example"}}),
        ("g gpu_drain='scontrol update nodename=g state=drain'", {"gpu_drain": "scontrol update nodename=g state=drain"}),
    ],
)  # fmt: skip
def test_a_line_of_a_host(line: str, data: dict[str, object]) -> None:
    assert ini(line).hosts == {"g": data}


def test_addresses_of_version_6() -> None:
    assert ini("[2001:db8::1]:2222\n[2001:db8::2]\n").hosts == {"2001:db8::1": {"ssh_port": 2222}, "2001:db8::2": {}}


@pytest.mark.parametrize(
    ("value", "user"),
    [("a b#c", "a b#c"), ("a # b", "a # b"), ('"a" # b', "a"), ("'a b'", "a b"), ("'a' 'b", "'a' 'b")],
)
def test_values_of_a_section_are_those_that_ansible_sees(value: str, user: str) -> None:
    assert ini(f"h\n[all:vars]\nansible_user={value}\n").hosts == {"h": {"ssh_user": user}}


def test_this_machine() -> None:
    assert ini("localhost ansible_connection=local").hosts == {"@local": {}}


SECTIONS = """
[all:vars]
gpu_profile=raw
gpu_reboot=never
[b]
h gpu_expected_gpus=1
[a]
h
[parent:children]
a
b
[parent:vars]
gpu_profile="containers"
ansible_user = bob
ansible_port = 22 # a comment
[a:vars]
gpu_cuda=12.4
[b:vars]
gpu_cuda=12.6
"""


def test_the_most_particular_variable_wins() -> None:
    """`all` before its children, a parent before a child, side by side the later name, the host's own at last."""
    (data,) = ini(SECTIONS).hosts.values()
    assert data == {
        "gpu_profile": "containers",
        "gpu_reboot": "never",
        "ssh_user": "bob",
        "ssh_port": 22,
        "gpu_cuda": "12.6",
        "gpu_expected_gpus": 1,
    }
    (data,) = ini(SECTIONS + "[a:vars]\nansible_group_priority=10\n").hosts.values()
    assert data["gpu_cuda"] == "12.4"
    assert dict(ini(SECTIONS).groups) == {"a": ("h",), "b": ("h",), "parent": ("h",)}


def test_files_of_variables_win_over_the_inventorys_own() -> None:
    tree = parse_ini("[g]\nh gpu_reboot=never\n[g:vars]\ngpu_profile=raw\ngpu_cuda=12.4\n", "hosts")
    files = {
        ("group", "all"): {"gpu_cuda": Value("12.6", "group_vars/all.yml", 1), "gpu_profile": Value("full", "x", 1)},
        ("group", "g"): {
            "gpu_profile": Value("containers", "group_vars/g.yml", 1),
            "gpu_reboot": Value("when-needed", "x", 1),
        },
        ("host", "h"): {"ansible_user": Value("eve", "host_vars/h.yml", 1)},
    }
    assert make_fleet(tree, files, "hosts").hosts == {
        "h": {"gpu_cuda": "12.6", "gpu_profile": "containers", "gpu_reboot": "never", "ssh_user": "eve"}
    }


def test_what_is_not_known_is_left_out_and_said_without_its_value() -> None:
    found = ini("h ansible_foo=s3cret ansible_ssh_common_args='-J s3cret' db_password=s3cret\n")
    assert found.hosts == {"h": {}}
    assert len(found.notes) == 3
    for word in ("hosts:1: ansible_ssh_common_args is not read", "~/.ssh/config", "ansible_foo", "db_password"):
        assert word in "\n".join(found.notes)
    assert "s3cret" not in "\n".join(found.notes)


WRONG = [
    ("h ansible_port=ssh", "hosts:1: ansible_port", "1 to 65535"),
    ("h\nh2 ansible_port=99999", "hosts:2: ansible_port", "1 to 65535"),
    ("h ansible_become=perhaps", "hosts:1: ansible_become", "yes or no"),
    ("h ansible_become_user=oracle", "hosts:1: ansible_become_user", "needed  root"),
    ("h ansible_become_method=su", "hosts:1: ansible_become_method", "needed  sudo"),
    ("h ansible_connection=winrm", "hosts:1: ansible_connection", "needed  ssh or"),
    ("h ansible_host='{{ ip }}'", "hosts:1: ansible_host", "only Ansible can fill in"),
    ("h gpu_accept='[\"a'", "hosts:1: gpu_accept", "a list or mapping that cannot be read"),
    ("h ansible_host=", "hosts:1: ansible_host", "needed  a text"),
    ("h ansible_user='root", "hosts:1", "close the quote"),
    ("[g", "hosts:1: [g", "[GROUP:children]"),
    ("[g:hots]", "hosts:1: [g:hots]", "[GROUP:vars]"),
    ("[g:children]\nmissing\n", "hosts:2: missing", "a child of g that is no group"),
    ("[a:children]\nb\n[b:children]\na\n[b]\nh", "hosts:1: a", "remove the circle"),
    ("[g:vars]\ns3cret", "hosts:2\n", "KEY=VALUE"),
    ("ansible_host=1.2.3.4", "hosts:1: ansible_host", "no name of a host"),
    ("# nothing\n[g]\n", "hosts", "at least one"),
]


@pytest.mark.parametrize(("text", "where", "words"), WRONG)
def test_wrong_lines_are_named(text: str, where: str, words: str) -> None:
    with pytest.raises(InventoryError) as error:
        ini(text)
    assert str(error.value).startswith(where)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "h ansible_password='$ANSIBLE_VAULT;1.1;AES256 s3cret'",
        "h ansible_port=s3cret",
        "h ansible_become=s3cret",
        "[g:vars]\nansible_password: s3cret",
        "h ansible_password='s3cret",
        "h 's3cret'",
    ],
)
def test_no_error_shows_what_may_be_a_secret(text: str) -> None:
    with pytest.raises(InventoryError) as error:
        ini(text)
    assert "s3cret" not in str(error.value)
