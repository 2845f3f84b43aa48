"""Places at which a process of these tests dies: the file that FAULT_FILE names says where, "rename:2" is the second.

With "rename:2:SIGSTOP" it stands still there. Numbers count from when the file was written. It is gone once it has been
obeyed.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_passed: Counter[str] = Counter()
_armed = ""


def passed(point: str) -> None:
    """Die here, when it is the place and the time."""
    global _armed
    file = Path(os.environ.get("FAULT_FILE", "/dev/null/none"))
    try:
        armed = file.read_text()
    except OSError:
        return
    if armed != _armed:
        _armed = armed
        _passed.clear()
    _passed[point] += 1
    name, _, rest = armed.partition(":")
    number, _, how = rest.partition(":")
    if name == point and _passed[point] == int(number):
        file.unlink()
        os.kill(os.getpid(), signal.Signals[how or "SIGKILL"])


def around(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` between two such places."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        passed(f"before {name}")
        result = function(*arguments, **named)
        passed(f"after {name}")
        return result

    return wrapped
