"""The machine's own apt configuration: where its Debian archive is, so that test hosts use the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed.shell import BedError, run

APT = Path("/etc/apt")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NAMES = ("bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable")


@dataclass(frozen=True)
class Entry:
    """One `deb` source."""

    uri: str
    suite: str


@dataclass(frozen=True)
class Archive:
    """Base URIs of the Debian archive and of its security archive, and `Acquire::http::Proxy` ("" for none)."""

    main: str
    security: str
    proxy: str = ""


def one_line(text: str) -> Iterator[Entry]:
    """Entries of a sources.list(5) file in one-line style."""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.partition("#")[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield Entry(words[1].rstrip("/"), words[2])


def deb822(text: str) -> Iterator[Entry]:
    """Entries of a sources.list(5) file in deb822 style; disabled stanzas are left out."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Entry(uri.rstrip("/"), suite)


def machine_entries(apt: Path = APT) -> list[Entry]:
    """Every enabled `deb` source of the machine."""
    entries: list[Entry] = []
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            entries += one_line(path.read_text())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        entries += deb822(path.read_text())
    return entries


def choose(entries: Iterable[Entry]) -> Archive:
    """The archive and security URIs among the entries. Raises BedError when the archive is not there."""
    main = security = ""
    for entry in entries:
        name, _, rest = entry.suite.partition("-")
        if name not in NAMES:
            continue
        if rest == "security":
            security = security or entry.uri
        elif rest in ("", "updates"):
            main = main or entry.uri
    if not main or not security:
        raise BedError(
            f"found archive {main or 'none'} and security archive {security or 'none'} in {APT}; test hosts need both: "
            "add the Debian archive and its -security suite to the apt sources of this machine"
        )
    return Archive(main, security)


def machine_archive() -> Archive:
    """The Debian archive that this machine uses. Raises BedError."""
    found = choose(machine_entries())
    proxy = run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]).stdout.strip()
    return Archive(found.main, found.security, proxy.partition("=")[2].strip("'\""))


def release_date(uri: str, suite: str) -> str:
    """The `Date` of a suite's InRelease file as the archive serves it now; "" when it cannot be fetched."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "InRelease"
        url = f"{uri}/dists/{suite}/InRelease"
        run(["/usr/lib/apt/apt-helper", "download-file", url, str(target)], check=False, timeout=60)
        text = target.read_text(errors="replace") if target.exists() else ""
    found = re.search(r"^Date: (.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
