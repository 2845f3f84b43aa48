"""Failures as data: what went wrong, why, and what to do about it."""

from typing import Literal

from msgspec import Struct

Code = Literal[
    "bad_request",  # the command or one of its parameters cannot be served
    "not_found",  # no such job, picture or model
    "model_missing",
    "model_damaged",
    "output_unwritable",
    "disk_full",
    "out_of_memory",
    "cancelled",
    "worker_died",
    "worker_hung",  # the worker gives no sign of life
    "device_lost",  # the device answers nothing any more before its process ends
    "worker_broken",  # the worker cannot start at all
    "engine_unavailable",
    "internal",
]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that failed, told so that a person can act on it."""

    code: Code
    cause: str
    """What failed and why, one sentence."""
    hint: str = ""
    """What the user can do now, one sentence."""

    def __str__(self) -> str:
        return f"{self.cause} {self.hint}".strip()


class LatenttyError(Exception):
    """The base of every error that we raise on purpose; it carries its :class:`Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def bad_request(cause: str, hint: str = "") -> LatenttyError:
    """The error for a command that cannot be served as it stands."""
    return LatenttyError(Problem(code="bad_request", cause=cause, hint=hint))


def device_lost(cause: str) -> Problem:
    """What is told when the device failed for good, by the process that used it or after its death."""
    hint = "If it happens again with other jobs, look at the driver's own log (dmesg)."
    return Problem(code="device_lost", cause=cause, hint=hint)
