"""An HTTP proxy that asks for a login, and knows one name that nobody else can resolve."""

from __future__ import annotations

import base64
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Way:
    """A running proxy: where it is, and which addresses it was asked for, with and without a login."""

    address: str
    asked: list[str] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)


@contextmanager
def running(address: str, login: str, name: str, base_url: str) -> Iterator[Way]:
    """Serve on `address`: what is asked of `name` comes from `base_url`. `login` is "USER:PASSWORD"."""
    wanted = "Basic " + base64.b64encode(login.encode()).decode()
    found = Way("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if self.headers.get("Proxy-Authorization") != wanted:
                found.turned_away.append(self.path)
                self.send_response(407)
                self.send_header("Proxy-Authenticate", 'Basic realm="test"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            found.asked.append(self.path)
            if parts.hostname != name:
                self.send_error(502)
                return
            try:
                with urllib.request.urlopen(f"{base_url}{parts.path}", timeout=60) as answer:
                    body = answer.read()
            except OSError:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  the name that http.server looks for

        def log_message(self, *_: object) -> None:
            """The lists above are the log."""

    server = ThreadingHTTPServer((address, 0), Handler)
    found.address = f"{address}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
