"""What README and docs claim is so: tables, paths, states, settings and examples are held against the code."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields, replace

import pytest

from deploys.knowledge import paths
from deploys.plan import pull
from deploys.plan.checks import CHECK_NAMES, WAIVABLE
from deploys.plan.checks.gpu import gpu_count_as_expected
from deploys.plan.describe import describe_drift, describe_finding
from deploys.plan.drift import Drift
from deploys.plan.metrics import metrics
from deploys.plan.monitoring import Monitoring
from deploys.plan.result import SCHEMA
from deploys.plan.service import Health, Service
from deploys.plan.settings import Settings, parse_settings
from deploys.plan.states import (
    FAILED_CODE,
    GOOD_CODE,
    INTERRUPTED_CODE,
    ORDER,
    STATES,
    UNREADY_CODE,
    USAGE_CODE,
    exit_code,
)
from tests.pages import DOCS, PAGES, README, ROOT, blocks, prose, read, section
from tests.plan.fleet import fleet
from tests.plan.hosts import A100, debian_12_bare, gpus
from tools.make_support_table import TABLES, shown

SETTINGS = {f"gpu_{f.name}": f.default for f in fields(Settings)}
METRICS = {line.split()[2] for line in metrics(fleet(1)).splitlines() if line.startswith("# HELP")}


@pytest.mark.parametrize(("page", "name", "make"), TABLES, ids=[name for _, name, _ in TABLES])
def test_tables_of_releases_are_those_of_the_rooms(page: str, name: str, make: object) -> None:
    """`tools/make_support_table.py` writes them."""
    assert callable(make)
    assert shown(page, name)[1].strip() == make()


def test_every_file_of_ours_is_named() -> None:
    """Keys and sources of repositories, and units of services, by their pattern; all others whole."""
    names = r"gpu-host-(?:cuda|docker|nvidia-container-toolkit)[.](asc|sources|repo)$"
    patterns = [re.sub(names, r"gpu-host-NAME.\1", path) for path in paths.OWNED_FILES]
    patterns += [paths.LOG_DIR, paths.HOLDS_LEDGER, paths.PROVEN_RECORD, paths.SERVICES_FOLDER, paths.MONITORING_FOLDER]
    patterns.append(paths.SERVICE_UNITS.replace("*", "NAME"))
    named = section("docs/hosts.md", "Files of ours")
    assert [path for path in patterns if f"`{path}`" not in named] == []


def test_every_setting_of_a_service_is_explained() -> None:
    explained = section("docs/services.md", "Model services")
    assert [f for f in Service.__dataclass_fields__ if f != "name" and f"`{f}`" not in explained] == []
    assert [f for f in Health.__dataclass_fields__ if f != "command" and f"`{f}`" not in explained] == []


def test_every_setting_of_the_monitoring_is_explained() -> None:
    explained = section("docs/services.md", "Monitoring")
    assert [f for f in Monitoring.__dataclass_fields__ if f"`{f}`" not in explained] == []


def test_services_of_the_page_are_taken() -> None:
    (block,) = blocks("docs/services.md", "python")
    text = block.partition(": ")[2].rstrip(",\n").replace("sha256:...", f"sha256:{'0' * 64}")
    assert set(parse_settings({"gpu_services": ast.literal_eval(text)}).services) == {"llm", "embeddings"}


def test_every_key_of_the_pull_file_is_explained() -> None:
    explained = section("docs/fleets.md", "A machine that provisions itself")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", explained, re.MULTILINE))
    config = {"data": {}, "deploys": ["gpu_host"], "results": [pull.DEFAULT_RESULTS], "token_file": "/token"}
    assert set(rows) == set(config)
    assert set(re.findall(r"(\w+)[`\"]", rows["deploys"])) == set(pull.DEPLOYS)
    config["results"] = re.findall(r'[`"]((?:/|\w+://)[^`"]+)[`"]', rows["results"])
    found = pull.parse_config(json.dumps(config)).results
    assert [target.kind for target in found] == ["folder", "http", "http", "store", "store"]
    assert [target.method for target in found[1:3]] == ["POST", "PUT"]


def test_every_state_is_explained() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", section("docs/results.md", "States"), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(ORDER)
    assert [s.name for s in STATES if not dict(rows)[s.name].startswith(s.meaning)] == []


def test_every_metric_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("docs/results.md", "Metrics"), re.MULTILINE)
    assert set(rows) == METRICS
    (alerts,) = blocks("docs/results.md", "yaml")
    assert set(re.findall(r"gpu_host_\w+", alerts)) <= METRICS


def test_number_of_the_schema_is_that_of_the_code() -> None:
    assert f"`schema` is its number, now {SCHEMA}." in read("docs/results.md")


def test_exit_codes_are_those_of_the_code() -> None:
    rows = {int(c): text for c, text in re.findall(r"^\| (\d+) \| (.*) \|$", section(README, "Results"), re.MULTILINE)}
    assert set(rows) == {GOOD_CODE, FAILED_CODE, USAGE_CODE, UNREADY_CODE, INTERRUPTED_CODE}
    for state in STATES:
        assert [code for code, text in rows.items() if f"`{state.name}`" in text] == [exit_code([state.name])]


def test_example_of_a_refusal_is_what_the_check_says() -> None:
    host = replace(debian_12_bare(), pci=gpus(*[A100] * 7))
    finding = gpu_count_as_expected(host, Settings(expected_gpus=8))
    assert finding
    assert finding.check in CHECK_NAMES & WAIVABLE
    said = describe_finding(finding, "gpu-07", waivable=True)
    assert "\n".join(f"    {line}" for line in said.splitlines()) in section(README, "A host was refused: now what?")


def test_example_of_a_drift_is_what_is_printed() -> None:
    (line,) = re.findall(r"^ {4}(DRIFT .*), [.]{3}$", section("docs/upgrades.md", "Drift"), re.MULTILINE)
    found, needed = re.findall(r"(?:found|needed) (\S+);", line)
    assert describe_drift([Drift("package docker.io", found, needed)]).strip().startswith(line)


@pytest.mark.parametrize("page", PAGES)
def test_settings_in_prose_are_settings(page: str) -> None:
    """Or checks, metrics, and the output of Terraform that is read."""
    known = {*SETTINGS, *CHECK_NAMES, *METRICS, "gpu_host", "gpu_hosts"}
    assert set(re.findall(r"`(gpu_\w+)", prose(page))) - known == set()


def test_defaults_in_prose_are_those_of_the_settings() -> None:
    told = [pair for page in PAGES for pair in re.findall(r"`(gpu_\w+)`\s\((\d+)(?: s)?\)", prose(page))]
    assert [(name, value) for name, value in told if str(SETTINGS[name]) != value] == []
    numbers = {"hold_days", "probe_timeout", "connect_timeout", "max_unavailable", "max_failed"}
    assert {f"gpu_{name}" for name in numbers} <= {name for name, _ in told}


def test_settings_of_the_readme_and_the_pages_are_in_the_example() -> None:
    """The example sends its reader to pages that are there."""
    sent = re.findall(r"docs/\w+[.]md", read("inventories/example.py"))
    assert len(sent) > 2
    assert set(sent) <= set(DOCS)


def test_readme_is_short_enough_to_read_in_three_minutes() -> None:
    assert len(read(README).splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short_enough_to_read(page: str) -> None:
    """Rows of tables, comments and what a host prints stay whole."""
    lines = [line for line in prose(page).splitlines() if not line.startswith(("|", "    ", "<!--", "!["))]
    assert [line for line in lines if len(line) > 125] == []


def test_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs").glob("*.png"))
    assert len(pictures) == 3
    assert all(0 < path.stat().st_size < 150_000 for path in pictures)
