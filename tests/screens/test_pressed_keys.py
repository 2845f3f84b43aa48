"""Every key that the program has is pressed by some test of the screens. Runs last, and only beside all of them."""

from pathlib import Path

import pytest

from tests.screens.pressed import PRESSED
from tui.app import LatenttyApp
from tui.screens.key_places import built_in_keys


def test_every_key_was_pressed(request: pytest.FixtureRequest) -> None:
    here = Path(__file__).parent
    collected = {item.path for item in request.session.items}
    if not set(here.glob("test_*.py")) <= collected:
        pytest.skip("not all tests of the screens run")
    wanted = {(name, key.strip()) for name, keys in built_in_keys(LatenttyApp).items() for key in keys.split(",")}
    missing = sorted(wanted - PRESSED)
    assert not missing, f"no test presses {missing}"
