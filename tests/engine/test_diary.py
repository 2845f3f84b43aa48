"""The log tells what became of jobs, and neither their steps nor their prompts."""

import logging

import pytest

from tests.conftest import make_job
from tests.engine.conftest import Running
from tui.engine.home import _level_of
from tui.protocol.problem import Problem


async def test_what_becomes_of_a_job_is_written_down(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    running.script.fail["a secret crow"] = Problem(code="internal", cause="It broke.", hint="Mend it.")
    attached = await running.attach()
    for job in (done := make_job(prompt="a secret fox", count=2), failed := make_job(prompt="a secret crow")):
        await attached.client.submit(job)
        await attached.end_of(job)
    told = [(one.levelname, one.getMessage()) for one in caplog.records]
    first, second = f"job {done.id[:8]}", f"job {failed.id[:8]}"
    for line in (
        ("INFO", f"{first} waits: 2 pictures, txt2img, 64×64, 2 steps, emoji-tiny"),
        ("INFO", f"{first}: picture 2 is saved, seed 8"),
        ("INFO", f"{first} is done in 0 s"),
        ("ERROR", f"{second} failed: It broke. Mend it."),
    ):
        assert line in told
    assert not any("secret" in text or "step 1" in text for _, text in told)


def test_a_line_of_the_worker_is_as_serious_as_it_says() -> None:
    assert _level_of("ERROR tui.worker: the device is lost") == (logging.ERROR, "tui.worker: the device is lost")
    assert _level_of("Segmentation fault") == (logging.INFO, "Segmentation fault")
