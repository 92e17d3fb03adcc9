"""Questions that make sense after the work: does the driver answer, does CUDA start, what did the kernel log."""

from __future__ import annotations

import re

from deploys.plan.machine import Proof
from facts.base import SubjectFact
from facts.cuda_program import CUDA_PROGRAM
from facts.subject import Subject
from facts.text import Tagged, integer

# Without a loaded module cuInit would try to load it, seven times over; to load it is not a proof's business.
_SCRIPT = rf"""
if have nvidia-smi; then
  out=$(timeout -k 2 30 nvidia-smi --query-gpu=index,name,driver_version --format=csv,noheader 2>&1); code=$?
  printf '%s\n' "$out" | tag smi; echo "smicode $code"
else echo 'smicode 127'; fi
if log=$(dmesg 2>/dev/null); then
  echo 'log read'
  printf '%s\n' "$log" | grep -E 'NVRM|nvidia' | tail -n 12 | tag nvrm
  printf '%s\n' "$log" | grep -E 'NVRM: Xid' | tail -n 5 | tag xid
fi
loaded=
for m in nvidia nvidia_current; do [ -d "/sys/module/$m" ] && loaded=yes; done
if [ -z "$loaded" ]; then echo 'cuda no answer: the NVIDIA module is not loaded'
elif have python3; then
  answer=$(timeout -k 2 60 python3 - 2>/dev/null <<'PYTHON'
{CUDA_PROGRAM}
PYTHON
  )
  case $? in 124|137) answer='no answer from the CUDA driver within 60 s' ;; esac
  [ -z "$answer" ] || printf '%s\n' "$answer" | tag cuda
fi
exit 0
"""


def parse(text: str) -> Proof:
    """The answers; what is missing stays None."""
    tagged = Tagged(text)
    codes = tagged.all("smicode")
    cuda = tagged.all("cuda")
    read = "log" in tagged
    return Proof(
        smi_code=integer(codes[0]) if codes else None,
        smi_text="\n".join(tagged.all("smi")),
        kernel_log=tuple(_without_time(line) for line in tagged.all("nvrm")) if read else None,
        xids=tuple(_without_time(line) for line in tagged.all("xid")) if read else None,
        cuda=cuda[-1].strip() if cuda else None,
    )


def _without_time(line: str) -> str:
    return re.sub(r"^\[[^\]]*\]\s*", "", line)


SUBJECT = Subject[Proof]("proof", _SCRIPT, parse, Proof(), seconds=150)


class GpuProof(SubjectFact[Proof]):
    """nvidia-smi, the kernel log and a first call of CUDA."""

    subject = SUBJECT
