"""Results are delivered: to a folder, to a real HTTP server on this machine, by the tool of a store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploys.plan.pull import Target
from deploys.support.deliver import DeliveryError, deliver

AT_ONCE = (0.0, 0.0)
ROOT = Path(__file__).resolve().parents[2]


class Collector(ThreadingHTTPServer):
    """Answers with `answers` in turn (200 when they are used up), and keeps what it was told."""

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.heard: list[tuple[str, str, str | None, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.heard.append((self.command, self.path, self.headers.get("Authorization"), body))
        code = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = _take  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Collector(*getattr(request, "param", ()))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_folder_holds_the_newest_result_whole(tmp_path: Path) -> None:
    target = Target("folder", str(tmp_path / "results"))
    for text in ("old\n", "new\n"):
        place = deliver(text, target, "gpu-01", None)
    assert Path(place).read_text() == "new\n"
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["gpu-01.json"]


def test_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match=r"file/gpu-01.json: .*(Not a directory|File exists)"):
        deliver("x", Target("folder", str(tmp_path / "file")), "gpu-01", None)


def test_endpoint_gets_the_result_and_the_token(collector: Collector, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    deliver("{}", Target("http", f"{collector.url}/in"), "gpu-01", str(token))
    deliver("{}", Target("http", collector.url + "/{host}.json"), "gpu-01", None)
    assert collector.heard == [("POST", "/in", "Bearer secret", "{}"), ("PUT", "/gpu-01.json", None, "{}")]


@pytest.mark.parametrize("collector", [(503, 429)], indirect=True)
def test_server_at_fault_is_asked_again(collector: Collector) -> None:
    deliver("{}", Target("http", collector.url), "gpu-01", None, AT_ONCE)
    assert len(collector.heard) == 3


@pytest.mark.parametrize("collector", [(503,) * 9], indirect=True)
def test_server_that_stays_at_fault_is_given_up(collector: Collector) -> None:
    with pytest.raises(DeliveryError, match="the server says 503"):
        deliver("{}", Target("http", collector.url), "gpu-01", None, AT_ONCE)
    assert len(collector.heard) == 3


@pytest.mark.parametrize("collector", [(403,) * 9], indirect=True)
def test_request_at_fault_is_not_repeated(collector: Collector) -> None:
    with pytest.raises(DeliveryError, match="the server says 403"):
        deliver("{}", Target("http", collector.url), "gpu-01", None, AT_ONCE)
    assert len(collector.heard) == 1


def test_nobody_there(collector: Collector) -> None:
    url = collector.url
    collector.server_close()
    with pytest.raises(DeliveryError, match=rf"{url}: .*refused"):
        deliver("{}", Target("http", url), "gpu-01", None, AT_ONCE)


def test_store_without_its_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        DeliveryError, match=r"s3://bucket/gpu-01.json: no aws on this machine; install it, or use https://"
    ):
        deliver("{}", Target("store", "s3://bucket"), "gpu-01", None)


def test_store_by_its_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for `aws` that copies to a folder, and one that refuses."""
    tool = tmp_path / "aws"
    tool.write_text(
        f'#!/bin/sh\nset -e\n[ "$1 $2 $3" = "s3 cp --only-show-errors" ]\ncp "$4" "{tmp_path}/${{5##*/}}"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert deliver("{}\n", Target("store", "s3://bucket/fleet"), "gpu-01", None) == "s3://bucket/fleet/gpu-01.json"
    assert (tmp_path / "gpu-01.json").read_text() == "{}\n"
    tool.write_text("#!/bin/sh\necho 'Unable to locate credentials' >&2\nexit 253\n")
    with pytest.raises(DeliveryError, match="aws ended with 253: Unable to locate credentials"):
        deliver("{}", Target("store", "s3://bucket/fleet"), "gpu-01", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "No such file or directory; needed JSON such as"), ('{"result": []}', "result means nothing here")],
)
def test_pull_names_a_configuration_that_cannot_be_used(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "pull.json"
    if text is not None:
        file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "deploys.support.pull", "--config", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert f"provision pull: {file}: {says}" in done.stderr
