"""The contract of the result: real documents keep to it, damaged ones do not, and no change of it goes by without another number."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploys.knowledge.version import VERSION
from deploys.plan.result import SCHEMA, Outcome, merge
from deploys.plan.schema import problems
from deploys.plan.states import ORDER
from tests.plan.fleet import fleet

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = json.loads((ROOT / "docs/result-schema.json").read_text())
# Number -> digest of the contract without its explanations. Another digest needs another number, and a line here.
DIGESTS = {2: "1067ba65def6c174"}


def bare(schema: Any) -> Any:
    """A schema without the words for people."""
    if isinstance(schema, dict):
        return {k: bare(v) for k, v in schema.items() if not (k in ("description", "title") and isinstance(v, str))}
    return [bare(v) for v in schema] if isinstance(schema, list) else schema


def test_a_changed_contract_has_another_number() -> None:
    digest = hashlib.sha256(json.dumps(bare(CONTRACT), sort_keys=True).encode()).hexdigest()[:16]
    assert CONTRACT["properties"]["schema"]["const"] == SCHEMA
    assert DIGESTS.get(SCHEMA) == digest, "give SCHEMA and the contract the next number, and add its digest here"
    assert max(DIGESTS) == SCHEMA


def test_contract_names_every_field_and_state() -> None:
    host = CONTRACT["$defs"]["host"]
    assert list(host["properties"]) == list(Outcome.__dataclass_fields__) == host["required"]
    assert tuple(host["properties"]["state"]["enum"]) == ORDER
    assert host["additionalProperties"] is CONTRACT["additionalProperties"] is False


def test_documents_of_a_run_and_of_many_keep_to_it() -> None:
    one = fleet(40)
    assert list(problems(one, CONTRACT)) == []
    whole = merge([one, fleet(12, states=("ready", "failed"), started=1_796_000_000)])
    assert list(problems(whole, CONTRACT)) == []
    assert list(problems(json.loads(json.dumps(one)), CONTRACT)) == []


def damage(change: Callable[[Any], None]) -> list[str]:
    broken = copy.deepcopy(fleet(len(ORDER)))
    change(broken)
    return list(problems(broken, CONTRACT))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(schema=3), "schema: 2 expected"),
        (lambda d: d.update(schema=True), "schema: 2 expected"),
        (lambda d: d.pop("summary"), "summary: missing"),
        (lambda d: d.update(extra=1), "extra: not known"),
        (lambda d: d["hosts"][0].update(state="fine"), "hosts[0].state: one of ready"),
        (lambda d: d["hosts"][1].pop("gpus"), "hosts[1].gpus: missing"),
        (lambda d: d["hosts"][1].update(gpus=[{"id": "10de:2330", "name": "x", "count": 0}]), "at least 1"),
        (lambda d: d["hosts"][1].update(gpus=[{"id": "<b>", "name": "x", "count": 1}]), "hosts[1].gpus[0].id"),
        (lambda d: d["hosts"][2].update(seen="now"), "hosts[2].seen"),
        (lambda d: d["hosts"][2].update(reboot="no"), "hosts[2].reboot"),
        (lambda d: d["hosts"][2].update(last_proof={"at": "2026-01-01T00:00:00Z"}), "hosts[2].last_proof.state: missing"),
        (lambda d: d["summary"]["states"].update(ready="many"), "summary.states.ready: integer expected"),
        (lambda d: d.update(hosts={}), "hosts: array expected"),
        (lambda d: d.update(seconds=-1), "seconds: at least 0"),
        (lambda d: d.update(exit_code=2), "exit_code: one of 0, 1, 3"),
    ],
)  # fmt: skip
def test_damage_is_found_where_it_is(change: Callable[[Any], None], says: str) -> None:
    assert any(says in problem for problem in damage(change))


def test_validator_refuses_what_it_does_not_understand() -> None:
    with pytest.raises(ValueError, match="oneOf"):
        list(problems({}, {"oneOf": []}))


def test_version_is_that_of_the_project() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
