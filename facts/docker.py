"""Docker: client, engine, runtimes, Compose, daemon.json, and commands that only look like Docker.

The engine is asked only when it runs: asking through its socket would start it (source: docker.socket, systemd).
"""

from __future__ import annotations

import json
import re
from typing import Any

from deploys.knowledge.paths import DAEMON_JSON
from deploys.plan.machine import Docker
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, version_in

_FIELDS = (
    "ServerVersion",
    "DefaultRuntime",
    "CgroupDriver",
    "ContainersRunning",
    "ContainersPaused",
    "LiveRestoreEnabled",
)
# Names only: since Docker 25 each runtime carries kilobytes about its features. The name "" ends the list.
_RUNTIMES = '"Runtimes":{ {{range $name, $_ := .Runtimes}}{{json $name}}:1,{{end}}"":0}'
_FORMAT = ",".join([*(f'"{field}":{{{{json .{field}}}}}' for field in _FIELDS), _RUNTIMES])
# Clients since 25 also say this, and with it what `docker --version` and `docker compose version` would.
_MORE = (
    ',"CDISpecDirs":{{json .CDISpecDirs}},"Client":{{json .ClientInfo.Version}}'
    ',"Compose":"{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Version}}{{end}}{{end}}"'
)

_SCRIPT = (
    f"config={DAEMON_JSON} format='{_FORMAT}' more='{_MORE}'\n"
    r"""
echo looked
if [ -e "$config" ] || [ -L "$config" ]; then echo config-exists; show 64000 "$config"; fi
[ -d "${config%/*}" ] && [ ! -x "${config%/*}" ] && echo config-hidden
running() {
  if [ -d /run/systemd/system ] && systemctl is-active --quiet docker.service; then return 0; fi
  comm=; [ -n "$pid" ] && [ -r "/proc/$pid/comm" ] && read -r comm <"/proc/$pid/comm"
  [ "$comm" = dockerd ]
}
# dockerd writes no newline, at which `read` fails and has read nevertheless.
pid=; [ -r /run/docker.pid ] && read -r pid </run/docker.pid
if have docker-compose; then
  case $(real "$(command -v docker-compose)") in /snap/*|*/snap) ;;
    *) timeout 10 docker-compose --version 2>/dev/null | head -n 1 | tag compose-program ;; esac
fi
for s in /run/user/*/docker.sock; do [ -S "$s" ] && s=${s%/docker.sock} && echo "rootless ${s##*/}"; done
docker=$(command -v docker) || docker=
[ -z "$docker" ] && [ -e /snap/bin/docker ] && docker=/snap/bin/docker
[ -n "$docker" ] || { echo absent; exit 0; }
target=$(real "$docker")
case $docker:$target in
  /snap/*|*:/snap/*|*/bin/snap) echo 'impostor snap'; exit 0 ;;
  *:*/podman*) echo 'impostor podman'; exit 0 ;;
esac
if [ "$(head -c 2 "$target" | tr -d '\0')" = '#!' ] && grep -qi podman "$target"; then echo 'impostor podman'; exit 0; fi
client() {
  timeout 10 docker --version 2>&1 | head -n 5 | tag client
  timeout 10 docker compose version 2>/dev/null | head -n 1 | tag compose
}
systemctl show -p ExecStart --value docker.service | tag unit
running || { client; echo engine-down; exit 0; }
[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && { printf 'cmdline '; tr '\0\n' '  ' <"/proc/$pid/cmdline"; echo; }
# dockerd looks for the hook of --gpus once, when it starts; the time of its pid file is that of its start.
hook=$(command -v nvidia-container-runtime-hook) && [ -e /run/docker.pid ] &&
  [ "$(stat -L -c %Z "$hook")" -gt "$(stat -c %Y /run/docker.pid)" ] && echo hook-late
ask() { timeout 30 docker -H unix:///var/run/docker.sock info --format "{$1}" 2>&1; }
info=$(ask "$format$more")
# Older ones have no such fields.
case $info in *"can't evaluate"*) info=$(ask "$format") ;; esac
case $info in *'"Client":"'[0-9]*) ;; *) client ;; esac
printf '%s\n' "$info" | head -n 20 | cut -c 1-8000 | tag info
case $info in *'"ServerVersion":"'[0-9]*) ;; *) exit 0 ;; esac
case $info in *'"ContainersRunning":0,"ContainersPaused":0,'*) echo gpu-asked; exit 0 ;; esac
engine() { timeout 8 docker -H unix:///var/run/docker.sock "$@" 2>/dev/null; }
ids=$(engine ps -q --no-trunc) || exit 0
[ -n "$ids" ] || { echo gpu-asked; exit 0; }
shown=$(engine inspect --format '{{.ID}} {{.Name}}|{{.HostConfig.Runtime}} {{json .HostConfig.DeviceRequests}} {{json .HostConfig.Devices}}' $ids) || exit 0
echo gpu-asked
printf '%s\n' "$shown" | grep -i -e '|.*nvidia' -e '|.*"gpu"' | cut -d '|' -f 1 | sed 's/^[^ ]* //' | tag gpu-container
printf '%s\n' "$shown" | cut -d '|' -f 1 | head -n 500 | tag container
exit 0
"""
)


