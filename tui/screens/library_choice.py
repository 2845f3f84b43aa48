"""Choosing a file of the library by typing a part of its name: what is offered, and what is put into the prompt."""

from collections.abc import Iterable

from textual.app import App

from tui.library.families import FAMILIES
from tui.protocol.events import ModelInfo
from tui.protocol.library import ModelFile
from tui.screens.choose import ChooseScreen

ALL_WORDS = "all of them"


def fitting(files: Iterable[ModelFile], model: ModelInfo | None) -> list[ModelFile]:
    """The files that can be used with `model`, those that do not tell their family last."""
    family, bundled = (model.family, model.bundled) if model is not None else ("", False)
    usable = (file for file in files if file.problem is None)
    found = [file for file in usable if (bundled if file.bundled else file.family in ("", family))]
    return sorted(found, key=lambda file: file.family == "")


def line_of(file: ModelFile) -> str:
    """A file as it is offered: its name, its family, its trigger words."""
    family = FAMILIES.get(file.family)
    made_for = family.label if family is not None else file.base or "family unknown"
    parts = [file.name, file.kind, "comes with Latentty" if file.bundled else made_for]
    return " · ".join([*parts, *([f"words: {', '.join(file.trigger_words)}"] if file.trigger_words else [])])


def in_prompt(file: ModelFile) -> str:
    """How a prompt names `file`."""
    return f"<lora:{file.name}:1>" if file.kind == "lora" else file.name


async def choose_file(app: App[object], title: str, files: list[ModelFile]) -> ModelFile | None:
    """The file that the user takes; None when none is taken."""
    chosen = await app.push_screen_wait(ChooseScreen(title, [line_of(file) for file in files], "part of a name"))
    return files[chosen] if chosen is not None else None


async def choose_words(app: App[object], file: ModelFile) -> str:
    """The trigger words of `file` that the user wants in the prompt; empty for none."""
    words = file.trigger_words
    if not words:
        return ""
    offered = [*([ALL_WORDS] if len(words) > 1 else []), *words]
    chosen = await app.push_screen_wait(ChooseScreen("Put its trigger words into the prompt? Esc: no", offered))
    if chosen is None:
        return ""
    return ", ".join(words) if offered[chosen] == ALL_WORDS else offered[chosen]
