"""All that there is to teach, in its order: first the denoiser, then what goes with it."""

import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from tui.bundled.training.autoencoder import train_autoencoder, train_decoder
from tui.bundled.training.control import train_control
from tui.bundled.training.course import Course
from tui.bundled.training.denoiser import DenoiserPlan, pictures_of, train_denoiser
from tui.bundled.training.devices import prepared_device
from tui.bundled.training.effort import Effort
from tui.bundled.training.embedding import train_embedding
from tui.bundled.training.lora import train_lora
from tui.bundled.training.parts import BUNDLED, CONTROL, MODEL, copy_model
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.shards import ShardTask, made_shards, shard_paths, shards_with_edges
from tui.bundled.training.tokenizer import FOLDER, read_merges
from tui.protocol.problem import LatenttyError, Problem

DENOISER: Final = "denoiser"

SHARES: Final = {"control": 0.34, "decoder": 0.26, "lora-pixel": 0.15, "lora-sketch": 0.15, "embedding": 0.10}
"""What is taught after the denoiser, in this order, and the share of the time left that each takes."""

PARTS: Final = (DENOISER, *SHARES, "autoencoder")
"""Everything that can be taught."""

FRESH: Final = (DENOISER, "autoencoder")
"""Parts that can be taught without a model, and so with any tokenizer."""

DENOISER_SHARE: Final = 0.74
"""Of all time."""

LEAST_SECONDS: Final = 20.0
"""That a part is taught for, even when the time is over."""


def teach_part(course: Course, part: str, seconds: float) -> None:
    """Teach one of `PARTS` for `seconds`.

    Raises:
        LatenttyError: the data or the model cannot be read, or it cannot be taught.
    """
    course.out.mkdir(parents=True, exist_ok=True)
    base = course.begun_with or BUNDLED / MODEL
    if course.begun_with is not None or part not in FRESH:
        _check_tokenizer(course.data, base)
    if part == DENOISER:
        train_denoiser(DenoiserPlan(**asdict(course), seconds=time.time() - course.begun + seconds))
        return
    until = time.time() + seconds
    log = ProgressLog(part, course.begun)
    if part == "autoencoder":
        train_autoencoder(course.data, course.out, until, course.effort, log)
        return
    copy_model(base, course.out / MODEL)
    _lesson(course, part)(course.data, course.out, until, course.effort, log)


def teach_all(course: Course, seconds: float, denoiser_share: float = DENOISER_SHARE) -> None:
    """Teach the denoiser for a share of `seconds`, then the rest in what is left; what was finished before is kept.

    Each part is taught in a process of its own. One that fails does not keep the others from being taught.

    Raises:
        LatenttyError: a part could not be taught.
    """
    log = ProgressLog("all", course.begun)
    end = course.begun + seconds
    failed, left = [], dict(SHARES)
    try:
        _teach_once(course, DENOISER, seconds * denoiser_share)
    except LatenttyError as error:
        if not (course.out / MODEL / "model_index.json").exists():
            raise
        log(f"DENOISER FAILED, GOING ON WITH ITS LAST SAVE: {error}")
        failed.append(DENOISER)
    for part in SHARES:
        own = (end - time.time()) * left[part] / sum(left.values())
        del left[part]
        if not _teach_apart(course, part, max(LEAST_SECONDS, own), log):
            failed.append(part)
    if failed:
        cause = f"Of all parts, {', '.join(failed)} could not be taught."
        raise LatenttyError(Problem(code="worker_died", cause=cause, hint="The lines above say why."))
    log("ALL DONE")


def finished(out: Path, part: str) -> Path:
    """The file that is there once `part` is taught."""
    return out / f"{part}.done"


def _teach_once(course: Course, part: str, seconds: float) -> None:
    if not finished(course.out, part).exists():
        teach_part(course, part, seconds)
        finished(course.out, part).touch()


def _teach_apart(course: Course, part: str, seconds: float, log: ProgressLog) -> bool:
    """Teach `part` in a process of its own, unless that was done before; whether it is taught now."""
    log(f"{part} for {seconds:.0f} s")
    process = multiprocessing.get_context("spawn").Process(target=_teach_once, args=(course, part, seconds))
    process.start()
    process.join()
    if process.exitcode != 0:
        log(f"{part.upper()} FAILED with status {process.exitcode}")
    return process.exitcode == 0


def _check_tokenizer(data: Path, model: Path) -> None:
    """Raises LatenttyError if captions of `data` are not cut into tokens as those that `model` knows."""
    if read_merges(data / FOLDER) != read_merges(model / FOLDER):
        cause = f"The tokenizer of {data} is not that of {model}."
        hint = f"Prepare the data with: --tokenizer {model / FOLDER}"
        raise LatenttyError(Problem(code="bad_request", cause=cause, hint=hint))


Lesson = Callable[[Path, Path, float, Effort, ProgressLog], None]


def _lesson(course: Course, part: str) -> Lesson:
    match part:
        case "control":
            return partial(_control, course)
        case "decoder":
            return train_decoder
        case "embedding":
            return train_embedding
        case _:
            return partial(train_lora, part.removeprefix("lora-"))


def _control(course: Course, data: Path, out: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """The ControlNet, with the denoiser's pictures or, where there are none, with some of its own."""
    pictures = pictures_of(out)
    if not shard_paths(pictures):
        task = ShardTask(data=data, model=out / MODEL, folder=pictures, effort=effort, begun=course.begun)
        for _ in islice(made_shards(task, prepared_device()), shards_with_edges(effort)):
            pass
    begun_with = None if course.begun_with is None else course.begun_with.with_name(CONTROL)
    train_control(data, out, pictures, begun_with, until, effort, log)