def parse(text: str) -> Docker:
    """The record of Docker; everything about the engine is None where it runs but did not answer."""
    tagged = Tagged(text)
    if "looked" not in tagged:
        return Docker()
    banner = " ".join(tagged.all("client"))
    impostor = tagged.first("impostor") or ("podman" if "podman" in banner.lower() else "")
    info = _json(tagged.all("info"))
    told = _string(info.get("Client")) or version_in(banner, r"version (\d[^\s,]*)")
    client = "" if impostor or "absent" in tagged else told
    engine, error = _engine(tagged, info)
    answered = bool(engine)
    running = _together(info, "ContainersRunning", "ContainersPaused") if answered else None
    return Docker(
        client=client,
        engine=engine,
        engine_error=error,
        impostor=impostor,
        runtimes=tuple(sorted(filter(None, _strings(info.get("Runtimes"))))) if answered else (),
        cdi=bool(info.get("CDISpecDirs")) if answered else None,
        hook_late="hook-late" in tagged,
        runtime_flag=bool(re.search(r"--add-runtime[= ]nvidia", " ".join(tagged.all("cmdline")))),
        flags=_flags(" ".join([*tagged.all("cmdline"), *tagged.all("unit")])),
        unit_hosts=_has_hosts(tagged.first("unit")),
        rootless=tuple(sorted({int(uid) for uid in tagged.all("rootless") if uid.strip().isdecimal()})),
        default_runtime=_string(info.get("DefaultRuntime")) if answered else None,
        cgroup_driver=_string(info.get("CgroupDriver")) if answered else None,
        containers={identity: name.strip().lstrip("/") for identity, name in tagged.words("container", 2)},
        gpu_containers=_gpu_containers(tagged, engine, running),
        running=running,
        live_restore=info["LiveRestoreEnabled"]
        if isinstance(info.get("LiveRestoreEnabled"), bool) and answered
        else None,
        compose=_compose(tagged.first("compose") or f"Compose version {info.get('Compose', '')}"),
        compose_v1=_compose_v1(tagged.first("compose-program")),
        daemon_json=next((file for file in tagged.files() if file.path == DAEMON_JSON), None),
        daemon_json_exists=None if "config-hidden" in tagged else "config-exists" in tagged,
    )


def _engine(tagged: Tagged, info: dict[str, Any]) -> tuple[str | None, str]:
    if {"absent", "impostor"} & {tag for tag, _ in tagged.lines}:
        return "", ""
    if "engine-down" in tagged:
        return "", "the engine is not running"
    version = _string(info.get("ServerVersion"))
    errors = " ".join(line.strip() for line in tagged.all("info") if line.strip() and not line.startswith("{"))
    return (version, "") if version else (None, errors or "docker info gave no answer")


def _json(lines: list[str]) -> dict[str, Any]:
    """The first line that is a JSON object."""
    for line in lines:
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            return value if isinstance(value, dict) else {}
    return {}


def _gpu_containers(tagged: Tagged, engine: str | None, running: int | None) -> tuple[str, ...] | None:
    """Names; None where an engine that runs containers could not be asked."""
    if "gpu-asked" in tagged or engine == "" or running == 0:
        return tuple(sorted(n.strip().lstrip("/") for n in tagged.all("gpu-container") if n.strip()))
    return None


def _flags(command_line: str) -> tuple[str, ...]:
    """Options of dockerd's command line, which must not stand in its file as well."""
    return tuple(sorted(set(re.findall(r"(?<=\s)--([a-z][a-z0-9-]*)", command_line))))


def _together(info: dict[str, Any], *keys: str) -> int | None:
    """Paused containers end with the engine as running ones do."""
    counts = [_count(info.get(key, 0)) for key in keys]
    return None if None in counts or keys[0] not in info else sum(c or 0 for c in counts)


def _has_hosts(exec_start: str | None) -> bool | None:
    """Does the unit's command line name a socket? None where there is no unit."""
    return bool(re.search(r"\s(-H|--host)[= ]?\S", exec_start)) if exec_start else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _strings(value: object) -> list[str]:
    return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _compose(line: str | None) -> str:
    return version_in(line, r"[Cc]ompose version v?(\d[^\s,]*)") or ""


def _compose_v1(line: str | None) -> str:
    """The stand-alone program may be version 2, which is no relic."""
    version = version_in(line, r"version v?(\d[^\s,]*)") or ""
    return version if re.match(r"1\.", version) else ""


SUBJECT = Subject("docker", _SCRIPT, parse, Docker(), seconds=60, limit=200_000, slow=True)


class DockerEngine(SubjectFact[Docker]):
    """Docker's client, engine, runtimes, Compose and daemon.json."""

    subject = SUBJECT
