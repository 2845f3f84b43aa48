"""The end of a long job is told by the bytes that terminals know."""

import pytest

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.engine.conftest import running as running  # a fixture for these tests too
from tests.screens.conftest import until
from tests.screens.scripted import open_scripted
from tui.app import PLACES
from tui.end_signal import end_signal


def test_a_bell_a_notification_both_or_nothing() -> None:
    assert end_signal("bell", "done", {}) == "\a"
    assert end_signal("osc9", "done\x1b]52;c;foes\a", {}) == "\x1b]9;done]52;c;foes\a"
    assert end_signal("both", "done", {"TMUX": "/tmp/tmux"}) == "\x1bPtmux;\x1b\x1b]9;done\a\x1b\\\a"
    assert end_signal("off", "done", {}) == ""


async def test_a_long_job_ends_with_a_sign_and_another_title(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTTY_RING_AFTER", "1e-9")
    monkeypatch.setenv("LATENTTY_RING_WITH", "both")
    monkeypatch.delenv("TMUX", raising=False)
    attached = await running.attach()
    async with open_scripted(running) as pilot:
        sent: list[str] = []
        driver = pilot.app._driver
        assert driver is not None
        monkeypatch.setattr(driver, "write", sent.append)
        await attached.client.submit(make_job(prompt="a fox"))
        await until(pilot, lambda: "\x1b]2;Latentty · done\a" in sent)
        assert "\x1b]9;Latentty: done: a fox\a\a" in sent
        await until(pilot, lambda: set(pilot.app._open) == set(PLACES))  # type: ignore[attr-defined]
        await pilot.pause(0.5)  # the screens that were not seen yet are made
        pilot.app._tell_end(None)  # type: ignore[attr-defined]
        written = len(sent)
        await pilot.pause(0.3)
        assert len(sent) == written, "nothing is sent while nothing changes"
    assert sent[-1] == "\x1b[23;2t", "the terminal has its own title again"
