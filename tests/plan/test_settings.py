from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.knowledge.vendors.toolkit import DEB as CONTAINER_TOOLKIT_DEB
from deploys.plan.checks import CHECK_NAMES, WAIVABLE
from deploys.plan.monitoring import Monitoring
from deploys.plan.settings import Mirror, Problem, Proxy, Settings, SettingsError, parse_settings
from tests.plan import gpg_keys

ROOT = Path(__file__).resolve().parents[2]
KEY_TEXT = (ROOT / "deploys/knowledge/keys" / CONTAINER_TOOLKIT_DEB.key).read_text()
FILES = {
    "mirror.asc": KEY_TEXT,
    "letter.txt": "Dear mirror,",
    "private.asc": KEY_TEXT.replace("PUBLIC", "PRIVATE"),
    "revoked.asc": gpg_keys.REVOKED,
    "two.asc": gpg_keys.TWO_IN_ONE,
}
TOOLKIT = "nvidia-container-toolkit"


def parse(data: dict[Any, Any]) -> Settings:
    return parse_settings(data, checks=CHECK_NAMES, waivable=WAIVABLE, read_file=FILES.get)


def problems(data: dict[Any, Any]) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(data)
    return caught.value.problems


def mirror(**entry: object) -> dict[str, object]:
    return {TOOLKIT: {"url": "https://mirror.example/nct", **entry}}


