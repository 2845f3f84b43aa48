"""`latentty bench`: it counts what it claims, and says what it cannot measure."""

import json

from tests.headless.test_generate import latentty
from tui.library.paths import Paths


def test_a_mode_swap_moves_nothing_and_a_controlnet_is_loaded_once(home: Paths) -> None:
    told = latentty("bench", "--only", "mode_swap", "--only", "controlnet_add", "--json", seconds=280)
    assert told.returncode == 0, told.stderr
    swap, net = json.loads(told.stdout)["rows"]
    assert (swap["name"], swap["bytes_moved"], swap["limit"], swap["unit"]) == ("mode_swap", 0, 0.0, "s")
    assert swap["naive"] > swap["ours"] > 0
    assert (net["name"], net["loads"], net["naive_loads"]) == ("controlnet_add", 1, 11)


def test_the_first_paint_is_seen_beside_that_of_a_bare_app(home: Paths) -> None:
    told = latentty("bench", "--only", "ui_first_paint", seconds=120)
    assert told.returncode == 0, told.stderr
    names, row = told.stdout.splitlines()
    assert names.split()[:3] == ["row", "ours", "naive"]
    assert row.split()[0] == "ui_first_paint"
    assert row.rstrip().endswith("×")


def test_an_unknown_row_is_told_with_those_there_are(home: Paths) -> None:
    told = latentty("bench", "--only", "nonesuch")
    assert told.returncode == 1
    assert "mode_swap" in told.stderr
    told = latentty("bench", "--only", "load_warm", "--model", "/nonesuch")
    assert told.returncode == 1
    assert "not there" in told.stderr
