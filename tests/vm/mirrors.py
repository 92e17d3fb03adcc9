"""Where this machine gets its Debian packages; the guest uses the same archive."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.vm.commands import VmError, run

# apt's own answer to "what do you read": one line per index, both source formats parsed by apt itself.
_FORMAT = "$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(COMPONENT)"
# Settings that a frozen or proxied archive needs wherever it is used.
_OPTIONS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy", "Acquire::https::Proxy")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Mirrors:
    """Base addresses of the Debian archive and of its security archive ("" where the machine has none)."""

    archive: str
    security: str
    options: tuple[tuple[str, str], ...] = ()

    def sources(self, suite: str, components: tuple[str, ...] = ("main",)) -> str:
        """A deb822 sources file for `suite`."""
        stanzas = [(self.archive, f"{suite} {suite}-updates")]
        if self.security:
            stanzas.append((self.security, f"{suite}-security"))
        return "\n".join(
            f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: {' '.join(components)}\nSigned-By: {KEYRING}\n"
            for uri, suites in stanzas
        )

    def apt_conf(self) -> str:
        """The options as lines of apt.conf; "" when there are none."""
        return "".join(f'{name} "{value}";\n' for name, value in self.options)


def this_machine() -> Mirrors:
    """The archive of this machine's apt configuration, or of GPU_HOST_TEST_MIRROR and GPU_HOST_TEST_SECURITY_MIRROR.

    Raises VmError when there is no Debian archive in either.
    """
    options = tuple((name, value) for name in _OPTIONS if (value := _option(name)))
    if archive := os.environ.get("GPU_HOST_TEST_MIRROR"):
        return Mirrors(archive, os.environ.get("GPU_HOST_TEST_SECURITY_MIRROR", ""), options)
    listing = run("apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages").stdout
    return from_listing(listing, options)


def from_listing(listing: str, options: tuple[tuple[str, str], ...] = ()) -> Mirrors:
    """Mirrors out of lines `uri|release|origin|component`; origin is unexpanded until the first `apt-get update`."""
    archive = security = ""
    for line in listing.splitlines():
        uri, release, origin, component = (*line.split("|"), "", "", "")[:4]
        if component != "main" or not (origin == "Debian" or origin.startswith("$(")):
            continue
        if release.endswith("-security"):
            security = security or uri
        elif "-" not in release:
            archive = archive or uri
    if not archive:
        raise VmError(
            "no Debian archive (component main) in this machine's apt configuration; "
            "set GPU_HOST_TEST_MIRROR=<base address of a Debian archive> and run again"
        )
    return Mirrors(archive.rstrip("/"), security.rstrip("/"), options)


def _option(name: str) -> str:
    dump = run("apt-config", "dump", "--format", "%v%n", name).stdout
    return dump.strip()


def nameservers() -> tuple[str, ...]:
    """Name servers that a guest can reach: loopback ones are this machine's own, so their upstreams are taken."""
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        lines = Path(path).read_text().splitlines() if Path(path).exists() else []
        words = [line.split() for line in lines]
        found = tuple(w[1] for w in words if len(w) > 1 and w[0] == "nameserver" and not w[1].startswith("127."))
        if found:
            return found
    raise VmError("no name server that a guest could reach in /etc/resolv.conf; put one there and run again")
