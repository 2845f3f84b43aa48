"""`python -m tui.worker.bench`: measures what is asked for, one JSON list a line on stdin, and answers in JSON lines.

A request is [row, way, seconds, model, other …]. Each is carried out in a process of its own, which is forked from
this one: the libraries are imported once, and no measure finds anything of another.
"""

import gc
import json
import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

# asking the driver how many GPUs there are in any other way would leave forked processes without one
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

from tui.worker.bench.measures import MEASURES


def main() -> None:
    """Answer until stdin ends; what the libraries print goes to stderr."""
    gc.freeze()  # as the worker does
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        row, way, limit, *models = json.loads(line)
        print(json.dumps(measured(row, way, float(limit), [Path(model) for model in models])), file=answers, flush=True)


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
    try:
        told: dict[str, object] = dict(MEASURES[row, way](*models))
    except Exception as error:
        logging.exception("%s, %s", row, way)
        told = {"failed": (str(error).strip() or type(error).__name__).splitlines()[0]}
    os.write(writing, json.dumps(told).encode())
    sys.stderr.flush()
    os._exit(0)


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
