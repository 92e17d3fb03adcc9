"""The stand-in of Grafana that the test hosts run: who is let in, what it serves, and what its page shows."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/bed/programs/grafana"
DASHBOARDS = ROOT / "deploys/knowledge/dashboards"
LOGIN = "ann:s3cret"
LABELS = {"instance": "host:9400", "job": "gpu", "gpu": "0", "uuid": "3f0c1a52"}

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the stand-in wants Python 3.11")


def said(query: str, mood: str) -> dict[str, Any]:
    """What Prometheus answers to the words of a request."""
    if mood == "broken":
        return {"status": "error", "errorType": "execution", "error": "too many <samples>"}
    words = {key: values[0] for key, values in parse_qs(query).items()}
    rows: list[dict[str, Any]] = []
    if mood == "full" and "start" in words:
        seconds = range(int(words["start"]), int(words["end"]) + 1, int(words["step"]))
        rows = [{"metric": LABELS, "values": [[second, "0.5"] for second in seconds]}]
    elif mood == "full":
        rows = [{"metric": {}, "value": [int(words["time"]), "7"]}]
    return {"status": "success", "data": {"resultType": "matrix" if "start" in words else "vector", "result": rows}}


@contextmanager
def prometheus(mood: str) -> Iterator[str]:
    """The address of a Prometheus that answers everything with the same: "full", "empty" or "broken"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said(urlsplit(self.path).query, mood)).encode()
            self.send_response(422 if mood == "broken" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def provisioned(folder: Path, dashboard: str, url: str) -> dict[str, str]:
    """The environment of a Grafana that has one data source and one of our dashboards."""
    for name in ("datasources", "dashboards", "boards"):
        (folder / name).mkdir(parents=True)
    source = {"name": "Prometheus", "uid": "gpu-host-prometheus", "type": "prometheus", "access": "proxy", "url": url}
    provider = {"name": "gpu-host", "type": "file", "options": {"path": str(folder / "boards")}}
    sources = [{**source, "isDefault": True, "editable": False}]
    (folder / "datasources/a.yaml").write_text(json.dumps({"apiVersion": 1, "datasources": sources}))
    (folder / "dashboards/a.yaml").write_text(json.dumps({"apiVersion": 1, "providers": [provider]}))
    (folder / "boards/a.json").write_text((DASHBOARDS / dashboard).read_text())
    (folder / "password").write_text("s3cret\n")
    return {
        "PATH": os.environ["PATH"],
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": "0",
        "GF_SECURITY_ADMIN_USER": "ann",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": str(folder / "password"),
        "GF_PATHS_PROVISIONING": str(folder),
    }


@contextmanager
def grafana(environment: dict[str, str]) -> Iterator[str]:
    words = [sys.executable, str(PROGRAM)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, env=environment, text=True, stdout=subprocess.PIPE, stderr=quiet) as process:
        assert process.stdout
        try:
            yield f"http://{process.stdout.readline().split()[-1]}"
        finally:
            process.terminate()


def get(url: str, login: str = LOGIN) -> tuple[int, str]:
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def refused(environment: dict[str, str]) -> str:
    """What it says when it does not start."""
    words = [sys.executable, str(PROGRAM)]
    run = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=10, check=False)
    assert run.returncode == 1
    return run.stderr


def shown(page: str) -> dict[int, str]:
    """Panel -> its part of the page."""
    return {
        int(number): text for number, text in re.findall(r'<section id="panel-(\d+)"(.*?)</section>', page, re.DOTALL)
    }


def panels(dashboard: str) -> dict[int, dict[str, Any]]:
    return {panel["id"]: panel for panel in json.loads((DASHBOARDS / dashboard).read_text())["panels"]}


def test_starts_only_with_a_password_and_files_that_it_can_read(tmp_path: Path) -> None:
    environment = provisioned(tmp_path, "gpu-dcgm.json", "http://127.0.0.1:9")
    bare = {key: value for key, value in environment.items() if "PASSWORD" not in key}
    assert "no password" in refused(bare)
    (tmp_path / "datasources/b.yaml").write_text("apiVersion: 1\ndatasources: []\n")
    assert "b.yaml" in refused(environment)


def test_lets_in_who_has_the_password(tmp_path: Path) -> None:
    with grafana(provisioned(tmp_path, "gpu-dcgm.json", "http://127.0.0.1:9")) as base:
        status, health = get(f"{base}/api/health", "")
        assert (status, json.loads(health)) == (200, {"database": "ok", "version": "stand-in"})
        for path in ("/api/datasources", "/d/gpu-host-gpus", "/api/nothing"):
            assert [get(base + path, login)[0] for login in ("", "ann:wrong", "admin:s3cret")] == [401, 401, 401]
        assert get(f"{base}/api/nothing")[0] == 404


def test_serves_the_data_source_and_the_dashboard(tmp_path: Path) -> None:
    with prometheus("full") as url, grafana(provisioned(tmp_path, "gpu-nvml.json", url)) as base:
        source = json.loads(get(f"{base}/api/datasources/uid/gpu-host-prometheus")[1])
        assert (source["url"], source["isDefault"], source["readOnly"]) == (url, True, True)
        assert json.loads(get(f"{base}/api/datasources")[1]) == [source]
        assert [found["uid"] for found in json.loads(get(f"{base}/api/search")[1])] == ["gpu-host-gpus"]
        board = json.loads(get(f"{base}/api/dashboards/uid/gpu-host-gpus")[1])
        assert board["dashboard"] == json.loads((DASHBOARDS / "gpu-nvml.json").read_text())
        assert board["meta"] == {"provisioned": True}
        proxy = f"{base}/api/datasources/proxy/uid/gpu-host-prometheus/api/v1"
        assert json.loads(get(f"{proxy}/query?query=up&time=5")[1])["data"]["result"][0]["value"] == [5, "7"]
        assert get(f"{proxy}/labels")[0] == 404


@pytest.mark.parametrize("dashboard", ["gpu-dcgm.json", "gpu-nvml.json"])
def test_the_page_shows_every_panel_with_its_data(tmp_path: Path, dashboard: str) -> None:
    with prometheus("full") as url, grafana(provisioned(tmp_path, dashboard, url)) as base:
        status, page = get(f"{base}/d/gpu-host-gpus")
    found, wanted = shown(page), panels(dashboard)
    assert (status, set(found)) == (200, set(wanted))
    assert "drawn by the tests' stand-in of Grafana" in page
    for number, panel in wanted.items():
        assert f"<h2>{panel['title']}</h2>" in found[number]
        lines = found[number].count('<path class="line"')
        assert lines == (len(panel["targets"]) if panel["type"] == "timeseries" else 0), panel["title"]
        assert lines or re.search(r"<b style=[^>]*>7(00%|%| °C| W)?</b>", found[number]), panel["title"]


@pytest.mark.parametrize(("mood", "text"), [("empty", "No data"), ("broken", "too many &lt;samples&gt;")])
def test_the_page_says_why_a_panel_is_bare(tmp_path: Path, mood: str, text: str) -> None:
    with prometheus(mood) as url, grafana(provisioned(tmp_path, "gpu-dcgm.json", url)) as base:
        found = shown(get(f"{base}/d/gpu-host-gpus")[1])
    assert set(found) == set(panels("gpu-dcgm.json"))
    assert [number for number, part in found.items() if text not in part] == []
