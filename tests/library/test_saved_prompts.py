"""Saved prompts and styles are files; a bad one is told, and the rest still works."""

from pathlib import Path

import pytest

from tui.library.saved_prompts import SavedPrompt, read_saved_prompts, save_prompt
from tui.protocol.problem import LatenttyError


def test_prompts_come_back_styles_are_laid_over_and_a_bad_file_is_told(tmp_path: Path) -> None:
    style = SavedPrompt(prompt="{}, flat colours", negative_prompt="photo")
    save_prompt(tmp_path, "flat", style)
    save_prompt(tmp_path, "my fox", SavedPrompt(prompt="a fox\nin the snow"))
    (tmp_path / "bad.toml").write_text("promt = 3")
    found, problems = read_saved_prompts(tmp_path)
    assert found["flat"] == style
    assert found["flat"].over("a fox", "blurry") == ("a fox, flat colours", "blurry, photo")
    assert found["my fox"].over("else", "blurry") == ("a fox\nin the snow", "")
    assert next(problem.cause for problem in problems).count("bad.toml")


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "x" * 200, "a\nb"])
def test_a_name_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(LatenttyError):
        save_prompt(tmp_path / "prompts", name, SavedPrompt())
    assert list(tmp_path.iterdir()) == []
