"""Checks of Docker."""

from __future__ import annotations

from tests.plan.hosts import (
    changed,
    daemon_json,
    debian_12_bare,
    installed,
)
from tests.plan.rows.case import BARE, DONE, EMPTY, ok, stop, warn

HOSTS = '{"hosts": ["unix:///var/run/docker.sock"]}'
CONTAINERS = [
    ok("no_podman_or_snap_docker", "none", BARE),
    ok("no_podman_or_snap_docker", "Docker", DONE),
    ok(
        "no_podman_or_snap_docker",
        "podman without Docker wanted",
        debian_12_bare(docker__impostor="podman"),
        profile="raw",
    ),
    stop(
        "no_podman_or_snap_docker",
        "podman",
        debian_12_bare(docker__impostor="podman"),
        "is podman",
        "apt-get purge podman-docker",
    ),
    stop("no_podman_or_snap_docker", "snap", debian_12_bare(docker__impostor="snap"), "is snap", "snap remove docker"),
    stop("no_podman_or_snap_docker", "another", debian_12_bare(docker__impostor="nerdctl"), "nerdctl"),
    ok("no_rootless_docker", "none", DONE),
    ok("no_rootless_docker", "not wanted", changed(BARE, docker__rootless=(1000,)), profile="raw"),
    warn(
        "no_rootless_docker",
        "one",
        changed(BARE, docker__rootless=(1000,)),
        "user 1000",
        "dockerd-rootless-setuptool.sh",
    ),
    ok("docker_hosts_set_once", "no hosts", BARE),
    ok("docker_hosts_set_once", "not an object", debian_12_bare(**daemon_json("[]"))),
    ok("docker_hosts_set_once", "its unit has none", debian_12_bare(docker__unit_hosts=False, **daemon_json(HOSTS))),
    ok("docker_hosts_set_once", "it runs that way", changed(DONE, **daemon_json(HOSTS))),
    ok("docker_hosts_set_once", "not wanted", debian_12_bare(**daemon_json(HOSTS)), profile="raw"),
    stop(
        "docker_hosts_set_once",
        "before the install",
        debian_12_bare(**daemon_json(HOSTS)),
        "packages bring",
        "systemctl edit",
    ),
    stop(
        "docker_hosts_set_once",
        "both",
        debian_12_bare(docker__unit_hosts=True, **daemon_json(HOSTS)),
        "so does the unit docker.service",
    ),
    ok("docker_reads_cdi", "not asked for", BARE),
    ok("docker_reads_cdi", "26.1", DONE, docker_cdi=True),
    stop("docker_reads_cdi", "20.10 to come", BARE, "Docker 20.10.24", "25.0 or newer", docker_cdi=True),
    stop("docker_reads_cdi", "24 there", changed(DONE, docker__engine="24.0.9"), "Docker 24.0.9", docker_cdi=True),
    ok("docker_at_least_19_03", "none yet", BARE),
    ok("docker_at_least_19_03", "26.1", DONE),
    ok("docker_at_least_19_03", "exactly", debian_12_bare(docker__engine="19.03.0")),
    ok("docker_at_least_19_03", "old, not wanted", debian_12_bare(docker__engine="18.09.1"), profile="raw"),
    stop("docker_at_least_19_03", "18.09", debian_12_bare(docker__engine="18.09.1"), "18.09.1", "19.03 or newer"),
    stop("docker_at_least_19_03", "old client, engine stopped", debian_12_bare(docker__client="18.06.3-ce"), "18.06.3"),
    warn("container_security_floors", "the archive's engine", BARE, "20.10.24", "29.5.1"),
    warn("container_security_floors", "the engine there", DONE, "26.1.5"),
    ok(
        "container_security_floors",
        "everything new",
        installed(
            changed(DONE, docker__engine="29.6.0", docker__compose="2.40.3", toolkit__version="1.20.0"),
            containerd="1.7.29",
            runc="1.3.3",
        ),
    ),
    warn(
        "container_security_floors",
        "every part is named",
        installed(
            changed(DONE, docker__compose="2.26.1", toolkit__version="1.17.8"), containerd="1.7.24", runc="1.1.15"
        ),
        "docker 26.1.5",
        "containerd 1.7.24",
        "runc 1.1.15",
        "compose 2.26.1",
        "container-toolkit 1.17.8",
        "CVE-2026-24260",
    ),
    stop(
        "container_security_floors",
        "a toolkit that lets containers out",
        installed(changed(DONE, toolkit__version="1.17.7"), nvidia_container_toolkit="1.17.7-1"),
        "container-toolkit 1.17.7",
        "1.17.8 or newer: CVE-2025-23266",
        "apt-get update && apt-get install",
        "nvidia-container-toolkit",
    ),
    warn(
        "container_security_floors",
        "a runc that the distribution mends",
        installed(DONE, runc="1.1.5+ds1-1+deb12u1"),
        "runc 1.1.5",
        "may have backported fixes",
    ),
    ok("container_security_floors", "not wanted", BARE, profile="raw"),
    ok("container_parts_not_known_bad", "nothing there yet", BARE),
    ok("container_parts_not_known_bad", "not part of the profile", BARE, profile="raw"),
    ok("container_parts_not_known_bad", "unsupported distribution", EMPTY),
    ok("container_parts_not_known_bad", "fixed", changed(DONE, toolkit__version="1.18.1", docker__engine="25.0.3")),
    ok(
        "container_parts_not_known_bad",
        "CDI that the engine reads",
        changed(DONE, toolkit__version="1.20.0", docker__engine="26.1.0"),
    ),
    warn(
        "container_parts_not_known_bad",
        "CDI that the engine cannot read",
        changed(DONE, toolkit__version="1.19.0", docker__engine="26.0.2"),
        "container-toolkit 1.19.0",
        "Docker reads from 26.1 on",
    ),
    warn(
        "container_parts_not_known_bad",
        "a release with a fault of its own",
        changed(DONE, toolkit__version="1.18.0"),
        "container-toolkit 1.18.0: it writes containerd's configuration",
        "1.19.1 or newer",
    ),
    ok("daemon_json_readable", "none", BARE),
    ok("daemon_json_readable", "ours", DONE),
    ok(
        "daemon_json_readable",
        "damaged, and not ours to edit",
        debian_12_bare(**daemon_json("{")),
        container_runtime=None,
    ),
    stop(
        "daemon_json_readable", "Docker unknown", debian_12_bare(docker__daemon_json_exists=None), "could not be read"
    ),
    stop("daemon_json_readable", "unreadable", debian_12_bare(**daemon_json(None)), "could not be read as text"),
    stop("daemon_json_readable", "no content at all", debian_12_bare(docker__daemon_json_exists=True), "as text"),
    *(
        ok("daemon_json_readable", name, debian_12_bare(**daemon_json(text)))
        for name, text in [
            ("empty", ""),
            ("blank", " \n\n"),
            ("an empty object", "{}"),
            ("other keys", '{"log-driver": "journald", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}'),
        ]
    ),
    *(
        stop("daemon_json_readable", name, debian_12_bare(**daemon_json(text)), word)
        for name, text, word in [
            ("a list", "[]", "holds a list, not an object"),
            ("null", "null", "holds null, not an object"),
            ("a number", "1", "holds a number, not an object"),
            ("a string", '"debug"', "holds a string, not an object"),
            ("a byte order mark", '\ufeff{"debug": true}', "BOM"),
            ("a comment", '{\n  // debugging\n  "debug": true\n}', "line 2"),
            ("a trailing comma", '{"debug": true,}', "not valid JSON"),
            ("single quotes", "{'debug': true}", "not valid JSON"),
            ("a key twice", '{"runtimes": {}, "runtimes": {"a": {"path": "b"}}}', "'runtimes'"),
            ("a key twice, deep inside", '{"log-opts": {"a": "1", "a": "2"}}', "'a'"),
            ("two documents", '{"debug": true}\n{"debug": false}', "not valid JSON"),
            ("cut off", '{"debug": tr', "not valid JSON"),
            ("runtimes as a list", '{"runtimes": ["nvidia"]}', '"runtimes" is a list, not an object'),
            ("runtimes as null", '{"runtimes": null}', '"runtimes" is null, not an object'),
            ("not a number", '{"a": NaN}', "NaN"),
            ("a number without end", '{"a": 1e999}', "1e999"),
            ("nested without end", '{"a":' * 100_000, "nested too deeply"),
            ("nested deeper than can be written", '{"a":' * 990 + "1" + "}" * 990, "nested too deeply"),
        ]
    ),
]
