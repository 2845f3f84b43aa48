"""`python -m tui.worker.bench`: measures what is asked for, one JSON list a line on stdin, and answers in JSON lines.

A request is [row, way, seconds, model, other …]. Each is carried out in a process of its own, which is forked from
this one: the libraries are imported once, and no measure finds anything of another. Where an import has begun to use
the GPU, as some versions of torchao do, a forked process could not, and each begins anew.

`python -m tui.worker.bench ROW WAY MODEL…` carries out one.
"""

import gc
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

# asking the driver how many GPUs there are in any other way would leave forked processes without one
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

import torch

from tui.worker.bench.measures import MEASURES

_cuda: Any = torch.cuda  # without types

IMPORTS: Final = 120.0
"""Seconds that a process that begins anew may take more."""


def main() -> None:
    """Answer until stdin ends; what the libraries print goes to stderr."""
    gc.freeze()  # as the worker does
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1:]:
        row, way, *models = sys.argv[1:]
        print(json.dumps(_told(row, way, [Path(model) for model in models])), file=answers, flush=True)
        return
    for line in sys.stdin:
        row, way, limit, *models = json.loads(line)
        measure = anew if _cuda.is_initialized() else measured
        print(json.dumps(measure(row, way, float(limit), [Path(model) for model in models])), file=answers, flush=True)


def anew(row: str, way: str, limit: float, models: list[Path]) -> dict[str, object]:
    """As :func:`measured`, in a process that imports everything itself."""
    command = [sys.executable, "-m", "tui.worker.bench", row, way, *map(str, models)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit + IMPORTS, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"it took longer than {limit + IMPORTS:.0f} s"}
    found: dict[str, object] = json.loads(
        done.stdout or json.dumps({"failed": f"its process ended with status {done.returncode}"})
    )
    return found


def measured(row: str, way: str, limit: float, models: list[Path]) -> dict[str, object]:
    """What a forked process measures; {"failed": why} when it fails or takes longer than `limit` seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _measure(row, way, models, writing)
    os.close(writing)
    told = _all_of(reading, time.monotonic() + limit)
    if told is None:
        os.kill(child, signal.SIGKILL)
        told = json.dumps({"failed": f"it took longer than {limit:.0f} s"}).encode()
    os.close(reading)
    _, status = os.waitpid(child, 0)
    found: dict[str, object] = json.loads(told or json.dumps({"failed": f"its process ended with status {status}"}))
    return found


def _measure(row: str, way: str, models: list[Path], writing: int) -> None:
    """Measure, tell on `writing`, and end."""
    told = _told(row, way, models)
    os.write(writing, json.dumps(told).encode())
    sys.stderr.flush()
    os._exit(0)


def _told(row: str, way: str, models: list[Path]) -> dict[str, object]:
    try:
        return dict(MEASURES[row, way](*models))
    except Exception as error:
        logging.exception("%s, %s", row, way)
        return {"failed": (str(error).strip() or type(error).__name__).splitlines()[0]}


def _all_of(reading: int, until: float) -> bytes | None:
    """What comes until the other end is closed; None when that is not before `until`."""
    told = b""
    while (left := until - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 1 << 16)
            if not part:
                return told
            told += part
    return None


if __name__ == "__main__":
    main()