# (name of the setting without gpu_, bad value, words that found, needed and fix must hold between them)
BAD: list[tuple[str, object, list[str]]] = [
    ("driver_source", "ubuntu", ["'ubuntu'", '"distro" or "nvidia"']),
    ("driver_source", "nvidea", ['gpu_driver_source = "nvidia"']),
    ("driver_source", None, ["None", '"distro"']),
    ("driver_branch", 570.10, ["570.1 (float)", "quotes", "570.10 becomes 570.1"]),
    ("driver_branch", 580, ["580 (int)", "quotes"]),
    ("driver_branch", True, ["True (bool)", '"580"']),
    ("driver_branch", "R580", ["'R580'", '"580"']),
    ("driver_branch", "580.159.03; reboot", ["reboot", '"580.159.03"']),
    ("driver_branch", "580\n", ["\\n"]),
    ("driver_branch", "latest", ["'latest'"]),
    ("drain", "", ["''", "a shell command, or None"]),
    ("drain", ["scontrol"], ["(list)"]),
    ("drain_timeout", 0, ["0 (int)", "seconds"]),
    ("docker_live_restore", 1, ["1 (int)", "True or False or None"]),
    ("docker_live_restore", "yes", ["'yes'"]),
    ("docker_cdi", False, ["False (bool)", "True or None"]),
    ("monitoring", True, ["True (bool)", "a mapping, or None"]),
    ("monitoring", {"exporters": "nvml"}, ["exporters", 'write "exporter"']),
    ("monitoring", {"exporter": "nvidia"}, ["'nvidia'", '"auto", "dcgm" or "nvml"']),
    ("monitoring", {"grafana_port": 0}, ["0 (int)", "1 to 65535"]),
    ("monitoring", {"retention": "forever"}, ["'forever'", '"15d"']),
    ("monitoring", {"grafana_port": 9090}, ["9090, 9090, 9400", "three different ports"]),
    ("monitoring", {"scrape": {"gpu": "127.0.0.1:1/metrics"}}, ['not "gpu"']),
    ("monitoring", {"scrape": {"app": "http://x/metrics"}}, ["HOST:PORT/PATH"]),
    ("monitoring", {"archive": "images.tar"}, ["absolute path"]),
    ("services", {"llm": {"image": "x", "metrics": 8000}}, ["metrics on port 8000, which is not published"]),
    ("services", {"llm": {"image": "x", "metrics": "8000 /x"}}, ["PORT/PATH"]),
    ("kernel_modules", "closed", ['"auto" or "proprietary" or "open"']),
    ("kernel_modules", ["open"], ["(list)"]),
    ("cuda", "11.3", ["'11.3'", "newer than 11.3"]),
    ("cuda", "10.2", ["newer than 11.3"]),
    ("cuda", 12.4, ["12.4 (float)", "quotes", "12.10 becomes 12.1"]),
    ("cuda", 12, ["12 (int)", "quotes"]),
    ("cuda", "12", ["MAJOR.MINOR", '"auto"']),
    ("cuda", "v13.1", ['gpu_cuda = "13.1"']),
    ("cuda", "12.4.1", ["MAJOR.MINOR", 'gpu_cuda = "12.4"']),
    ("cuda", "latest", ['"auto" for the newest']),
    ("cuda", "", ["''", "None for no CUDA"]),
    ("cuda", [], ["at least one version", "None"]),
    ("cuda", ["12.4", "auto"], ["'auto'", "MAJOR.MINOR"]),
    ("cuda", "12.4\0", ["\\x00"]),
    ("cuda", "１２.４", ["\\uff11"]),
    ("docker_source", "docker.com", ['gpu_docker_source = "docker"']),
    ("container_runtime", "nvidia-docker", ['"nvidia" or "aur" or None']),
    ("profile", "docker", ['"full" or "containers" or "raw"']),
    ("reboot", True, ["True (bool)", '"when-needed" or "never"']),
    ("reboot_timeout", 30, ["30 (int)", "60 to 7200"]),
    ("reboot_timeout", "1200", ["'1200'", "whole number of seconds"]),
    ("reboot_timeout", 1200.0, ["(float)"]),
    ("operation_timeout", 100_000, ["60 to 86400"]),
    ("expected_gpus", -1, ["-1 (int)", "1 or more"]),
    ("expected_gpus", 0, ["0 (int)", "None"]),
    ("expected_gpus", True, ["True (bool)"]),
    ("expected_gpus", "8", ["'8'"]),
    ("accept", "headers_available", ["a list", "['headers_available']"]),
    ("accept", ["header_available"], ["the name of a check", 'write "headers_available"']),
    ("accept", ["linux_x86_64"], ["could break the host", "solve what the check reports"]),
    ("accept", [7], ["7 (int)", "the name of a check"]),
    ("accept", None, ["None", "a list"]),
    ("proxy", 5, ["5 (int)", "a URL, a mapping, or None"]),
    ("proxy", "proxy.example:3128", ["not shown", "http:// or https://"]),
    ("proxy", "http://proxy.example:port", ["no such URL"]),
    ("proxy", {"http": "http://p w@proxy.example"}, ["not shown"]),
    ("proxy", {"htps": "http://proxy.example"}, ["'htps'", 'write "https"']),
    ("proxy", {"no_proxy": "localhost"}, ["no proxy in the mapping"]),
    ("proxy", {"http": "http://proxy.example", "no_proxy": "a b"}, ["'a b'", "comma separated"]),
    ("mirrors", "https://mirror.example", ["a mapping of repository names"]),
    ("mirrors", {"container-toolkit": "https://mirror.example"}, ["container-toolkit", TOOLKIT]),
    ("mirrors", {TOOLKIT: 5}, ["5 (int)", "a base URL, or a mapping"]),
    ("mirrors", {TOOLKIT: "ftp://mirror.example/x"}, ["ftp://", "http://, https:// or file://"]),
    ("mirrors", {TOOLKIT: "https:///x"}, ["a host"]),
    ("mirrors", {TOOLKIT: "https://mirror.example/x\nTrusted: yes"}, ["\\n", "plain characters"]),
    ("mirrors", {TOOLKIT: "https://mirror.example/$(id)"}, ["$(id)"]),
    ("mirrors", {TOOLKIT: "https://[::1/x"}, ["[::1/x"]),
    ("mirrors", {TOOLKIT: "https://mirror.example:port/x"}, [":port"]),
    ("mirrors", {TOOLKIT: "file:///"}, ["file://"]),
    ("mirrors", {TOOLKIT: {"key": "mirror.asc"}}, ["None", "a base URL"]),
    ("mirrors", mirror(keys="mirror.asc"), ["'keys'", "only url, key and fingerprint", 'write "key"']),
    ("mirrors", mirror(key="missing.asc"), ["no readable file missing.asc", "correct the path"]),
    ("mirrors", mirror(key="letter.txt"), ["letter.txt: it holds something else", "gpg --armor --export"]),
    ("mirrors", mirror(key="private.asc"), ["a private key", "public key"]),
    ("mirrors", mirror(key="revoked.asc"), [gpg_keys.REVOKED_FINGERPRINT, "has been revoked"]),
    ("mirrors", mirror(key="two.asc"), ["it holds 2 keys", gpg_keys.LIVING_FINGERPRINT]),
    ("mirrors", mirror(key="a\nb"), ["a\\nb", "path of a file"]),
    (
        "mirrors",
        mirror(key="mirror.asc", fingerprint="F796ECB0"),
        ["40 hexadecimal digits", CONTAINER_TOOLKIT_DEB.fingerprint],
    ),
    ("mirrors", mirror(key="mirror.asc", fingerprint="0" * 40), [CONTAINER_TOOLKIT_DEB.fingerprint, "0" * 40]),
    ("mirrors", mirror(fingerprint="0" * 40), ["without a key", "mirror.asc"]),
    ("report_dir", "", ["''", "a folder's path"]),
    ("report_dir", "reports; rm -rf /", ["a folder's path"]),
    ("report_dir", 5, ["5 (int)"]),
    ("cudda", "12.4", ["means nothing", "write gpu_cuda"]),
    ("zzz", 1, ["remove it", "inventories/example.py"]),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD, ids=[f"{n}={v!r}"[:50] for n, v, _ in BAD])
