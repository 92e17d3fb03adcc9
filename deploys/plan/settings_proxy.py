"""Validator of `gpu_proxy`: the way out for package managers, image pulls and builds on hosts without a direct one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from deploys.plan.settings_values import Context, Problem, SettingsError, show, suggest

_FIELDS = ("http", "https", "no_proxy")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/@%!*()\[\]+=,-]+", re.ASCII)
_EXCEPTIONS = re.compile(r"[A-Za-z0-9._:/\[\]*-]+(,[A-Za-z0-9._:/\[\]*-]+)*", re.ASCII)
_LONGEST = 500
_EXAMPLE = '"http://proxy.example:3128"'


@dataclass(frozen=True)
class Proxy:
    """URLs for http and https targets, and the hosts that are reached directly (comma separated). URLs may hold a login."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: str = ""

    def variables(self) -> dict[str, str]:
        """The environment variables that programs read, in both spellings; empty ones are left out."""
        lower = {"http_proxy": self.http, "https_proxy": self.https, "no_proxy": self.no_proxy}
        found = {key: value for key, value in lower.items() if value}
        return {**found, **{key.upper(): value for key, value in found.items()}}

    def __str__(self) -> str:
        """For people: never with the login."""
        shown = dict.fromkeys(re.sub(r"//[^/@]*@", "//(login)@", url) for url in (self.http, self.https) if url)
        return ", ".join(shown)


def proxy(key: str, value: object, _context: Context) -> Proxy | None:
    """None, one URL for everything, or a mapping with `http`, `https` and `no_proxy`."""
    if value is None:
        return None
    if isinstance(value, str):
        url = _url(key, value)
        return Proxy(url, url)
    if not isinstance(value, Mapping):
        raise SettingsError(Problem(key, show(value), "a URL, a mapping, or None", f"{key} = {_EXAMPLE}"))
    unknown = [name for name in value if name not in _FIELDS]
    if unknown:
        fix = " ".join(f'write "{suggest(name, _FIELDS) or "https"}" or remove it;' for name in unknown).rstrip(";")
        raise SettingsError(Problem(key, ", ".join(map(show, unknown)), "only http, https and no_proxy", fix))
    if not value.get("http") and not value.get("https"):
        raise SettingsError(Problem(key, "no proxy in the mapping", "http, https or both", f'"https": {_EXAMPLE}'))
    urls = {name: _url(f"{key}[{name!r}]", value[name]) for name in ("http", "https") if value.get(name)}
    return Proxy(urls.get("http", ""), urls.get("https", ""), _exceptions(f"{key}['no_proxy']", value.get("no_proxy")))


def _url(key: str, value: object) -> str:
    needed = "http:// or https:// and a host, plain characters (others %-encoded)"
    # What is wrong may be a password, so the value is never shown.
    if not isinstance(value, str) or not _URL.fullmatch(value) or len(value) > _LONGEST or not _host(value):
        found = "a value that is no such URL (not shown: it may hold a password)"
        raise SettingsError(Problem(key, found, needed, _EXAMPLE))
    return value


def _host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _exceptions(key: str, value: object) -> str:
    if value is None or value == "":
        return ""
    text = ",".join(value) if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value) else value
    if isinstance(text, str) and _EXCEPTIONS.fullmatch(text) and len(text) <= _LONGEST:
        return text
    raise SettingsError(
        Problem(key, show(value), "hosts, domains or networks, comma separated", '"localhost,10.0.0.0/8"')
    )
