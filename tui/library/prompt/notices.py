"""What is wrong with a prompt, and where."""

from collections.abc import Sequence

from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.prompts import PromptNotice as Notice

SHOWN = 24
"""Letters of the prompt that an error quotes."""


class PromptError(LatenttyError):
    """A prompt that cannot be used, and the place that says why."""

    def __init__(self, prompt: str, notice: Notice) -> None:
        quoted = prompt[notice.start : min(notice.end, notice.start + SHOWN)]
        near = f" ({quoted!r})" if quoted else ""
        super().__init__(
            Problem(
                code="bad_request",
                cause=f"The prompt is not possible at letter {notice.start + 1}{near}: {notice.text}",
                hint="Correct it, or put a backslash before a bracket that is meant as itself.",
            )
        )
        self.notice = notice


def refuse_errors(prompt: str, notices: Sequence[Notice]) -> None:
    """Nothing, when none of `notices` is an error.

    Raises:
        PromptError: one is.
    """
    for notice in notices:
        if notice.kind == "error":
            raise PromptError(prompt, notice)


__all__ = ["Notice", "PromptError", "refuse_errors"]
