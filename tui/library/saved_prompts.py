"""Prompts that the user keeps, and styles that are laid over one: a TOML file each in the configuration folder.

prompt = "{}, flat colours, thick outlines"
negative_prompt = "photo"
"""

import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tui.library.bounded import read_toml
from tui.library.listing import matches
from tui.library.private_files import replace_file
from tui.protocol.problem import LatenttyError, Problem, bad_request

HERE: Final = "{}"
"""Where a style puts the prompt that it is laid over."""

MAX_NAME: Final = 80


class SavedPrompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file says. With `{}` in its prompt it is a style."""

    prompt: str = ""
    negative_prompt: str = ""

    @property
    def is_style(self) -> bool:
        """Whether it is laid over another prompt."""
        return HERE in self.prompt

    def over(self, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """Both prompts once this one is used: a style is laid over them, another prompt replaces them."""
        if not self.is_style:
            return self.prompt, self.negative_prompt
        parts = [part for part in (negative_prompt, self.negative_prompt) if part]
        return self.prompt.replace(HERE, prompt), ", ".join(dict.fromkeys(parts))


def read_saved_prompts(folder: Path) -> tuple[dict[str, SavedPrompt], list[Problem]]:
    """Everything in `folder` by name, and what was wrong with other files."""
    found: dict[str, SavedPrompt] = {}
    problems: list[Problem] = []
    for path in matches(folder, "*.toml"):
        try:
            found[path.stem] = read_toml(path, SavedPrompt)
        except (OSError, msgspec.DecodeError) as error:
            problems.append(
                Problem(code="bad_request", cause=f"{path} is no saved prompt: {error}.", hint="Correct the file.")
            )
    return found, problems


def delete_prompt(folder: Path, name: str) -> None:
    """Delete a saved prompt or style for good.

    Raises:
        LatenttyError: its file cannot be deleted.
    """
    path = folder / f"{name}.toml"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise bad_request(f"{path} cannot be deleted: {error.strerror}.") from None


def save_prompt(folder: Path, name: str, saved: SavedPrompt) -> Path:
    """Keep a prompt under a name; the file.

    Raises:
        LatenttyError: the name is not possible, or the file cannot be written.
    """
    if not re.fullmatch(r"\w[\w .,()-]*", name) or len(name) > MAX_NAME:
        raise bad_request(f"A prompt cannot be called {name!r}.", "Use letters, digits, spaces and dashes.")
    import tomlkit  # a tenth of the time until the app paints, which only saving shall cost

    path = folder / f"{name}.toml"
    try:
        replace_file(path, tomlkit.dumps(msgspec.to_builtins(saved)).encode())
    except OSError as error:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"{path} cannot be written: {error.strerror}.", hint="Make room there.")
        ) from None
    return path
