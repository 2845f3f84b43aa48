"""Teaches the UNet and the text encoder, in one process, while another makes ever new pictures to learn from.

Adam with decoupled weight decay (Loshchilov and Hutter 2019), v-prediction (Salimans and Ho 2022), captions left out
at times for guidance (Ho and Salimans 2022), the mean squared error of all times alike.
"""

import math
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import torch
from msgspec.structs import replace

from tui.bundled.training.averages import Average
from tui.bundled.training.compiling import compiled
from tui.bundled.training.course import Course
from tui.bundled.training.devices import channels_last, in_bfloat16, memory_told, prepared_device, wait_for
from tui.bundled.training.latents import Latents, no_words
from tui.bundled.training.noising import Noising
from tui.bundled.training.parallel import started
from tui.bundled.training.parts import (
    BUNDLED,
    MODEL,
    copy_model,
    count_parameters,
    load_text_encoder,
    load_unet,
    new_text_encoder,
    new_unet,
    save_part,
)
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.rates import rate_at
from tui.bundled.training.shards import ShardTask, made_shards
from tui.bundled.training.supply import Supply
from tui.bundled.training.tokenizer import FOLDER
from tui.protocol.problem import LatenttyError, Problem

DONE: Final = "denoiser.done"
"""The file that is there once the denoiser is saved."""

STATE: Final = "denoiser-state.pt"
"""What the training goes on from when it was cut off."""

UNET_RATE: Final = 8e-4
TEXT_RATE: Final = 5e-4

DROPPED: Final = 0.1
"""The share of captions that is left out."""

DECAYS: Final = (0.999, 0.9997)
"""Of the averages that are tried."""

OTHERS_FROM: Final = 0.4
"""The progress from which on other sizes are learned too."""

OTHERS_EVERY: Final = 14
"""Steps of which one is with another size."""

OTHERS_BATCH: Final = 0.75
"""What a batch of another size is against that of the usual one, in pixels."""

LOOK_EVERY: Final = 16
"""Steps between two looks for new pictures."""

TELL_EVERY: Final = 200
"""Steps between two lines of the log."""

DIVERGED: Final = 3
"""The exit status of a process whose loss became no number, or too great."""

OVERRAN: Final = 4
"""What counts as the exit status of a process that did not end."""

GRACE: Final = 120.0
"""Seconds that processes have, once the time is over, to save what they made."""

WORST: Final = 0.8
"""The loss above which, after `SETTLED` steps, nothing is learned any more."""

SETTLED: Final = 1000


class DenoiserPlan(Course, frozen=True, kw_only=True):
    """What is to be taught, from what, and how long."""

    seconds: float
    """For all of it, from the start of the processes on."""

    @property
    def base(self) -> Path:
        """The model that all parts come from that are not taught."""
        return self.begun_with or BUNDLED / MODEL

    @property
    def pictures(self) -> Path:
        """Where shards of pictures are."""
        return pictures_of(self.out)


def pictures_of(out: Path) -> Path:
    """Where the shards are that a model in `out` learns from."""
    return out / "pictures"


def train_denoiser(plan: DenoiserPlan) -> None:
    """Teach the denoiser and save it as `plan` says, unless that is done already.

    Raises:
        LatenttyError: pictures could not be made, or no start succeeded.
    """
    log = ProgressLog("denoiser", plan.begun)
    if (plan.out / DONE).exists():
        log("finished before")
        return
    plan.out.mkdir(parents=True, exist_ok=True)
    log(f"{torch.cuda.device_count()} GPUs, torch {torch.__version__}")
    maker = started(_make_pictures, plan)
    try:
        _teach_somehow(plan, maker, log)
    finally:
        _stop(maker)
    (plan.out / DONE).touch()
    log("DENOISER SAVED")


