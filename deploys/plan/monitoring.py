"""DECIDE: the monitoring of a host as a Compose network: Prometheus, Grafana and an exporter of the GPUs. Pure.

Prometheus and Grafana share the network of the host and listen on its loopback address: model services listen there too, and nothing else
could read their metrics without opening a port. All files are JSON, which is YAML as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal

from deploys.knowledge.gpus import is_data_centre
from deploys.knowledge.monitoring import (
    DATA_SOURCE,
    DCGM,
    EXPORTER_PORTS,
    GPU_JOB,
    GRAFANA,
    GRAFANA_UID,
    NVML,
    PROMETHEUS,
    dashboard,
)
from deploys.knowledge.paths import CONFIG_LABEL, MONITORING_FOLDER, SERVICE_LABEL
from deploys.plan.files import FileChange
from deploys.plan.gpu_access import ALL, Access, compose_keys
from deploys.plan.machine import Machine
from deploys.plan.service import Service

FOLDER = MONITORING_FOLDER
PROJECT = "gpu-host-monitoring"
COMPOSE_FILE = f"{FOLDER}/compose.yaml"
PASSWORD_FILE = f"{FOLDER}/grafana-password"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Monitoring:
    """Monitoring as it is wanted. Images "" are those of the toolkit; `archive` is a tar on the host that holds them all.

    `scrape` maps a job to "HOST:PORT/PATH". `directory`: a folder on the controller with a Compose file of the user's, deployed instead.
    """

    exporter: Literal["auto", "dcgm", "nvml"] = "auto"
    prometheus_image: str = ""
    grafana_image: str = ""
    exporter_image: str = ""
    archive: str = ""
    prometheus_port: int = 9090
    grafana_port: int = 3000
    exporter_port: int = 9400
    retention: str = "15d"
    scrape: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""


@dataclass(frozen=True)
class Stack:
    """What the host gets: files, container -> image, container -> digest of everything that it is made from."""

    files: tuple[FileChange, ...]
    images: Mapping[str, str]
    digests: Mapping[str, str]


def exporter_of(wanted: Monitoring, machine: Machine) -> str:
    """DCGM where it knows every GPU, else the exporter that asks nvidia-smi."""
    if wanted.exporter != "auto":
        return wanted.exporter
    return "dcgm" if machine.gpus and all(is_data_centre(g.device, g.class_code) for g in machine.gpus) else "nvml"


def targets(wanted: Monitoring, services: Mapping[str, Service]) -> dict[str, str]:
    """Job -> "HOST:PORT/PATH": the GPUs, model services that say where their metrics are, and what the user names."""
    own = {s.name: _service_target(s) for s in services.values() if s.metrics}
    return {GPU_JOB: f"{LOOPBACK}:{wanted.exporter_port}/metrics", **own, **wanted.scrape}


def _service_target(service: Service) -> str:
    """`metrics` is "PORT/PATH" inside; a container's port is where it was published."""
    port, _, path = service.metrics.partition("/")
    address = service.ports.get(int(port), "") if service.kind == "container" else ""
    host, _, published = address.rpartition(":")
    everywhere = not host or ip_address(host.strip("[]")).is_unspecified
    return f"{LOOPBACK if everywhere else host}:{published or port}/{path}"


def make_stack(wanted: Monitoring, machine: Machine, services: Mapping[str, Service], access: Access) -> Stack:
    """Everything of the network for a host whose containers get their GPU that way."""
    exporter = exporter_of(wanted, machine)
    configuration = {
        "prometheus": (_file("prometheus.yml", _prometheus(targets(wanted, services)), "what is scraped"),),
        "grafana": (
            _file("grafana/datasources/prometheus.yaml", _data_source(wanted), "Grafana's data source"),
            _file("grafana/dashboards/gpu-host.yaml", _provider(), "where Grafana finds its dashboards"),
            FileChange(f"{FOLDER}/dashboards/gpus.json", dashboard(exporter), "the dashboard of the GPUs"),
        ),
        "exporter": (),
    }
    parts = {
        "prometheus": _prometheus_service(wanted),
        "grafana": _grafana_service(wanted),
        "exporter": _exporter_service(wanted, exporter, access, len(machine.gpus)),
    }
    digests = {name: _digest(part, configuration[name]) for name, part in parts.items()}
    labelled = {
        name: {
            **part,
            "container_name": container(name),
            "restart": "unless-stopped",
            "labels": {SERVICE_LABEL: container(name), CONFIG_LABEL: digests[name]},
        }
        for name, part in parts.items()
    }
    document = {"name": PROJECT, "services": labelled, "volumes": {"prometheus": {}, "grafana": {}}}
    files = (*(f for group in configuration.values() for f in group), _file("compose.yaml", document, "the network"))
    return Stack(
        files,
        {container(name): part["image"] for name, part in parts.items()},
        {container(name): digest for name, digest in digests.items()},
    )


