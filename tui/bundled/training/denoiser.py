"""Teaches the UNet and the text encoder, in one process for each GPU; and starts those processes.

Adam with decoupled weight decay (Loshchilov and Hutter 2019), v-prediction (Salimans and Ho 2022), captions left out
at times for guidance (Ho and Salimans 2022), the mean squared error of all times alike.
"""

import math
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import torch
from msgspec import Struct
from msgspec.structs import replace

from tui.bundled.training.averages import Average
from tui.bundled.training.compiling import compiled
from tui.bundled.training.course import Course
from tui.bundled.training.devices import channels_last, in_bfloat16, memory_told, prepared_device, wait_for
from tui.bundled.training.latents import (
    MADE,
    OTHERS_MADE,
    SEEDS_APART,
    Latents,
    LatentTask,
    are_made,
    make_latents,
    no_words,
    read_latents,
    read_other_latents,
)
from tui.bundled.training.noising import Noising
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
from tui.bundled.training.ranks import Ranks, free_port
from tui.bundled.training.rates import rate_at
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

CLOCK_EVERY: Final = 16
"""Steps between two looks at the first process's clock."""

TELL_EVERY: Final = 200
"""Steps between two lines of the log."""

HELD_OUT: Final = 2048
"""Pictures that are not learned from, at most, but tell which weights are best."""

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

    def pool(self, rank: int) -> Path:
        """Where the pictures of the process `rank` are."""
        return self.out / "pictures" / str(rank)


class Place(Struct, frozen=True):
    """Which of the processes one is."""

    rank: int
    count: int
    port: int


def train_denoiser(plan: DenoiserPlan) -> None:
    """Make the pictures, teach the denoiser with them and save it as `plan` says, unless that is done already.

    A start on several GPUs that fails is followed by one on the first alone, without what made it fail.

    Raises:
        LatenttyError: pictures could not be made, or no start succeeded.
    """
    log = ProgressLog("denoiser", plan.begun)
    if (plan.out / DONE).exists():
        log("finished before")
        return
    plan.out.mkdir(parents=True, exist_ok=True)
    ranks = plan.ranks or max(1, torch.cuda.device_count())
    log(f"{ranks} processes, {torch.cuda.device_count()} GPUs, torch {torch.__version__}")
    tasks = [_latent_task(plan, rank, ranks) for rank in range(ranks)]
    pools = [_started(make_latents, task) for task in tasks if not are_made(task)]
    try:
        _teach_somehow(plan, ranks, pools, log)
        for pool in pools:
            pool.join()
    finally:
        _stop(pools)
    (plan.out / DONE).touch()
    log("DENOISER SAVED")


def _teach_somehow(plan: DenoiserPlan, ranks: int, pools: list[BaseProcess], log: ProgressLog) -> None:
    """Try as planned, then with less; a diverged training is tried again at lower rates from its last save."""
    attempt, count = plan, ranks
    for _ in range(4):
        port = free_port()
        processes = [_started(teach, attempt, Place(rank, count, port)) for rank in range(count)]
        status = _outcome(processes, pools, plan.begun + plan.seconds + GRACE)
        if status == 0:
            return
        left = plan.seconds - log.elapsed()
        log(f"TRAINING FAILED with status {status}, {count} processes, {left:.0f} s left")
        if left <= 0:
            break
        if status == DIVERGED:
            attempt = replace(attempt, rate=attempt.rate * 0.6)
        elif count > 1:
            count = 1
        else:
            attempt = replace(attempt, effort=replace(attempt.effort, compile=False, batch=attempt.effort.part(0.5)))
    raise LatenttyError(
        Problem(code="worker_died", cause="The denoiser could not be taught.", hint="The lines above say why.")
    )


def _outcome(processes: list[BaseProcess], pools: list[BaseProcess], until: float) -> int:
    """0 once all `processes` ended well; else the status of the first that did not, and no other runs any more.

    One that has not ended by `until` hangs and is ended.
    """
    try:
        while any(one.exitcode is None for one in processes):
            time.sleep(0.2)
            if any(one.exitcode for one in pools):
                raise LatenttyError(
                    Problem(code="worker_died", cause="The pictures could not be made.", hint="See the lines above.")
                )
            if time.time() > until:
                return OVERRAN
            if failed := [one.exitcode for one in processes if one.exitcode]:
                return DIVERGED if DIVERGED in failed else failed[0]
        return next((one.exitcode for one in processes if one.exitcode), 0)
    finally:
        _stop(processes)


def _started(target: Any, *arguments: object) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def _stop(processes: list[BaseProcess]) -> None:
    for one in processes:
        if one.exitcode is None:
            one.kill()
    for one in processes:
        one.join()


