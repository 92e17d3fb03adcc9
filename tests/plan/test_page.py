"""The page: whole in itself, and nothing that a host says can become more than text in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from deploys.plan.page import page
from deploys.plan.result import Document
from deploys.plan.states import ORDER
from tests.plan.fleet import fleet

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\' onmouseover=alert(3) x="&lt;<!--\u2028\ud800'


class Reader(HTMLParser):
    """Elements with their attributes, and the text of some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.cells: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            (self.scripts if self._inside == "script" else self.styles).append(data)
        elif data.strip():
            self.cells.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(document: Document) -> Reader:
    reader = Reader()
    reader.feed(page(document))
    reader.close()
    return reader


def hostile() -> Document:
    """A fleet in which every text of every host is an attack."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        kept = {"state", "at", "seen", "level", "result", "id"}
        return EVIL if isinstance(value, str) and key not in kept else value

    document = fleet(2 * len(ORDER))
    document["hosts"] = [poison(h) for h in document["hosts"]]
    return document


def test_hosts_cannot_put_anything_into_the_page() -> None:
    good, bad = read(fleet(2 * len(ORDER))), read(hostile())
    count = {tag for tag, _ in good.elements}
    assert {tag for tag, _ in bad.elements} <= count
    for tag in ("script", "style", "img", "meta", "tr", "button"):
        assert len(bad.all(tag)) == len(good.all(tag)), tag
    names = {name for _, attributes in bad.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert EVIL.replace("\ud800", "?") in bad.cells
    page(hostile()).encode()


def test_data_block_is_the_result_again() -> None:
    document = hostile()
    data = json.loads(read(document).scripts[1])
    assert sorted(data, key=lambda h: h["seen"] + h["state"]) == sorted(
        document["hosts"], key=lambda h: h["seen"] + h["state"]
    )


def test_policy_lets_the_page_run_its_own_script_and_nothing_else() -> None:
    found = read(hostile())
    (policy,) = [m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    digests = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (found.scripts[0], found.scripts[2])
    }
    assert set(rules["script-src"].split()) == digests
    assert (
        rules["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(found.styles[0].encode()).digest()).decode()}'"
    )
    assert not [a for _, a in found.elements if "style" in a], "the policy would not let it count"


def test_page_needs_nothing_from_elsewhere() -> None:
    text = page(fleet(len(ORDER)))
    found = read(fleet(len(ORDER)))
    assert not [a for tag, a in found.elements if a.get("src") or (a.get("href") or "#")[0] != "#"]
    assert not re.findall(
        r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|insertAdjacentHTML|document\.write|eval\(", text
    )
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_table_is_one_for_those_who_hear_it() -> None:
    found = read(fleet(len(ORDER)))
    assert [h.get("scope") for h in found.all("th")] == ["col"] * 10 + ["row"] * len(ORDER)
    assert [h.get("aria-sort") for h in found.all("th") if h.get("aria-sort")] == ["ascending"]
    roles = {tag: {a.get("role") for t, a in found.elements if t == tag} for tag in ("table", "tr", "td")}
    assert roles == {"table": {"table"}, "tr": {"row"}, "td": {"cell"}}
    assert {b.get("aria-expanded") for b in found.all("button") if b.get("class") == "name"} == {"false"}
    assert all(i.get("aria-label") for i in found.all("input"))
    assert found.all("html")[0]["lang"] == "en"


def test_every_state_is_told_by_icon_and_word_and_the_worst_stand_first() -> None:
    found = read(fleet(len(ORDER)))
    words = {state: state.replace("-", " ").capitalize() for state in ORDER}
    assert [w for w in words.values() if w not in found.cells] == []
    text = page(fleet(30))
    shown = re.findall(
        r'class="state (\w+)"><svg class="icon" aria-hidden="true"><use href="#i-(\w+)"/></svg>([\w ]+)<', text
    )
    assert len(shown) == 30
    assert all(kind == icon for kind, icon, _ in shown)
    kinds = [kind for kind, _, _ in shown]
    assert kinds == sorted(kinds, key=["failed", "refused", "pending", "good"].index)


def test_page_of_no_host_says_so() -> None:
    empty = fleet(0)
    assert "No host fits." in read(empty).cells


def test_same_result_gives_the_same_page() -> None:
    assert page(fleet(len(ORDER))) == page(fleet(len(ORDER)))
