"""Where the result of a machine that provisions itself goes: a folder, an HTTP endpoint, or a store of objects."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploys.plan.pull import Target

# Seconds for one request, and before each further try; a collector that restarts must not cost a fleet its results.
REQUEST_LIMIT = 30
WAITS = (2.0, 8.0, 20.0)
UPLOAD_LIMIT = 300


class DeliveryError(Exception):
    """A result that did not arrive; the text says where, why, and what would help."""


def deliver(text: str, target: Target, node: str, token_file: str | None, waits: tuple[float, ...] = WAITS) -> str:
    """Bring `text` to the target; returns the place. `waits`: seconds before each further try. Raises DeliveryError."""
    if target.kind == "folder":
        return _to_folder(text, Path(target.of(node)))
    if target.kind == "store":
        return _to_store(text, target, node)
    return _to_http(text, target, node, token_file, waits)


def _to_folder(text: str, path: Path) -> str:
    """Written whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".result-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise DeliveryError(f"{path}: {error.strerror}") from None
    return str(path)


def _to_store(text: str, target: Target, node: str) -> str:
    """By the store's own tool, which has the machine's credentials."""
    with tempfile.TemporaryDirectory(prefix="gpu-host-") as folder:
        file = Path(folder) / "result.json"
        file.write_text(text, encoding="utf-8")
        command = target.upload(str(file), node)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=UPLOAD_LIMIT, check=False)
        except FileNotFoundError:
            raise DeliveryError(
                f"{target.of(node)}: no {command[0]} on this machine; install it, or use https://"
            ) from None
        except subprocess.TimeoutExpired:
            raise DeliveryError(f"{target.of(node)}: {command[0]} took more than {UPLOAD_LIMIT} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DeliveryError(f"{target.of(node)}: {command[0]} ended with {done.returncode}: {''.join(said)}")
    return target.of(node)


def _to_http(text: str, target: Target, node: str, token_file: str | None, waits: tuple[float, ...]) -> str:
    """Tried again where the network or the server is at fault, not where the request is."""
    request = urllib.request.Request(target.of(node), data=text.encode(), method=target.method)  # noqa: S310 - http(s) only
    request.add_header("Content-Type", "application/json")
    if token_file:
        try:
            request.add_unredirected_header("Authorization", f"Bearer {Path(token_file).read_text().strip()}")
        except OSError as error:
            raise DeliveryError(f"{token_file}: {error.strerror}") from None
    why = ""
    for wait in (*waits, None):
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_LIMIT):  # noqa: S310
                return request.full_url
        except urllib.error.HTTPError as error:
            why = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            why = str(getattr(error, "reason", error))
        if wait is not None:
            time.sleep(wait)
    raise DeliveryError(f"{request.full_url}: {why}")