def _make_pictures(plan: DenoiserPlan) -> None:
    """Until it is ended; on the last GPU, as the first one teaches."""
    task = ShardTask(data=plan.data, model=plan.base, folder=plan.pictures, effort=plan.effort, begun=plan.begun)
    for _ in made_shards(task, _shared_device(last=True)):
        pass


def _shared_device(last: bool) -> torch.device:
    """A GPU or, where there is none, half of the CPU: threads of two that took all of it would wait for each other."""
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    return prepared_device(last)


def _teach_somehow(plan: DenoiserPlan, maker: BaseProcess, log: ProgressLog) -> None:
    """Try as planned, then with less; a diverged training is tried again at lower rates from its last save."""
    attempt = plan
    for _ in range(4):
        status = _outcome(started(_teach, attempt), maker, plan.begun + plan.seconds + GRACE)
        if status == 0:
            return
        left = plan.seconds - log.elapsed()
        log(f"TRAINING FAILED with status {status}, {left:.0f} s left")
        if left <= 0:
            break
        if status == DIVERGED:
            attempt = replace(attempt, rate=attempt.rate * 0.6)
        else:
            attempt = replace(attempt, effort=replace(attempt.effort, compile=False, batch=attempt.effort.part(0.5)))
    raise LatenttyError(
        Problem(code="worker_died", cause="The denoiser could not be taught.", hint="The lines above say why.")
    )


def _outcome(teacher: BaseProcess, maker: BaseProcess, until: float) -> int:
    """The exit status of `teacher`; it is ended when it has not ended by `until`.

    Raises:
        LatenttyError: `maker` ended.
    """
    try:
        while teacher.exitcode is None:
            teacher.join(0.2)
            if maker.exitcode is not None:
                raise LatenttyError(
                    Problem(code="worker_died", cause="The pictures could not be made.", hint="See the lines above.")
                )
            if time.time() > until:
                return OVERRAN
        return teacher.exitcode
    finally:
        _stop(teacher)


