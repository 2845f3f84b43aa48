"""A prompt that changes between steps, or several at once: what the UNet is told is exchanged at each of its calls."""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from tui.worker.conditioning import Plan, Told, replaced
from tui.worker.observed import Progress


class Steering:
    """Follows one run through its steps by a plan."""

    def __init__(self, plan: Plan, scheduler: Any, progress: Progress, steps: int) -> None:
        self._plan = plan
        self._scheduler = scheduler
        self._progress = progress
        self._steps = steps
        self._calls = 0

    def step(self, timestep: Any) -> int:
        """The step, from 1, of a call for `timestep`; of an image-to-image run, the part that runs is the whole."""
        if not self._calls:
            timesteps = [float(one) for one in self._scheduler.timesteps]
            at = float(torch.as_tensor(timestep).flatten()[0])
            self._calls = len(timesteps) - (timesteps.index(at) if at in timesteps else 0)
        return min(self._progress.done * self._steps // self._calls + 1, self._steps)

    def unet(self, forward: Callable[..., Any], module: nn.Module) -> Callable[..., Any]:
        """The UNet's `forward`, told what the step's prompts say."""
        signature = inspect.signature(type(module).forward)

        @functools.wraps(forward)
        def told(*arguments: Any, **named: Any) -> Any:
            given = signature.bind(module, *arguments, **named).arguments
            del given["self"]
            step = self.step(given["timestep"])
            drawn = [
                (weight, forward(**self._with(given, guide, step) | {"return_dict": False})[0])
                for guide, (weight, _) in enumerate(self._plan.guides)
            ]
            return (drawn[0][1] if len(drawn) == 1 else self._joined(drawn),)

        return told

    def controlnet(self, forward: Callable[..., Any], module: nn.Module) -> Callable[..., Any]:
        """A ControlNet's `forward`; of several prompts it is told the first."""
        signature = inspect.signature(type(module).forward)

        @functools.wraps(forward)
        def told(*arguments: Any, **named: Any) -> Any:
            given = signature.bind(module, *arguments, **named).arguments
            del given["self"]
            return forward(**self._with(given, 0, self.step(given["timestep"])))

        return told

    def _with(self, given: dict[str, Any], guide: int, step: int) -> dict[str, Any]:
        """`given` with what prompt number `guide` says in `step` put in."""
        before: torch.Tensor = given["encoder_hidden_states"]
        text, pooled = self._batch(guide, step, before.shape[0])
        changed = given | {"encoder_hidden_states": text.to(before)}
        added = given.get("added_cond_kwargs")
        if added and "text_embeds" in added and pooled is not None:
            changed["added_cond_kwargs"] = added | {"text_embeds": pooled.to(added["text_embeds"])}
        return changed

    def _batch(self, guide: int, step: int, rows: int) -> Told:
        text, pooled = self._plan.told(guide, step)
        if rows == 1 or not self._plan.negative:
            return text, pooled
        against, against_pooled = self._plan.told_not(step)
        both = None if pooled is None or against_pooled is None else torch.cat([against_pooled, pooled])
        return torch.cat([against, text]), both

    def _joined(self, drawn: Sequence[tuple[float, torch.Tensor]]) -> torch.Tensor:
        """One prediction from several: each pulls away from the negative prompt as strongly as its weight says."""
        if self._plan.negative:
            against = drawn[0][1].chunk(2)[0]
            pull = sum(weight * (one.chunk(2)[1] - against) for weight, one in drawn)
            return torch.cat([against, against + pull])
        total = sum(weight for weight, _ in drawn) or 1.0
        return torch.stack([one * (weight / total) for weight, one in drawn]).sum(dim=0)

    @contextmanager
    def around(self, unet: nn.Module, controlnets: Sequence[nn.Module]) -> Iterator[None]:
        """While inside, `unet` and `controlnets` are told what the plan says."""
        with ExitStack() as undo:
            undo.enter_context(replaced(unet, "forward", self.unet(unet.forward, unet)))
            for net in controlnets:
                undo.enter_context(replaced(net, "forward", self.controlnet(net.forward, net)))
            yield
