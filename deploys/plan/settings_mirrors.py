"""Validators of `gpu_mirrors` and `gpu_bundle`: which base URL replaces a vendor's, and the key where the mirror signs anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploys.knowledge.paths import REPOSITORIES
from deploys.plan.openpgp import fingerprint as fingerprint_of
from deploys.plan.openpgp import trouble
from deploys.plan.settings_values import Context, Problem, SettingsError, is_path, show, suggest

# The last one is a place of recipes, which nobody signs.
UNSIGNED = "aur"
MIRRORABLE = frozenset({*REPOSITORIES, UNSIGNED})
_FIELDS = frozenset({"url", "key", "fingerprint"})
_URL = re.compile(r"[A-Za-z0-9._~:/\[\]%+=,-]+")
_CREDENTIALS = re.compile(r"^[^/?#]*//[^/?#]*@")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_NEEDED_URL = "a base URL: http://, https:// or file://, a host or an absolute path, plain characters"


@dataclass(frozen=True)
class Mirror:
    """A mirror. `key` is the armoured text of its signing key, "" where it carries the vendor's signatures."""

    url: str
    key: str = ""
    fingerprint: str = ""


def mirrors(key: str, value: object, context: Context) -> dict[str, Mirror]:
    """Name of a repository -> its mirror, from a URL or a mapping with `url`, `key` (a file) and `fingerprint`."""
    if not isinstance(value, Mapping):
        fix = f'{key} = {{"{min(MIRRORABLE)}": "https://mirror.example/path"}}'
        raise SettingsError(Problem(key, show(value), "a mapping of repository names to base URLs", fix))
    found: dict[str, Mirror] = {}
    problems: list[Problem] = []
    for name, entry in value.items():
        try:
            found[_name(key, name)] = _mirror(f"{key}[{show(name)}]", entry, context)
        except SettingsError as error:
            problems += error.problems
    if UNSIGNED in found and found[UNSIGNED].key:
        needed = "a base URL alone: recipes are pinned by gpu_aur"
        problems.append(Problem(f"{key}[{UNSIGNED!r}]", "a signing key", needed, "remove the key"))
    if problems:
        raise SettingsError(*problems)
    return found


def bundle(key: str, value: object, _context: Context) -> str | None:
    """A folder on the host, or the base URL, of a bundle; as a URL."""
    if value is None:
        return None
    url = f"file://{value}" if isinstance(value, str) and value.startswith("/") else value
    if isinstance(url, str) and not _CREDENTIALS.match(url) and _is_base_url(url):
        return url.rstrip("/")
    needed = "a folder on the host, or the base URL of one, without credentials"
    raise SettingsError(
        Problem(
            key,
            "a value that is none" if isinstance(url, str) and "@" in url else show(value),
            needed,
            '"/srv/gpu-host-bundle"',
        )
    )


def _name(key: str, name: object) -> str:
    if isinstance(name, str) and name in MIRRORABLE:
        return name
    listed = ", ".join(sorted(MIRRORABLE))
    likely = suggest(name, MIRRORABLE) or min(MIRRORABLE)
    raise SettingsError(
        Problem(key, show(name), f"the name of a repository that can be mirrored: {listed}", f'"{likely}"')
    )


def _mirror(key: str, entry: object, context: Context) -> Mirror:
    if isinstance(entry, str):
        return Mirror(_url(key, entry))
    if not isinstance(entry, Mapping):
        fix = '{"url": "https://mirror.example/path", "key": "files/mirror.asc"}'
        raise SettingsError(Problem(key, show(entry), "a base URL, or a mapping with url and key", fix))
    unknown = [name for name in entry if not (isinstance(name, str) and name in _FIELDS)]
    if unknown:
        fix = " ".join(f'write "{suggest(name, _FIELDS) or "url"}" or remove it;' for name in unknown).rstrip(";")
        raise SettingsError(Problem(key, ", ".join(map(show, unknown)), "only url, key and fingerprint", fix))
    url = _url(key, entry.get("url"))
    text = "" if entry.get("key") is None else _key_text(key, entry["key"], context)
    return Mirror(url, text, _fingerprint(key, entry.get("fingerprint"), text))


def _url(key: str, url: object) -> str:
    if isinstance(url, str) and _CREDENTIALS.match(url):
        found = "a user name or password inside the URL"  # never printed: it may be a password
        fix = "remove it; serve the mirror without login inside the network, the file on the host is world-readable"
        raise SettingsError(Problem(key, found, "a base URL without credentials", fix))
    if not isinstance(url, str) or not _is_base_url(url):
        raise SettingsError(Problem(key, show(url), _NEEDED_URL, '"https://mirror.example/path"'))
    return url.rstrip("/")


def _is_base_url(url: str) -> bool:
    if not _URL.fullmatch(url) or len(url) > 300:
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme == "file":
        return not parts.netloc and parts.path.strip("/") != ""
    return parts.scheme in ("http", "https") and bool(host)


def _key_text(key: str, path: object, context: Context) -> str:
    needed = "the path of a file on the controller with an ASCII-armoured OpenPGP public key"
    if not isinstance(path, str) or not is_path(path):
        raise SettingsError(Problem(key, show(path), needed, '"key": "files/mirror.asc"'))
    text = context.read_file(path)
    if text is None:
        raise SettingsError(Problem(key, f"no readable file {path}", needed, "correct the path, or copy the key there"))
    if wrong := trouble(text):
        fix = f"gpg --armor --export KEY > {path}"
        raise SettingsError(Problem(key, f"{path}: {wrong}", f"{needed} that is valid", fix))
    return text


def _fingerprint(key: str, value: object, text: str) -> str:
    actual = (fingerprint_of(text) if text else None) or ""
    if value is None:
        return actual
    wanted = value.replace(" ", "").upper() if isinstance(value, str) else ""
    if not _FINGERPRINT.fullmatch(wanted):
        fix = f'"fingerprint": "{actual}"' if actual else "gpg --show-keys --with-fingerprint FILE prints it"
        raise SettingsError(Problem(key, show(value), "a full fingerprint, 40 hexadecimal digits", fix))
    if not text:
        needed = "the key's file next to its fingerprint"
        raise SettingsError(Problem(key, "a fingerprint without a key", needed, '"key": "files/mirror.asc"'))
    if wanted != actual:
        fix = "compare both with what the mirror's owner publishes; correct the one that is wrong"
        raise SettingsError(Problem(key, f"the key file holds {actual}", f"{wanted}, as fingerprint says", fix))
    return actual
