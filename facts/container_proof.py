"""CUDA in a container, by `docker run`, by Compose, and while systemd reads its units again (sources: docker(1), ldd(1)).

The image is made from the host's own Python, so that nothing is pulled; it and the containers are gone afterwards. Where every
try went well, that is noted until the next boot.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from deploys.knowledge.paths import CONTAINERS_PROVEN, RUN_DIR
from deploys.plan.machine import ContainerAnswer, ContainerProof
from facts.base import SubjectFact
from facts.cuda_program import CUDA_PROGRAM
from facts.subject import Subject, build_command
from facts.text import Tagged, integer

# Seconds: for one try, and for the making of the image.
TRY, MAKE = 90, 120

# What was noted before says nothing once it is tried again, however far this gets.
_SCRIPT = rf"""
rm -f {CONTAINERS_PROVEN}
have python3 || {{ for t in run option compose reload; do echo "skipped $t no python3 on the host to make an image from"; done; exit 0; }}
run() {{ timeout -k 2 {TRY} docker -H unix:///var/run/docker.sock "$@"; }}
work=$(mktemp -d) name=gpu-host-proof-$$ image=gpu-host-proof:$$
clean() {{ run rm -f "$name" >/dev/null 2>&1; run rmi -f "$image" >/dev/null 2>&1; rm -rf "$work"; }}
trap clean EXIT; trap 'exit 143' TERM INT HUP
cat >"$work/cuda.py" <<'PYTHON'
{CUDA_PROGRAM}
PYTHON
cat >"$work/files.py" <<'PYTHON'
import os, subprocess, sys, sysconfig
home, top = sysconfig.get_paths()["stdlib"], os.path.realpath(sys.executable)
native = [os.path.join(sysconfig.get_config_var("DESTSHARED") or home + "/lib-dynload", f) for f in ("",)]
binaries = [top] + [os.path.join(d, f) for d in native if os.path.isdir(d) for f in os.listdir(d) if f.startswith("_ctypes.") or f.startswith("_struct.")]
found = dict.fromkeys([top])
for binary in binaries:
    for line in subprocess.run(["ldd", binary], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True).stdout.splitlines():
        path = next((w for w in line.split() if w.startswith("/")), None)
        if path:
            found[path] = None
for folder, folders, files in os.walk(home):
    folders[:] = [d for d in folders if d not in ("test", "idlelib", "tkinter", "ensurepip", "__pycache__", "site-packages", "dist-packages") and not d.startswith("config-")]
    found.update(dict.fromkeys(os.path.join(folder, f) for f in files))
sys.stdout.write("\0".join(p.lstrip("/") for p in found))
sys.stderr.write("/" + top.lstrip("/"))
PYTHON
python=$(python3 "$work/files.py" 2>&1 >"$work/files") && [ -s "$work/files" ] &&
  mkdir -p "$work/root/etc" "$work/root/tmp" && tar -C / -ch --null -T "$work/files" 2>/dev/null | tar -C "$work/root" -x &&
  tar -C "$work/root" -c . | timeout -k 2 {MAKE} docker -H unix:///var/run/docker.sock import --change 'ENV LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/usr/lib64' - "$image" >/dev/null ||
  {{ for t in run option compose reload; do echo "skipped $t no image could be made from the Python of the host"; done; exit 0; }}
good=1
tell() {{ code=$2; echo "code $1 $2"; tail -n 6 "$work/said" | tag "said $1"; [ "$2" = 0 ] && grep -qx 0 "$work/said" || good=; }}
noted() {{
  [ -n "$good" ] || return
  (umask 077; mkdir -p {RUN_DIR} && echo "$identity $(date -u +%Y-%m-%dT%H:%M:%SZ) $1" >{CONTAINERS_PROVEN}.new && mv -f {CONTAINERS_PROVEN}.new {CONTAINERS_PROVEN})
}}
run run --rm -i --name "$name" --network none $words "$image" "$python" - <"$work/cuda.py" >"$work/said" 2>&1; tell run $?
case $code in 124|137) for t in option compose reload; do echo "skipped $t not tried: docker run has not come back"; done; exit 0 ;; esac
run run --rm -i --name "$name" --network none --gpus all "$image" "$python" - <"$work/cuda.py" >"$work/said" 2>&1; tell option $?
if [ -n "$compose" ]; then
  {{ printf 'services:\n  proof:\n    image: "%s"\n    network_mode: none\n%s' "$image" "$compose"; }} >"$work/compose.yaml"
  run compose -p "$name" -f "$work/compose.yaml" run --rm -T proof "$python" - <"$work/cuda.py" >"$work/said" 2>&1; tell compose $?
  run compose -p "$name" -f "$work/compose.yaml" down >/dev/null 2>&1
fi
[ -z "$reload" ] || {{ echo "skipped reload $reload"; noted but-reload; exit 0; }}
run run -d --name "$name" --network none $words "$image" "$python" -c 'import time; time.sleep(300)' >"$work/said" 2>&1 || {{ tell reload 125; exit 0; }}
systemctl daemon-reload
run exec -i "$name" "$python" - <"$work/cuda.py" >"$work/said" 2>&1; tell reload $?
noted all
exit 0
"""


def parse(text: str) -> ContainerProof:
    """What each try said."""
    tagged = Tagged(text)
    said: dict[str, list[str]] = {}
    for which, line in tagged.words("said", 2):
        said.setdefault(which, []).append(line)
    codes = {which: integer(code) for which, code in tagged.words("code", 2)}
    answers = {w: ContainerAnswer(c, "\n".join(said.get(w, []))) for w, c in codes.items() if c is not None}
    return ContainerProof(answers, dict(tagged.words("skipped", 2)))


SUBJECT = Subject("container-proof", _SCRIPT, parse, ContainerProof(), seconds=4 * TRY + MAKE + 60, limit=60_000)


class ContainerGpuProof(SubjectFact[ContainerProof]):
    """What CUDA answers in a container with these `docker run` words, with this Compose fragment, and after a daemon-reload.

    `reload`: why the last is not tried ("" it is). `identity`: one word for all that the answer depends on.
    """

    subject = SUBJECT

    @override
    def command(self, words: Sequence[str] = (), compose: str = "", reload: str = "", identity: str = "-") -> str:
        # Split by the shell at blanks; none of the words has one.
        asked = f"words={shlex.quote(' '.join(words))} compose={shlex.quote(compose)} reload={shlex.quote(reload)} identity={identity}\n"
        return build_command([replace(self.subject, script=asked + self.subject.script)])
