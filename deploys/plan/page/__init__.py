"""TELL: a result as one page of HTML that needs nothing else: no network, no other file, and no script but its own.

Whatever hosts and operators wrote goes through `_text` or into the data block; the policy in its head names the digests of
the page's own script and style, so that nothing else in it could run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from deploys.plan.progress import took
from deploys.plan.result import Document
from deploys.plan.states import BY_NAME, ORDER

_FOLDER = Path(__file__).parent
_KINDS = ("failed", "refused", "pending", "good")
WORST_FIRST = tuple(sorted(ORDER, key=lambda name: (_KINDS.index(BY_NAME[name].kind), -ORDER.index(name))))
# Before anything of the page is drawn: with a script only the first hosts are, the others when they come into view.
_FIRST = 'document.documentElement.classList.add("live")'
# Key of the script's sorting, and head of the column.
COLUMNS = (
    ("host", "Host"),
    ("state", "State"),
    ("gpus", "GPUs"),
    ("driver", "Driver"),
    ("cuda", "CUDA"),
    ("docker", "Docker"),
    ("runtime", "Runtime"),
    ("reboot", "Reboot"),
    ("proof", "Last proof"),
    ("took", "This run"),
)
_ICONS = {
    "good": '<circle cx="8" cy="8" r="6.2"/><path d="M5.2 8.3l2 2 3.6-4.2"/>',
    "pending": '<circle cx="8" cy="8" r="6.2"/><path d="M8 4.6V8l2.3 1.6"/>',
    "refused": '<path d="M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4z"/><path d="M5.4 8h5.2"/>',
    "failed": '<circle cx="8" cy="8" r="6.2"/><path d="M5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2"/>',
    "check": '<path d="M3 8.5l3.2 3.2L13 4.6"/>',
    "cross": '<path d="M4 4l8 8M12 4l-8 8"/>',
    "dash": '<path d="M4 8h8"/>',
    "query": '<path d="M5.6 5.8a2.4 2.4 0 1 1 3.4 2.2c-.7.4-1 .8-1 1.6M8 12.4v.1"/>',
    "dot": '<circle cx="8" cy="8" r="2.2"/>',
}


def page(document: Document) -> str:
    """The page of a run, or of several that were merged. The same document gives the same page."""
    hosts = sorted(document["hosts"], key=lambda h: (WORST_FIRST.index(h["state"]), h["host"]))
    css, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(_FIRST)}' '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    title = _title(document)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">',
        f"<title>{_text(title)}</title>\n<style>{css}</style>\n<script>{_FIRST}</script>\n</head>\n<body>",
        f'<svg hidden aria-hidden="true">{_symbols()}</svg>',
        _header(document, title),
        f"<main>\n{_tools()}\n{_table(hosts)}\n{_footer(document)}\n</main>",
        f'<script type="application/json" id="data">{_data(hosts)}</script>\n<script>{script}</script>\n</body>\n</html>\n',
    ]
    return "\n".join(parts)


@cache
def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(value: object) -> str:
    """Text as text, in content and in attributes; what has no UTF-8 becomes a question mark."""
    return html.escape(str(value).encode("utf-8", "replace").decode())


def _data(hosts: list[Document]) -> str:
    """JSON that no host can end: within a script element only "<" could."""
    text = json.dumps(hosts, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _symbols() -> str:
    return "".join(f'<symbol id="i-{name}" viewBox="0 0 16 16">{shape}</symbol>' for name, shape in _ICONS.items())


def _icon(name: str) -> str:
    return f'<svg class="icon" aria-hidden="true"><use href="#i-{name}"/></svg>'


def _label(state: str) -> str:
    return state.replace("-", " ").capitalize()


def _title(document: Document) -> str:
    """What matters most, as browsers show it in a tab."""
    states = document["summary"]["states"]
    bad = [f"{states[name]} {_label(name).lower()}" for name in WORST_FIRST if name in states]
    return f"{', '.join(bad[:3]) or 'no hosts'} - GPU hosts"


def _header(document: Document, title: str) -> str:
    run, summary = document["run"], document["summary"]
    what = "Newest result of every host" if run["runs"] > 1 else ", ".join(run["deploys"]) or "Run"
    about = [
        f"{what}{' (dry run)' if run['dry'] else ''}",
        f"{document['started'].replace('T', ' ').replace('Z', ' UTC')}",
        f"{run['runs']} runs" if run["runs"] > 1 else f"took {took(document['seconds'])}",
        f"{summary['gpus']} GPUs",
        f"{summary['changed']} changed",
        f"{summary['reboot_pending']} waiting for a reboot",
    ]
    counts = [(name, summary["states"][name]) for name in WORST_FIRST if name in summary["states"]]
    bar = "".join(f'<span class="{BY_NAME[name].kind}" data-n="{count}"></span>' for name, count in counts)
    chips = "".join(
        f'<li><button type="button" class="chip {BY_NAME[name].kind}" data-state="{name}" aria-pressed="false" '
        f'title="{_text(BY_NAME[name].meaning)}">{_icon(BY_NAME[name].kind)}<b>{count}</b> {_label(name)}</button></li>'
        for name, count in counts
    )
    spans = "".join(f"<span>{_text(text)}</span>" for text in about)
    return (
        f'<header>\n<h1>{summary["hosts"]} GPU host{"" if summary["hosts"] == 1 else "s"}</h1>\n<p class="about">{spans}</p>\n'
        f'<div class="bar" role="img" aria-label="{_text(title)}">{bar}</div>\n'
        f'<ul class="chips" aria-label="Show one state only">{chips}</ul>\n</header>'
    )


def _tools() -> str:
    options = "".join(
        f'<option value="{key}"{" selected" if key == "state" else ""}>{head}</option>' for key, head in COLUMNS
    )
    return (
        '<div class="tools" role="search">'
        '<input id="search" type="search" placeholder="Filter: host, driver, check, reboot …" aria-label="Filter hosts" autocomplete="off" spellcheck="false">'
        f'<label class="sort">Sort by <select id="sort">{options}</select></label>'
        '<span class="shown" id="shown" role="status"></span></div>\n'
        "<noscript><p>Details, filter and sorting need JavaScript; the JSON file beside this page holds the same.</p></noscript>"
    )


def _table(hosts: list[Document]) -> str:
    heads = "".join(
        f'<th scope="col" role="columnheader" class="c-{key}" data-key="{key}"{_SORTED if key == "state" else ""}><button type="button">{head}</button></th>'
        for key, head in COLUMNS
    )
    rows = "\n".join(_row(index, host) for index, host in enumerate(hosts))
    return (
        '<div class="frame"><table role="table" aria-label="Hosts">\n'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n'
        f"<tbody role=\"rowgroup\" data-order='{json.dumps(WORST_FIRST)}'>\n{rows}\n</tbody></table>\n"
        f'<p class="nothing" id="nothing"{" hidden" if hosts else ""}>No host fits.</p>\n'
        '<button type="button" class="further" id="further" hidden></button></div>'
    )


_SORTED = ' aria-sort="ascending"'


def _row(index: int, host: Document) -> str:
    state = BY_NAME[host["state"]]
    cells = {
        "GPUs": "<br>".join(
            f"{g['count']} × {_text(g['name'].removeprefix('NVIDIA ') or g['id'])}" for g in host["gpus"]
        ),
        "Driver": _text(host["driver"]),
        "CUDA": _text(", ".join(host["cuda"])),
        "Docker": _text(host["docker"]),
        "Runtime": _text(host["runtime"]),
        "Reboot": _reboot(host["reboot"]),
        "Last proof": _proof(host["last_proof"]),
        "This run": _run(host),
    }
    columns = "".join(
        f'<td role="cell" data-label="{label}"{_EMPTY if not value else ""}>{value or _NONE}</td>'
        for label, value in cells.items()
    )
    return (
        f'<tr role="row" class="host" data-i="{index}">'
        f'<th scope="row" role="rowheader"><button type="button" class="name" aria-expanded="false">{_text(host["host"])}</button>'
        f'<span class="sub under">{_text(host["system"])}</span></th>'
        f'<td role="cell" class="at-state"><span class="state {state.kind}">{_icon(state.kind)}{_label(state.name)}</span>'
        f'<span class="sub why">{_text(_why(host))}</span></td>{columns}</tr>'
    )


_EMPTY = ' class="empty"'
_NONE = '<span class="none">–</span>'


def _why(host: Document) -> str:
    """The detail, or what the check found that refused the host; and how many warnings there are."""
    stops = [f for f in host["findings"] if f["level"] == "stop" and not f["accepted"]]
    text = f"{stops[0]['check']}: {stops[0]['found']}" if len(stops) == 1 else host["detail"]
    warnings = sum(f["level"] == "warn" and not f["accepted"] for f in host["findings"])
    count = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    return "; ".join(part for part in (text, count) if part)


def _run(host: Document) -> str:
    """How long the steps took, and how many changed something."""
    if not host["timings"]:
        return ""
    changed = len(host["changed"])
    note = f'<span class="sub">{changed} change{"" if changed == 1 else "s"}</span>' if changed else ""
    return f"{took(sum(timing['seconds'] for timing in host['timings']))}{note}"


def _reboot(reboot: Mapping[str, Any] | None) -> str:
    if reboot is None or not reboot["pending"]:
        return ""
    return f'<span class="wait" title="{_text("; ".join(reboot["why"]))}">{_icon("pending")}due</span>'


def _proof(proof: Mapping[str, Any] | None) -> str:
    """The script makes an age of the time, as the page may be read much later."""
    if proof is None:
        return ""
    shown = proof["at"].replace("T", " ").replace("Z", " UTC")
    said = "" if proof["state"] == "ready" else f'<span class="sub">{_text(_label(proof["state"]).lower())}</span>'
    return f'<time class="ago" datetime="{_text(proof["at"])}" title="{_text(shown)}">{_text(shown)}</time>{said}'


def _footer(document: Document) -> str:
    tool = document["tool"]
    pyinfra = f", pyinfra {tool['pyinfra']}" if tool["pyinfra"] else ""
    return f"<footer>gpu-host {_text(tool['version'])}{_text(pyinfra)} · exit code {document['exit_code']} · result schema {document['schema']}</footer>"