def _latent_task(plan: DenoiserPlan, rank: int, ranks: int) -> LatentTask:
    return LatentTask(
        data=plan.data,
        model=plan.base,
        folder=plan.pool(rank),
        rank=rank,
        processes=max(1, (plan.effort.processes - 2 * ranks) // ranks),
        seed=1000 + 2 * SEEDS_APART * rank,
        effort=plan.effort,
        begun=plan.begun,
    )


def teach(plan: DenoiserPlan, place: Place) -> None:
    """What one of the processes does."""
    device = prepared_device(place.rank)
    log = ProgressLog(f"denoiser {place.rank}", plan.begun)
    try:
        _Teacher(plan, place, device, log).teach()
    except _Diverged as error:
        log(f"DIVERGED: {error}")
        sys.stderr.flush()
        sys.exit(DIVERGED)


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
    """Teaches in the process at `place`."""

    def __init__(self, plan: DenoiserPlan, place: Place, device: torch.device, log: ProgressLog) -> None:
        self._plan, self._place, self._device, self._log = plan, place, device, log
        self._ranks = Ranks(place.rank, place.count, place.port, device)
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
        """Until the time is over; the first process saves the best weights."""
        fast = compiled(self._loss, self._rehearse, self._compiles, self._log)
        if fast is self._loss:
            self._rehearse(fast)
        self._log(f"a step runs{memory_told(self._device)}")
        self._resume()
        pictures = self._pictures()
        self._ranks.summed([0.0])
        self._learn(fast, pictures)
        wait_for(self._device)
        self._log(f"taught, {self._step} steps")
        if self._ranks.is_first:
            self._save_best(self._held_out)
        self._ranks.leave()

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

    def _pictures(self) -> Latents:
        """Those to learn from, once they are made; a few are held out."""
        folder = self._plan.pool(self._place.rank)
        while not (folder / MADE).exists():
            _end_with_parent()
            time.sleep(0.2)
        pictures = read_latents(folder, self._device)
        held = min(HELD_OUT, len(pictures) // 8)
        self._held_out = pictures.part(len(pictures) - held, len(pictures))
        self._log(f"{len(pictures)} pictures, {held} of them held out")
        return pictures.part(0, len(pictures) - held)

    def _learn(self, fast: Loss, usual: Latents) -> None:
        plan, effort, log = self._plan, self._plan.effort, self._log
        others: list[Latents] = []
        losses: list[torch.Tensor] = []
        first, begun, saved = self._step, time.time(), time.time()
        progress_before = self._progress
        span = max(1.0, plan.seconds - log.elapsed())
        torch.manual_seed(1000 + self._place.rank + self._step)
        while True:
            steps = self._step - first
            if steps % CLOCK_EVERY == 0 or self._ranks.count == 1:
                done = effort.progress((time.time() - begun) / span, steps)
                now = progress_before + (1 - progress_before) * done
                self._progress, others = self._agreed(now, others)
            if self._progress >= 1 or (effort.most_steps and steps >= effort.most_steps):
                return
            share = rate_at(self._progress, steps)
            for group in self._optimiser.param_groups:
                group["lr"] = group["base"] * plan.rate * share
            if others and self._step % OTHERS_EVERY == 0:
                own = others[self._step // OTHERS_EVERY % len(others)]
                area = own.latents.shape[2] * own.latents.shape[3]
                batch = max(2, int(effort.batch * OTHERS_BATCH * 1024 / area) // 8 * 8)
                self._descend(self._loss, own, batch)
            else:
                losses.append(self._descend(fast, usual, effort.batch))
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
            if self._ranks.is_first and time.time() - saved >= effort.save_every:
                saved = time.time()
                self._save_state()
                log(f"saved, {time.time() - saved:.1f} s; {plan.seconds - log.elapsed():.0f} s left")

    def _agreed(self, progress: float, others: list[Latents]) -> tuple[float, list[Latents]]:
        """The first process's progress, and the pictures of other sizes once all processes have theirs."""
        _end_with_parent()
        folder = self._plan.pool(self._place.rank)
        made = (folder / OTHERS_MADE).exists()
        told, ready = self._ranks.summed([progress if self._ranks.is_first else 0.0, float(made)])
        if not others and ready > self._ranks.count - 0.5 and told > OTHERS_FROM:
            others = read_other_latents(folder, self._device)
            self._log("other sizes join")
        return told, others

    def _descend(self, loss: Loss, pictures: Latents, batch: int) -> torch.Tensor:
        """One step; its loss."""
        rows = pictures.rows(batch)
        tokens = pictures.captions(rows, self._empty, DROPPED)
        told = self._gradients(loss, pictures.chosen(rows), tokens, self._noising.times(batch))
        self._ranks.average_gradients(self._parameters)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0, foreach=True)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        for average in self._averages:
            average.follow(self._step)
        return told

    def _tell(self, loss: float, steps_each_second: float, share: float) -> None:
        if self._ranks.is_first:
            rate = steps_each_second * self._plan.effort.batch * self._ranks.count
            self._log(
                f"step {self._step}, loss {loss:.4f}, {rate:.0f} pictures/s, {1000 / steps_each_second:.0f} ms a step, "
                f"progress {self._progress:.3f}, rate {UNET_RATE * self._plan.rate * share:.2e}"
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


def _end_with_parent() -> None:
    """Leave when nobody waits for the result any more."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        sys.exit(1)
