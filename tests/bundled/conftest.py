"""A small set of npm packages, and the data that is made from them."""

import json
from pathlib import Path

import pytest

import tui
from tui.bundled.training.__main__ import main
from tui.bundled.training.sources import ICON_PACKAGES, NAMES_PACKAGE

EMOJI = {
    "red apple": ("Food & Drink", "apple", "#e02020"),
    "fox": ("Animals & Nature", "fox", "#f08020"),
    "frog": ("Animals & Nature", "frog", "#30c040"),
    "crown": ("Objects", "crown", "#f0d020"),
    "red heart": ("Smileys & Emotion", "red-heart", "#e02020"),
    "rocket": ("Travel & Places", "rocket", "#2040e0"),
    "scissors": ("Objects", "scissors", "#808080"),
    "flag: Finland": ("Flags", "flag-finland", "#2040e0"),
}
"""Name: group, icon and colour."""

TOKENIZER = Path(tui.__file__).parent / "bundled" / "emoji-tiny" / "tokenizer"


def write_packages(folder: Path) -> Path:
    """Packages with the emoji above, each a coloured box twice as wide as it is high; the `node_modules`."""
    packages = folder / "node_modules"
    for package in (*ICON_PACKAGES.values(), NAMES_PACKAGE):
        (packages / package).mkdir(parents=True)
    names = {str(number): {"name": name, "group": entry[0]} for number, (name, entry) in enumerate(EMOJI.items())}
    (packages / NAMES_PACKAGE / "data-by-emoji.json").write_text(json.dumps(names), encoding="utf-8")
    icons = {
        ("apple-red" if icon == "apple" else icon): {"body": f'<path fill="{colour}" d="M2 4h28v14H2z"/>'}
        for _, icon, colour in EMOJI.values()
    }
    icon_set = {"icons": icons, "aliases": {"red-apple": {"parent": "apple-red"}}, "width": 32, "height": 32}
    for package in ICON_PACKAGES.values():
        (packages / package / "icons.json").write_text(json.dumps(icon_set), encoding="utf-8")
    return packages


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` makes of the packages above."""
    folder = tmp_path_factory.mktemp("data")
    write_packages(folder)
    assert main(["prepare", str(folder), "--tokenizer", str(TOKENIZER), "--processes", "1"]) == 0
    return folder