def _image(wanted: Monitoring, own: str, default: str) -> str:
    """The image as named, or the default one. `docker load` drops digests, so an archive is asked by its tag."""
    return own or (default.partition("@")[0] if wanted.archive else default)


def container(name: str) -> str:
    return f"gpu-host-{name}"


def _file(name: str, document: Mapping[str, Any], why: str) -> FileChange:
    return FileChange(f"{FOLDER}/{name}", json.dumps(document, indent=2) + "\n", why)


def _digest(part: Mapping[str, Any], files: tuple[FileChange, ...]) -> str:
    text = json.dumps([part, [[f.path, f.content] for f in files]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _prometheus(jobs: Mapping[str, str]) -> dict[str, Any]:
    rows = []
    for job, target in jobs.items():
        address, _, path = target.partition("/")
        rows.append({"job_name": job, "metrics_path": f"/{path}", "static_configs": [{"targets": [address]}]})
    return {"global": {"scrape_interval": "15s"}, "scrape_configs": rows}


def _prometheus_service(wanted: Monitoring) -> dict[str, Any]:
    return {
        "image": _image(wanted, wanted.prometheus_image, PROMETHEUS[0]),
        "network_mode": "host",
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={wanted.retention}",
            f"--web.listen-address={LOOPBACK}:{wanted.prometheus_port}",
        ],
        "volumes": [f"{FOLDER}/prometheus.yml:/etc/prometheus/prometheus.yml:ro", "prometheus:/prometheus"],
    }


def _data_source(wanted: Monitoring) -> dict[str, Any]:
    source = {
        "name": "Prometheus",
        "uid": DATA_SOURCE,
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://{LOOPBACK}:{wanted.prometheus_port}",
        "isDefault": True,
        "editable": False,
    }
    return {"apiVersion": 1, "datasources": [source]}


def _provider() -> dict[str, Any]:
    provider = {"name": "gpu-host", "type": "file", "options": {"path": "/etc/grafana/gpu-host"}}
    return {"apiVersion": 1, "providers": [provider]}


def _grafana_service(wanted: Monitoring) -> dict[str, Any]:
    return {
        "image": _image(wanted, wanted.grafana_image, GRAFANA[0]),
        "network_mode": "host",
        "user": f"{GRAFANA_UID}:0",
        "environment": {
            "GF_SERVER_HTTP_ADDR": LOOPBACK,
            "GF_SERVER_HTTP_PORT": str(wanted.grafana_port),
            "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana-password",
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_PATHS_PROVISIONING": "/etc/grafana/provisioning",
        },
        "volumes": [
            f"{FOLDER}/grafana:/etc/grafana/provisioning:ro",
            f"{FOLDER}/dashboards:/etc/grafana/gpu-host:ro",
            f"{PASSWORD_FILE}:/run/secrets/grafana-password:ro",
            "grafana:/var/lib/grafana",
        ],
    }


def _exporter_service(wanted: Monitoring, exporter: str, access: Access, count: int) -> dict[str, Any]:
    """The exporter sees every GPU. DCGM reads counters that need this capability (source: DCGM Exporter documentation)."""
    image = _image(wanted, wanted.exporter_image, (DCGM if exporter == "dcgm" else NVML)[0])
    keys = compose_keys(access, ALL, count)
    capabilities = {"cap_add": ["SYS_ADMIN"]} if exporter == "dcgm" else {}
    return {
        "image": image,
        "ports": [f"{LOOPBACK}:{wanted.exporter_port}:{EXPORTER_PORTS[exporter]}"],
        **capabilities,
        **keys,
    }
