"""What the engine gives back when nothing happens. A pure function of times and settings."""

from typing import Literal

from tui.library.settings import EngineSettings

Rest = Literal["unload", "end_worker", "exit"]


def due(settings: EngineSettings, idle_seconds: float, *, work_left: bool, clients: int) -> set[Rest]:
    """What is due after `idle_seconds` without a job or a command; nothing ever while work is left.

    The engine itself ends only when no client is attached either.
    """
    if work_left:
        return set()
    limits: dict[Rest, float] = {"unload": settings.unload_after, "end_worker": settings.end_worker_after}
    if not clients:
        limits["exit"] = settings.exit_after
    return {rest for rest, minutes in limits.items() if minutes and idle_seconds >= minutes * 60}
