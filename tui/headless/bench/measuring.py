"""The process that has torch and measures what it is asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tui.protocol.problem import LatenttyError, Problem

QUIET: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}

WITHIN: Final = 600
"""Seconds for one measure."""


class Measuring:
    """Measures one thing after another; its process starts with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()

    def has_gpu(self) -> bool:
        """Whether there is a GPU that torch can use."""
        return bool(self.measure("gpu", "ours")["value"])

    def measure(self, row: str, way: str, *models: Path) -> dict[str, Any]:
        """What was found; {"failed": why} where it could not be measured.

        Raises:
            LatenttyError: the process that measures is gone.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tui.worker.bench"],
                env=os.environ | QUIET,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps([row, way, WITHIN, *map(str, models)]), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            cause = f"The process that measures ended at {row} ({way})."
            raise LatenttyError(Problem(code="internal", cause=cause, hint="Run it alone: --only"))
        told: dict[str, Any] = json.loads(answer)
        return told
