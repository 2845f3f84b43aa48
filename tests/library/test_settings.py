"""Settings come from a file and the environment; a wrong one is named, not ignored."""

import pytest

from tui.library.paths import Paths
from tui.library.settings import EngineSettings, Settings, load_settings, save_setting
from tui.protocol.problem import LatenttyError


def test_without_a_file_there_are_defaults(home: Paths) -> None:
    assert load_settings(home, {}) == Settings()


def test_the_environment_wins_over_the_file(home: Paths) -> None:
    home.settings_file.parent.mkdir(parents=True)
    home.settings_file.write_text('output_folder = "/a"\nmodel_folders = ["/m"]\n[engine]\nexit_after = 1.5\n')
    settings = load_settings(home, {"LATENTTY_OUTPUT_FOLDER": "/b", "LATENTTY_ENGINE_UNLOAD_AFTER": "2"})
    assert settings.output_folder == "/b"
    assert settings.model_folders == ["/m"]
    assert (settings.engine.exit_after, settings.engine.unload_after) == (1.5, 2.0)
    assert load_settings(home, {"LATENTTY_AUTOLOAD": "false"}).autoload is False


@pytest.mark.parametrize(
    ("text", "environment", "told"),
    [
        ("autoload = 3", {}, "autoload"),
        ("colour = 'red'", {}, "colour"),
        ("[engine]\nexit_after = -1", {}, "exit_after"),
        ("autoload = x\n", {}, "line 1"),
        ("", {"LATENTTY_ENGINE_EXIT_AFTER": "soon"}, "exit_after"),
    ],
)
def test_a_wrong_value_is_named(home: Paths, text: str, environment: dict[str, str], told: str) -> None:
    home.settings_file.parent.mkdir(parents=True)
    home.settings_file.write_text(text)
    with pytest.raises(LatenttyError, match=told):
        load_settings(home, environment)


def test_saving_one_setting_keeps_the_rest_of_the_file(home: Paths) -> None:
    home.settings_file.parent.mkdir(parents=True, exist_ok=True)
    home.settings_file.write_text('# mine\ntheme = "paper"  # by day\n\n[engine]\nexit_after = 5\n')
    assert save_setting(home, "engine.unload_after", 1).engine.unload_after == 1
    save_setting(home, "autoload_model", "fox")
    text = home.settings_file.read_text()
    assert "# mine" in text
    assert 'theme = "paper"  # by day' in text
    assert load_settings(home, {}) == Settings(
        theme="paper", autoload_model="fox", engine=EngineSettings(exit_after=5, unload_after=1)
    )
    with pytest.raises(LatenttyError, match="theme"):
        save_setting(home, "theme", 5)
    assert home.settings_file.read_text() == text
