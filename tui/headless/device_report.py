"""What torch and the driver say of the GPU. Torch is asked in a process of its own: no other part imports it."""

import json
import shutil
import subprocess
import sys
from typing import Final

import msgspec
from msgspec import Struct

ANSWER_WITHIN: Final = 90.0
"""Seconds for `import torch` on a slow disk."""

_ASK_TORCH: Final = """
import json, torch
gpus = []
for number in range(torch.cuda.device_count()):
    free, total = torch.cuda.mem_get_info(number)
    gpus.append({"name": torch.cuda.get_device_name(number), "free": free, "total": total})
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda or torch.version.hip or "", "gpus": gpus}))
"""


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU as torch sees it. Bytes."""

    name: str
    free: int
    total: int


class Torch(Struct, frozen=True, kw_only=True):
    """The torch that is installed, or why it does not work."""

    version: str = ""
    cuda: str = ""
    """The CUDA or ROCm that it was built for; empty: it was built for the CPU alone."""
    gpus: list[Gpu] = []
    problem: str = ""


def ask_torch() -> Torch:
    """What torch says."""
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=ANSWER_WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        return Torch(problem=f"it did not answer within {ANSWER_WITHIN:.0f} s")
    if answer.returncode:
        lines = answer.stderr.strip().splitlines()
        return Torch(problem=lines[-1] if lines else f"it ended with status {answer.returncode}")
    try:
        return msgspec.convert(json.loads(answer.stdout.strip().splitlines()[-1]), Torch)
    except (ValueError, IndexError, msgspec.ValidationError) as error:
        return Torch(problem=f"it answered nonsense ({error})")


def driver_lines() -> list[str]:
    """The GPUs that the driver's own program lists, with the driver's version; empty when there is none."""
    told = output_of("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return [line.strip() for line in told.splitlines() if line.strip()]


def output_of(*command: str) -> str:
    """What a program of the system prints; empty when it is missing, fails or hangs."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ""
