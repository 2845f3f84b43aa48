"""What was asked for is what runs: the picture, its progress, its preview, its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from tests.conftest import make_job, pictures_below
from tests.worker.conftest import BUNDLED_PATH, Recorded
from tui.library.pictures import read_making
from tui.protocol.commands import Target
from tui.protocol.events import SavedFile, Step
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError
from tui.worker import lost_device
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.observed import Progress
from tui.worker.residents import Model
from tui.worker.runner import JobRun
from tui.worker.views import view

RunOf = Callable[..., JobRun]


def pixels(path: Path) -> numpy.ndarray:
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))


def modules_of(model: Model) -> list[torch.nn.Module]:
    return [component.module for component in model.components.values()]


def draw(run_of: RunOf, job: Job, folder: Path, index: int = 0) -> numpy.ndarray:
    path = folder / f"{job.id}-{index}.png"
    run_of(job).make(Target(index=index, path=str(path)))
    return pixels(path)


def test_the_picture_is_what_plain_diffusers_makes(run_of: RunOf, tmp_path: Path) -> None:
    """Bit for bit: hooks, previews and shared components change nothing."""
    job = make_job(prompt="a fox", negative_prompt="snow", width=128, height=96, steps=5, seed=11)
    plain = StableDiffusionPipeline.from_pretrained(BUNDLED_PATH, dtype=torch.float32, use_safetensors=True)
    plain.set_progress_bar_config(disable=True)
    expected = plain(
        prompt="a fox",
        negative_prompt="snow",
        width=128,
        height=96,
        num_inference_steps=5,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert numpy.array_equal(draw(run_of, job, tmp_path), numpy.asarray(expected))


def test_the_same_seed_makes_the_same_picture_and_another_another(run_of: RunOf, tmp_path: Path) -> None:
    first = draw(run_of, make_job(seed=1, count=2), tmp_path)
    assert numpy.array_equal(first, draw(run_of, make_job(seed=1), tmp_path))
    second = draw(run_of, make_job(seed=1, count=2), tmp_path, index=1)
    assert not numpy.array_equal(first, second)
    assert numpy.array_equal(second, draw(run_of, make_job(seed=2), tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a blue house"},
        {"negative_prompt": "red"},
        {"steps": 3},
        {"guidance_scale": 2.0},
        {"scheduler": "euler-a"},
        {"seed": 8},
        {"width": 72},
    ],
)
def test_every_setting_has_an_effect(run_of: RunOf, tmp_path: Path, change: dict[str, object]) -> None:
    before, after = draw(run_of, make_job(), tmp_path), draw(run_of, make_job(**change), tmp_path)
    assert before.shape != after.shape or not numpy.array_equal(before, after)


@pytest.mark.parametrize(("scheduler", "calls"), [("dpmpp-2m", 4), ("heun", 7), ("pndm", 5), ("lcm", 4)])
def test_progress_counts_what_the_scheduler_really_does(
    run_of: RunOf, recorded: Recorded, tmp_path: Path, scheduler: str, calls: int
) -> None:
    draw(run_of, make_job(steps=4, scheduler=scheduler), tmp_path)
    steps = [event for event in recorded.events if isinstance(event, Step)]
    assert [step.step for step in steps] == list(range(calls + 1))
    assert {step.steps for step in steps[1:]} == {calls}
    assert steps[-1].step_seconds > 0


def test_previews_come_while_it_is_drawn_and_look_like_the_end(
    run_of: RunOf, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.worker.observed.PREVIEW_EVERY", 0.0)
    job = make_job(prompt="a blue heart on a yellow background", width=256, height=256, steps=12, seed=5)
    final = Image.fromarray(draw(run_of, job, tmp_path)).resize((32, 32), Image.Resampling.BOX)
    frames = [numpy.frombuffer(one.rgb, numpy.uint8).reshape(one.height, one.width, 3) for one in recorded.previews]
    assert len(frames) == 12
    distances = [numpy.abs(frame.astype(float) - numpy.asarray(final, dtype=float)).mean() for frame in frames]
    assert distances[-1] < 25
    assert distances[-1] < distances[0] / 2


def test_the_file_tells_how_it_was_made_and_nothing_of_this_box(
    run_of: RunOf, recorded: Recorded, tmp_path: Path
) -> None:
    job = make_job(seed=5, scheduler="euler", folder=str(tmp_path), file_stem="mine")
    path = tmp_path / "mine.png"
    run_of(job).make(Target(index=0, path=str(path)))
    making = read_making(path)
    assert making is not None
    assert (making.seed, making.pipeline) == (5, "StableDiffusionPipeline")
    assert making.scheduler["_class_name"] == "EulerDiscreteScheduler"
    assert making.job.prompt == job.prompt
    assert str(tmp_path).encode() not in path.read_bytes()
    saved = [event for event in recorded.events if isinstance(event, SavedFile)]
    assert [(one.path, one.seed) for one in saved] == [(str(path), 5)]


def test_a_picture_of_an_earlier_attempt_is_taken_as_it_is(run_of: RunOf, recorded: Recorded, tmp_path: Path) -> None:
    job, path = make_job(), tmp_path / "x.png"
    target = Target(index=0, path=str(path))
    run_of(job).make(target)
    before, steps = path.stat().st_mtime_ns, len([one for one in recorded.events if isinstance(one, Step)])
    run_of(job).make(target)
    assert path.stat().st_mtime_ns == before
    assert len([one for one in recorded.events if isinstance(one, Step)]) == steps
    assert len([one for one in recorded.events if isinstance(one, SavedFile)]) == 2


def test_a_file_that_is_not_ours_is_never_overwritten(run_of: RunOf, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    path.write_text("precious")
    with pytest.raises(LatenttyError, match="there already"):
        run_of(make_job(folder=str(tmp_path), file_stem="mine")).make(Target(index=0, path=str(path)))
    assert path.read_text() == "precious"


def test_a_lost_device_ends_the_process_before_anything_is_undone(
    run_of: RunOf, tmp_path: Path, bundled: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing would touch the device, which crashes then: the cause could not be told any more."""
    lost = torch.AcceleratorError("CUDA error: device-side assert triggered")
    lost.error_code = 710
    module = bundled.components["unet"].module
    hooked: list[int] = []

    class Ended(BaseException):
        """The end of the process."""

    def end(error: Exception) -> NoReturn:
        assert error is lost
        hooked.append(sum(len(part._forward_pre_hooks) for part in module.modules()))
        raise Ended

    def strike(*_: object) -> NoReturn:
        raise lost

    monkeypatch.setattr(lost_device, "_end", [end])
    monkeypatch.setattr(Progress, "advance", strike)
    with pytest.raises(Ended):
        draw(run_of, make_job(), tmp_path)
    assert hooked[0] > sum(len(part._forward_pre_hooks) for part in module.modules()), "what the run hung on is there"
    lost.error_code = 2  # one that a device gets over
    with pytest.raises(torch.AcceleratorError):
        draw(run_of, make_job(), tmp_path)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_cancel_at_any_step_leaves_no_file_and_the_next_picture_unchanged(
    bundled: Model, run_of: RunOf, recorded: Recorded, tmp_path: Path, at: int
) -> None:
    parts = [part for module in modules_of(bundled) for part in module.modules()]
    before = sum(len(part._forward_pre_hooks) for part in parts)
    token = CancelToken()
    job = make_job(steps=3)
    run = run_of(job, token)
    tell = run._outlet.tell

    def cancel_at(event: object) -> None:
        tell(event)
        if isinstance(event, Step) and event.step == at:
            token.cancel()

    run._outlet = replace(run._outlet, tell=cancel_at)
    with pytest.raises(Cancelled):
        run.make(Target(index=0, path=str(tmp_path / "x.png")))
    assert pictures_below(tmp_path) == []
    steps = [event.step for event in recorded.events if isinstance(event, Step)]
    assert max(steps) == at, "cancel is honoured within one step"
    assert sum(len(part._forward_pre_hooks) for part in parts) == before, "no hook is left behind"
    again = draw(run_of, make_job(), tmp_path)
    assert numpy.array_equal(again, draw(run_of, make_job(), tmp_path))


def test_cancel_reaches_inside_a_step_and_the_decoder(bundled: Model) -> None:
    """A step of a large model takes seconds on a CPU: the check sits before each block."""
    from tui.worker.observed import interruptible

    token = CancelToken()
    with interruptible(modules_of(bundled), token):
        token.cancel()
        with pytest.raises(Cancelled):
            bundled.components["unet"].module(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 77, 192))
        with pytest.raises(Cancelled):
            bundled.components["vae"].module.decode(torch.zeros(1, 4, 8, 8))


def test_the_wrong_class_is_an_error_and_never_a_fall_through(
    bundled: Model, run_of: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = view(bundled, "txt2img")
    monkeypatch.setitem(bundled.views, ("StableDiffusionPipeline",), type("Other", (), {"scheduler": None})())
    with pytest.raises(LatenttyError, match="Other stood ready for txt2img"):
        run_of(make_job()).make(Target(index=0, path=str(tmp_path / "x.png")))
    monkeypatch.undo()
    assert view(bundled, "txt2img") is pipeline