def test_a_bad_setting_is_named_and_explained(name: str, value: object, words: list[str]) -> None:
    (problem,) = problems({f"gpu_{name}": value})
    assert problem.key.split("[")[0] == f"gpu_{name}"
    told = f"{problem.found}\n{problem.needed}\n{problem.fix}"
    assert [word for word in words if word not in told] == []
    assert problem.found
    assert problem.needed
    assert problem.fix


# Settings that are fine alone: data, the key that is named, words of the message.
CONTRADICTIONS: list[tuple[dict[str, object], str, list[str]]] = [
    ({"gpu_profile": "raw", "gpu_docker_source": "docker"}, "gpu_docker_source", ['gpu_profile = "raw"', "full"]),
    ({"gpu_profile": "raw", "gpu_container_runtime": "aur"}, "gpu_container_runtime", ['gpu_profile = "raw"']),
    ({"gpu_profile": "containers", "gpu_cuda": ["12.4"]}, "gpu_cuda", ['gpu_profile = "containers"']),
    ({"gpu_kernel_modules": "open", "gpu_driver_branch": "470"}, "gpu_kernel_modules", ["470", "515"]),
    ({"gpu_kernel_modules": "open", "gpu_driver_branch": "510.108.03"}, "gpu_kernel_modules", ["510.108.03"]),
]


@pytest.mark.parametrize(("data", "key", "words"), CONTRADICTIONS)
def test_contradictions_are_named(data: dict[str, object], key: str, words: list[str]) -> None:
    (problem,) = problems(data)
    assert problem.key == key
    assert [word for word in words if word not in f"{problem.found}{problem.needed}{problem.fix}"] == []


@pytest.mark.parametrize("profile", ["full", "containers", "raw"])
def test_the_defaults_written_out_contradict_no_profile(profile: str) -> None:
    written_out = {f"gpu_{f.name}": getattr(Settings(), f.name) for f in fields(Settings)}
    assert parse({**written_out, "gpu_profile": profile}).profile == profile


def test_every_bad_setting_is_reported_in_one_error() -> None:
    data = {
        "gpu_profile": "raw",
        "gpu_docker_source": "docker",
        "gpu_container_runtime": "aur",
        "gpu_driver_source": "ubuntu",
        "gpu_driver_branch": 570.10,
        "gpu_kernel_modules": "closed",
        "gpu_cuda": ["11.3", "10.2", 12.4, "latest"],
        "gpu_reboot": "always",
        "gpu_reboot_timeout": -5,
        "gpu_operation_timeout": "1h",
        "gpu_expected_gpus": -8,
        "gpu_accept": ["linux_x86_64", "no_such_thing_at_all", 3],
        "gpu_mirrors": {"debian": "x", TOOLKIT: {"url": "https://mirror.example", "key": "missing.asc"}},
        "gpu_report_dir": "",
        "gpu_drivers": 1,
        "gpu_docker": 1,
    }
    found = problems(data)
    assert len(found) == 21
    assert {p.key.split("[")[0] for p in found} == set(data) - {"gpu_profile"}
    with pytest.raises(SettingsError, match=r"^21 settings cannot be used\n") as caught:
        parse(data)
    assert all(str(p) in str(caught.value) for p in found)


def test_a_password_in_a_mirror_is_refused_and_not_repeated() -> None:
    url = "https://admin:hunter2@mirror.example/nct"
    for value in (url, {"url": url}):
        with pytest.raises(SettingsError, match="user name or password") as caught:
            parse({"gpu_mirrors": {TOOLKIT: value}})
        assert "hunter2" not in str(caught.value)


