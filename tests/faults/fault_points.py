"""Places at which a process of these tests dies, named by the environment variable FAULT: "rename:2" is the second."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_passed: Counter[str] = Counter()


def passed(point: str) -> None:
    """Die here, when it is the place and the time."""
    name, _, number = os.environ.get("FAULT", "").partition(":")
    _passed[point] += 1
    if name == point and _passed[point] == int(number or 1):
        marker = Path(os.environ["FAULT_MARKER"])
        if not marker.exists():  # once in the life of a test, not of a process
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def around(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` between two such places."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        passed(f"before {name}")
        result = function(*arguments, **named)
        passed(f"after {name}")
        return result

    return wrapped
