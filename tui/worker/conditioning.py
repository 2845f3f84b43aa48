"""From a prompt to what a UNet is told: chunks of 75 tokens, weights, clip skip, textual inversions, and steps.

For the families whose text CLIP reads and whose pictures a UNet draws. A short plain prompt goes through the
pipeline's own `encode_prompt`; everything else is encoded here, in the same form.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from tui.library.prompt.chunks import LENGTH, Token, chunked
from tui.library.prompt.emphasis import Weighted, unescaped, weigh
from tui.library.prompt.inversions import named
from tui.library.prompt.reading import is_plain, read
from tui.library.prompt.schedules import Stage, stages
from tui.library.token_counts import tokens_of
from tui.protocol.job import Job
from tui.worker.inversions import Inversion, replaced_rows

Told = tuple[torch.Tensor, torch.Tensor | None]
"""The text as the UNet reads it (1, tokens, width), and pooled (1, width) where the family pools it."""

Frame = tuple[int, torch.Tensor, torch.Tensor | None]
"""The last step that it holds for, and what is told until then."""

Guide = tuple[float, list[Frame]]
"""How strongly one of the prompts pulls that AND joins, and what it says step by step."""

_NO_MEAN: Final = 1e-5
"""A mean below it is rounding, and nothing to keep."""

PLAIN: Final = "plain"
STEERED: Final = "steered"


@dataclass(frozen=True)
class Plan:
    """What the UNet is told during one picture."""

    guides: list[Guide]
    negative: list[Frame]
    """Empty without classifier-free guidance."""

    @property
    def still(self) -> bool:
        """Whether it is the same in every step, and one prompt alone."""
        return len(self.guides) == 1 and len(self.guides[0][1]) == 1 and len(self.negative) <= 1

    def told(self, guide: int, step: int) -> Told:
        """What prompt number `guide` says in `step`."""
        return _at(self.guides[guide][1], step)

    def told_not(self, step: int) -> Told:
        """What the negative prompt says in `step`."""
        return _at(self.negative, step)


def _at(frames: Sequence[Frame], step: int) -> Told:
    for until, text, pooled in frames:
        if step <= until:
            return text, pooled
    return frames[-1][1:]


class Conditioning:
    """The prompts of one job on one pipeline."""

    def __init__(self, job: Job, pipeline: Any, inversions: Sequence[Inversion]) -> None:
        self._job = job
        self._pipeline = pipeline
        self._inversions = {one.name: one for one in inversions}
        self._own = pipeline.encode_prompt
        self._signature = inspect.signature(type(pipeline).encode_prompt)
        names = [name for name in ("", "_2") if getattr(pipeline, f"text_encoder{name}", None) is not None]
        encoders = [getattr(pipeline, f"text_encoder{name}") for name in names]
        tokenizers = [getattr(pipeline, f"tokenizer{name}") for name in names]
        pooled = hasattr(pipeline, "text_encoder_2")
        self._encoders = [
            PromptEncoder(tokenizer, encoder, self._inversions, job.clip_skip, pooled=pooled)
            for tokenizer, encoder in zip(tokenizers, encoders, strict=True)
        ]

    def encode(self, *arguments: Any, **named: Any) -> Any:
        """What `encode_prompt` returns, marked as plain, or the parts of a :class:`Plan`."""
        given = self._signature.bind(self._pipeline, *arguments, **named).arguments
        prompts = [str(given.get("prompt") or ""), str(given.get("prompt_2") or "")]
        negatives = [str(given.get("negative_prompt") or ""), str(given.get("negative_prompt_2") or "")]
        if self._is_simple((*prompts, *negatives)):
            for name in ("prompt", "prompt_2", "negative_prompt", "negative_prompt_2"):
                if isinstance(given.get(name), str):
                    given[name] = unescaped(given[name])
            return PLAIN, self._own(**{name: value for name, value in given.items() if name != "self"})
        guided = bool(given.get("do_classifier_free_guidance", True))
        blank = negatives == ["", ""] and bool(self._pipeline.config.get("force_zeros_for_empty_prompt"))
        plan = self._plan(prompts, negatives, guided=guided, blank=blank)
        return STEERED, plan.guides, plan.negative

    def _is_simple(self, prompts: Sequence[str]) -> bool:
        """Whether the pipeline itself encodes these as we would."""
        if self._job.clip_skip > 1 or not all(is_plain(prompt) for prompt in prompts):
            return False
        if any(named(prompt, self._inversions) for prompt in prompts):
            return False
        return all(encoder.fits(unescaped(prompt)) for encoder in self._encoders for prompt in prompts)

    def _plan(self, prompts: list[str], negatives: list[str], *, guided: bool, blank: bool) -> Plan:
        steps = self._job.steps
        first, second = read(prompts[0], steps), read(prompts[1] or prompts[0], steps)
        guides = [
            (one.weight, self._frames(one.stages, second[min(index, len(second) - 1)].stages))
            for index, one in enumerate(first)
        ]
        against: list[Frame] = []
        if guided and blank:
            _, text, pooled = guides[0][1][0]
            against = [(steps, torch.zeros_like(text), None if pooled is None else torch.zeros_like(pooled))]
        elif guided:
            against = self._frames(stages(negatives[0], steps), stages(negatives[1] or negatives[0], steps))
        longest = max(frame[1].shape[1] for _, frames in (*guides, (1.0, against)) for frame in frames)
        empty = self._empty()

        def filled(frames: list[Frame]) -> list[Frame]:
            return [(until, _filled(text, empty, longest), pooled) for until, text, pooled in frames]

        return Plan([(weight, filled(frames)) for weight, frames in guides], filled(against))

    def _frames(self, first: list[Stage], second: list[Stage]) -> list[Frame]:
        """What both encoders read step by step; each begins anew where either text changes."""
        ends = sorted({stage.until for stage in (*first, *second)})
        return [(end, *self._told(_text_at(first, end), _text_at(second, end))) for end in ends]

    def _told(self, first: str, second: str) -> Told:
        texts = [first, second] if len(self._encoders) > 1 else [first]
        read_by = [encoder.encoded(text) for encoder, text in zip(self._encoders, texts, strict=True)]
        longest = max(text.shape[1] for text, _ in read_by)
        filled = [
            _filled(text, encoder.encoded("")[0], longest)
            for encoder, (text, _) in zip(self._encoders, read_by, strict=True)
        ]
        return torch.cat(filled, dim=-1), read_by[-1][1]

    def _empty(self) -> torch.Tensor:
        return torch.cat([encoder.encoded("")[0] for encoder in self._encoders], dim=-1)


def _text_at(said: Sequence[Stage], step: int) -> str:
    return next(stage.text for stage in said if step <= stage.until)


def _filled(text: torch.Tensor, empty: torch.Tensor, length: int) -> torch.Tensor:
    """`text` with empty chunks behind it, up to `length` tokens."""
    lacking = (length - text.shape[1]) // empty.shape[1]
    return torch.cat([text, *[empty] * lacking], dim=1) if lacking else text


class PromptEncoder:
    """One of the text encoders, with its tokenizer."""

    def __init__(
        self, tokenizer: Any, module: nn.Module, inversions: Mapping[str, Inversion], clip_skip: int, *, pooled: bool
    ) -> None:
        self._tokenizer = tokenizer
        self._module: Any = module
        self._clip_skip = clip_skip
        self._pooled = pooled
        self._vectors = {name: one.rows for name, one in inversions.items()}
        self._rows = [one.vectors(module) for one in inversions.values()]
        self._comma = tokenizer.convert_tokens_to_ids(",</w>")
        self._known: dict[str, Told] = {}

    def fits(self, text: str) -> bool:
        """Whether `text` is one chunk."""
        return len(self._tokenize(text)) <= LENGTH

    def encoded(self, text: str) -> Told:
        """`text`, which has weights but no schedules, as the encoder reads it."""
        if text not in self._known:
            self._known[text] = self._encode(weigh(text))
        return self._known[text]

    def _tokenize(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _encode(self, runs: list[Weighted]) -> Told:
        chunks = chunked(tokens_of(runs, self._tokenize, self._vectors), self._comma)
        device = next(self._module.parameters()).device
        ids = torch.tensor([self._ids(chunk) for chunk in chunks], device=device)
        rows = torch.cat(self._rows) if self._rows else None
        with replaced_rows(self._module, ids, rows):
            output = self._module(ids.clamp(min=0), output_hidden_states=True)
        weights = torch.tensor([self._weights(chunk) for chunk in chunks], device=device)
        text = _weighed(self._layer(output), weights)
        pooled = output[0][:1] if self._pooled and output[0].ndim == 2 else None
        return text.reshape(1, -1, text.shape[-1]).to(self._module.dtype), pooled

    def _ids(self, chunk: list[Token]) -> list[int]:
        begin, end, fill = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, self._tokenizer.pad_token_id
        return [begin, *(token.id for token in chunk), end, *[fill] * (LENGTH - len(chunk))]

    def _weights(self, chunk: list[Token]) -> list[float]:
        return [1.0, *(token.weight for token in chunk), *[1.0] * (LENGTH + 1 - len(chunk))]

    def _layer(self, output: Any) -> torch.Tensor:
        """What the UNet reads: the layer that the family and clip skip say."""
        if self._pooled:  # SDXL begins at the last layer but one, and does not normalise
            layer: torch.Tensor = output.hidden_states[-(self._clip_skip + 1)]
            return layer
        if self._clip_skip == 1:
            last: torch.Tensor = output[0]
            return last
        norm = next(part for name, part in self._module.named_modules() if name.endswith("final_layer_norm"))
        normalised: torch.Tensor = norm(output.hidden_states[-self._clip_skip])
        return normalised


def _weighed(chunks: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Each chunk's tokens times their weights, its mean as it was.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `EmphasisOriginal`.
    """
    weighed = []
    for chunk, weight in zip(chunks, weights, strict=True):
        if bool((weight == 1).all()):
            weighed.append(chunk)
            continue
        scaled = chunk * weight.to(chunk.dtype)[:, None]
        before, after = chunk.mean(), scaled.mean()
        weighed.append(scaled * (before / after) if min(abs(before), abs(after)) > _NO_MEAN else scaled)
    return torch.stack(weighed)


def unpacked(encoded: Any, *, pooled: bool) -> tuple[Any, Plan | None]:
    """What `encode_prompt` would return, and the plan to steer by where that is not all."""
    if encoded[0] == PLAIN:
        return encoded[1], None
    plan = Plan(encoded[1], encoded[2])
    text, text_pooled = plan.told(0, 1)
    against, against_pooled = plan.told_not(1) if plan.negative else (None, None)
    result = (text, against, text_pooled, against_pooled) if pooled else (text, against)
    return result, None if plan.still else plan


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """While inside, `owner` has `value` as its attribute `name`."""
    before = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