# Good values that are close to bad ones: key, value, what becomes of it.
GOOD: list[tuple[str, object, object]] = [
    ("driver_branch", "580", "580"),
    ("driver_branch", "580.159.03", "580.159.03"),
    ("driver_branch", None, None),
    ("cuda", "11.4", ("11.4",)),
    ("cuda", "11.10", ("11.10",)),
    ("cuda", ["12.4", "11.8", "12.4"], ("12.4", "11.8")),
    ("cuda", None, None),
    ("cuda", "auto", "auto"),
    ("container_runtime", None, None),
    ("expected_gpus", 8, 8),
    ("reboot_timeout", 60, 60),
    ("accept", {"nvidia_gpu_present", "disk_space"}, ("disk_space", "nvidia_gpu_present")),
    ("accept", [], ()),
    ("report_dir", None, None),
    ("docker_live_restore", False, False),
    ("docker_cdi", True, True),
    ("monitoring", None, None),
    ("monitoring", {}, Monitoring()),
    (
        "monitoring",
        {"scrape": {"app": "10.0.0.7:8080"}, "retention": "90d"},
        Monitoring(scrape={"app": "10.0.0.7:8080/metrics"}, retention="90d"),
    ),
    ("proxy", None, None),
    ("proxy", "http://proxy.example:3128", Proxy("http://proxy.example:3128", "http://proxy.example:3128")),
    (
        "proxy",
        {"https": "http://ann:p%40ss@proxy.example", "no_proxy": ["localhost", "10.0.0.0/8"]},
        Proxy("", "http://ann:p%40ss@proxy.example", "localhost,10.0.0.0/8"),
    ),
    ("mirrors", {TOOLKIT: "http://10.0.0.1:8080/nct/"}, {TOOLKIT: Mirror("http://10.0.0.1:8080/nct")}),
    ("mirrors", {TOOLKIT: "file:///srv/nct"}, {TOOLKIT: Mirror("file:///srv/nct")}),
    (
        "mirrors",
        mirror(key="mirror.asc", fingerprint="C95B 321B 61E8 8C18 09C4  F759 DDCA E044 F796 ECB0"),
        {TOOLKIT: Mirror("https://mirror.example/nct", KEY_TEXT, CONTAINER_TOOLKIT_DEB.fingerprint)},
    ),
]


@pytest.mark.parametrize(("name", "value", "parsed"), GOOD)
def test_good_settings(name: str, value: object, parsed: object) -> None:
    assert getattr(parse({f"gpu_{name}": value}), name) == parsed


@pytest.mark.parametrize(("there", "lacking"), [("drain", "undrain"), ("undrain", "drain")])
def test_a_host_that_is_drained_must_be_called_back(there: str, lacking: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({f"gpu_{there}": "true"})
    (problem,) = caught.value.problems
    assert problem.key == f"gpu_{lacking}"
    assert parse({"gpu_drain": "a", "gpu_undrain": "b"}).undrain == "b"


def test_keys_of_others_are_ignored() -> None:
    assert parse({"ssh_user": "root", "gpus": "x", 5: "y", None: 1, "_sudo": True}) == Settings()


def test_the_example_shows_every_setting_with_its_default() -> None:
    example = runpy.run_path(str(ROOT / "inventories/example.py"))["_settings"]
    assert set(example) == {f"gpu_{f.name}" for f in fields(Settings)}
    assert parse(example) == Settings()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)
WORDS = st.sampled_from(["auto", "580", "11.3", "12.4", "raw", "mirror.asc", "letter.txt", "https://mirror.example"])
ENTRIES = st.dictionaries(st.sampled_from(["url", "key", "fingerprint"]), WORDS | VALUES)
NAMES = st.sampled_from([f"gpu_{f.name}" for f in fields(Settings)])
SETTINGS = st.dictionaries(NAMES | st.text(), VALUES | WORDS | st.dictionaries(st.just(TOOLKIT), WORDS | ENTRIES))


@given(SETTINGS)
def test_anything_gives_settings_or_an_error_that_can_be_printed(data: dict[Any, Any]) -> None:
    try:
        answer: Settings | SettingsError = parse(data)
    except SettingsError as error:
        answer = error
    if isinstance(answer, SettingsError):
        assert answer.problems
        assert [c for c in str(answer) if ord(c) < 128 and not c.isprintable() and c != "\n"] == []
