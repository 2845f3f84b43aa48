"""The log, read piece by piece."""

from pathlib import Path

from tui.library.log_reading import read_log
from tui.protocol.log import LogPlace


def test_each_line_is_told_once_and_whole_even_when_the_log_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    assert read_log(path, LogPlace()).text == ""
    path.write_text("one\ntwo\nthr")
    first = read_log(path, LogPlace())
    assert first.text == "one\ntwo\n"
    with path.open("a") as file:
        file.write("ee\n")
    second = read_log(path, first.place)
    assert second.text == "three\n"
    assert read_log(path, second.place).text == ""
    path.rename(tmp_path / "engine.log.1")
    path.write_text("four\n")
    assert read_log(path, second.place).text == "four\n"