def _stop(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _teach(plan: DenoiserPlan) -> None:
    """What the process that teaches does; it ends with `DIVERGED` if it must."""
    try:
        teach(plan, _shared_device(last=False))
    except _Diverged as error:
        ProgressLog("teacher", plan.begun)(f"DIVERGED: {error}")
        sys.stderr.flush()
        sys.exit(DIVERGED)


def teach(plan: DenoiserPlan, device: torch.device) -> None:
    """Learn on `device` from the pictures that come, until the time is over."""
    _Teacher(plan, device, ProgressLog("teacher", plan.begun)).teach()


Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of each of some latents, with their tokens, times and noise."""


def prediction_error(unet: Any, text: Any, noising: Noising) -> Loss:
    """The mean squared error of what `unet` predicts with the words of `text`, (n,)."""

    def error(latents: torch.Tensor, tokens: torch.Tensor, times: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        words = text(input_ids=tokens)[0]
        noisy, wanted = noising.mix(latents, noise, times)
        told = unet(noisy, times, words, return_dict=False)[0].float()
        squares: torch.Tensor = (told - wanted) ** 2
        return squares.mean((1, 2, 3))

    return error


class _Diverged(Exception):
    """The loss is no number any more, or too great."""


class _Teacher:
    """Teaches as `plan` says, on `device`."""

    def __init__(self, plan: DenoiserPlan, device: torch.device, log: ProgressLog) -> None:
        self._plan, self._device, self._log = plan, device, log
        self._supply = Supply(plan.pictures, plan.effort, device)
        self._noising = Noising(plan.base, device)
        self._empty = no_words(plan.data, device)
        torch.manual_seed(0)
        begun_with = plan.begun_with
        unet = new_unet() if begun_with is None else load_unet(begun_with)
        text = new_text_encoder() if begun_with is None else load_text_encoder(begun_with)
        self._unet = unet.to(device, memory_format=torch.channels_last).train()
        self._text = text.to(device).train()
        self._parameters: list[torch.nn.Parameter] = [*self._unet.parameters(), *self._text.parameters()]
        self._optimiser = torch.optim.AdamW(
            [
                {"params": list(self._unet.parameters()), "base": UNET_RATE},
                {"params": list(self._text.parameters()), "base": TEXT_RATE},
            ],
            lr=UNET_RATE,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            fused=device.type == "cuda",
        )
        self._averages = [Average(self._parameters, decay) for decay in DECAYS]
        self._loss = prediction_error(self._unet, self._text, self._noising)
        self._step, self._progress = 0, 0.0
        unet_size, text_size = (count_parameters(one) / 1e6 for one in (self._unet, self._text))
        log(f"{unet_size:.2f} M parameters in the UNet, {text_size:.2f} M in the text encoder")

    def teach(self) -> None:
        """Until the time is over; saves the best weights."""
        fast = compiled(self._loss, self._rehearse, self._compiles, self._log)
        if fast is self._loss:
            self._rehearse(fast)
        self._log(f"a step runs{memory_told(self._device)}")
        self._resume()
        held_out = self._first_pictures()
        self._learn(fast)
        wait_for(self._device)
        self._log(f"taught, {self._step} steps, {len(self._supply.usual)} pictures")
        self._save_best(held_out)

    @property
    def _compiles(self) -> bool:
        return self._plan.effort.compile and self._device.type == "cuda"

    def _gradients(self, loss: Loss, latents: torch.Tensor, tokens: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Add the gradients of one batch; its mean loss."""
        with in_bfloat16(self._device):
            mean = loss(channels_last(latents), tokens, times, channels_last(torch.randn_like(latents))).mean()
        torch.autograd.backward(mean)
        told: torch.Tensor = mean.detach()
        return told

    def _rehearse(self, loss: Loss) -> None:
        """Two steps on nothing."""
        batch = self._plan.effort.batch
        for _ in range(2):
            latents = torch.randn(batch, 4, 32, 32, device=self._device)
            self._gradients(loss, latents, self._empty[None].repeat(batch, 1), self._noising.times(batch))
        wait_for(self._device)
        self._optimiser.zero_grad(set_to_none=True)

    def _first_pictures(self) -> Latents:
        """Wait until there are some; those that are held out."""
        while self._supply.held_out is None:
            time.sleep(0.2)
            self._supply.take_in()
        held_out = self._supply.held_out
        self._log(f"{len(self._supply.usual)} pictures to begin with, {len(held_out)} held out")
        return held_out

    def _learn(self, fast: Loss) -> None:
        plan, effort, log, supply = self._plan, self._plan.effort, self._log, self._supply
        losses: list[torch.Tensor] = []
        first, begun, saved = self._step, time.time(), time.time()
        progress_before = self._progress
        span = max(1.0, plan.seconds - log.elapsed())
        torch.manual_seed(1000 + self._step)
        while True:
            steps = self._step - first
            if steps % LOOK_EVERY == 0:
                supply.take_in()
            done = effort.progress((time.time() - begun) / span, steps)
            self._progress = progress_before + (1 - progress_before) * done
            if self._progress >= 1:
                return
            share = rate_at(self._progress, steps)
            for group in self._optimiser.param_groups:
                group["lr"] = group["base"] * plan.rate * share
            others = supply.others if self._progress > OTHERS_FROM else []
            if others and self._step % OTHERS_EVERY == 0:
                own = others[self._step // OTHERS_EVERY % len(others)]
                area = own.latents.shape[2] * own.latents.shape[3]
                batch = max(2, int(effort.batch * OTHERS_BATCH * 1024 / area) // 8 * 8)
                with torch.backends.cudnn.flags(enabled=True, benchmark=False):  # tries take long
                    self._descend(self._loss, own, batch)
            else:
                losses.append(self._descend(fast, supply.usual, effort.batch))
            self._step += 1
            if self._step - first in (5, 50):
                wait_for(self._device)
                log(f"step {self._step}, loss {float(losses[-1]):.4f}, {time.time() - begun:.1f} s since the first")
            if self._step % TELL_EVERY == 0:
                mean = float(torch.stack(losses).mean())
                losses = losses[-1:]
                self._tell(mean, (self._step - first) / (time.time() - begun), share)
                if not math.isfinite(mean) or (self._step > SETTLED and mean > WORST):
                    raise _Diverged(f"the loss is {mean} after {self._step} steps")
            if time.time() - saved >= effort.save_every:
                saved = time.time()
                self._save_state()
                log(f"saved, {time.time() - saved:.1f} s; {plan.seconds - log.elapsed():.0f} s left")

    def _descend(self, loss: Loss, pictures: Latents, batch: int) -> torch.Tensor:
        """One step; its loss."""
        rows = pictures.rows(batch)
        tokens = pictures.captions(rows, self._empty, DROPPED)
        told = self._gradients(loss, pictures.chosen(rows), tokens, self._noising.times(batch))
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0, foreach=True)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        for average in self._averages:
            average.follow(self._step)
        return told

    def _tell(self, loss: float, steps_each_second: float, share: float) -> None:
        self._log(
            f"step {self._step}, loss {loss:.4f}, {steps_each_second * self._plan.effort.batch:.0f} pictures/s, "
            f"{len(self._supply.usual)} pictures, progress {self._progress:.3f}, "
            f"rate {UNET_RATE * self._plan.rate * share:.2e}"
        )

    @torch.no_grad()
    def _validation(self, pictures: Latents) -> float:
        """The mean loss of pictures that were held out, at the same times with the same noise whenever it is asked."""
        generator = torch.Generator(self._device).manual_seed(5)
        batch = min(256, len(pictures))
        losses = []
        for begin in range(0, len(pictures) - batch + 1, batch):
            some = pictures.part(begin, begin + batch)
            latents = some.latents.float()
            noise = torch.randn(latents.shape, device=self._device, generator=generator)
            times = torch.linspace(0, self._noising.steps - 1, batch, device=self._device).long()
            with in_bfloat16(self._device):
                loss = self._loss(channels_last(latents), some.tokens[:, 0].long(), times, channels_last(noise))
            losses.append(float(loss.mean()))
        return sum(losses) / len(losses)

    def _save_best(self, held_out: Latents) -> None:
        """Save the weights or the average of them that predict best."""
        scores = [("weights themselves", self._validation(held_out))]
        for average in self._averages:
            with average.applied():
                scores.append((f"average {average.decay}", self._validation(held_out)))
        self._log("validation: " + ", ".join(f"{name} {score:.5f}" for name, score in scores))
        best = min(range(len(scores)), key=lambda place: scores[place][1])
        if best:
            self._averages[best - 1].keep()
        self._save_model()

    def _save_model(self) -> None:
        model = self._plan.out / MODEL
        save_part(self._unet, model / "unet")
        save_part(self._text, model / "text_encoder")
        copy_model(self._plan.data / FOLDER, model / FOLDER)
        copy_model(self._plan.base, model)

    def _save_state(self) -> None:
        with self._averages[0].applied():
            self._save_model()
        state = {
            "step": self._step,
            "progress": self._progress,
            "parameters": [one.detach() for one in self._parameters],
            "averages": [one.values for one in self._averages],
            "optimiser": self._optimiser.state_dict(),
        }
        path = self._plan.out / STATE
        unfinished = path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    @torch.no_grad()
    def _resume(self) -> None:
        path = self._plan.out / STATE
        if not path.exists():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        self._step, self._progress = state["step"], state["progress"]
        torch._foreach_copy_(list[torch.Tensor](self._parameters), state["parameters"])
        for average, values in zip(self._averages, state["averages"], strict=True):
            torch._foreach_copy_(average.values, values)
        self._optimiser.load_state_dict(state["optimiser"])
        self._log(f"goes on from step {self._step}, progress {self._progress:.3f}")
