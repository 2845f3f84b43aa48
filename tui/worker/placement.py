"""Where weights lie while one picture is drawn, on each rung of the memory ladder.

Hung on the run's own pipeline and taken off after it: nothing of it stays in a view.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from tui.worker.cancel import CancelToken
from tui.worker.component import Component
from tui.worker.conditioning import replaced
from tui.worker.memory import is_out_of_memory, return_memory
from tui.worker.prompt_cache import PromptCache
from tui.worker.relief import Relief
from tui.worker.residents import LoadProgress, Model, Residents
from tui.worker.streaming import blocks_of, streamed

log = logging.getLogger(__name__)


class Placement:
    """Brings the components of one run to the device when they are needed, and not before."""

    def __init__(
        self,
        residents: Residents,
        model: Model,
        controls: Sequence[Component],
        relief: Relief,
        room: int,
        token: CancelToken,
        progress: LoadProgress,
    ) -> None:
        """`room` is how many bytes of weights may stay while others are streamed."""
        self._residents = residents
        self._model = model
        self._relief = relief
        self._room = room
        self._streams: dict[str, ExitStack] = {}
        self._token = token
        self._progress = progress
        self._text = model.text_encoders
        self._rest = [one for one in model.components.values() if one not in self._text] + list(controls)
        self._in_steps = [one for one in self._rest if one is model.denoiser or one in controls]

    @contextmanager
    def around(self, pipeline: Any, prompts: PromptCache, prompt_key: tuple[object, ...]) -> Iterator[None]:
        """While inside, `pipeline` finds its weights where it computes.

        `prompt_key` tells apart what decides an encoded prompt besides the arguments of `encode_prompt`.
        """
        with ExitStack() as undo:
            if self._relief >= Relief.IDLE_DROPPED:
                self._residents.evict_all_but([*self._text, *self._rest])
            if self._relief >= Relief.VAE_TILED:
                undo.enter_context(tiled(pipeline))
            encoded = _nothing
            if self._relief >= Relief.COMPONENTS_OFFLOADED:
                undo.enter_context(self._one_at_a_time())
            elif self._staged(pipeline):
                encoded = self._leave_to_rest
            elif hasattr(pipeline, "encode_prompt"):
                encoded = undo.enter_context(self._coming_meanwhile())
            else:
                self._ensure([*self._text, *self._rest])
            if hasattr(getattr(pipeline, "vae", None), "decode"):
                undo.enter_context(self._decoding(pipeline.vae))
            if hasattr(pipeline, "encode_prompt"):
                undo.enter_context(self._encoding(pipeline, prompts, prompt_key, encoded))
            yield

    def _coming_meanwhile(self) -> AbstractContextManager[Callable[[], None]]:
        """What computes in the steps comes while the prompt is encoded; what is given waits for it."""
        before = [*self._text, *(one for one in self._rest if one not in self._in_steps)]
        return self._residents.arriving(before, self._in_steps, self._token, self._progress)

    def _leave_to_rest(self) -> None:
        """Text encoders leave, and the rest comes."""
        self._residents.evict([component.key for component in self._text])
        self._ensure(self._rest)

    @contextmanager
    def _decoding(self, vae: Any) -> Iterator[None]:
        """While inside, a decoding that memory does not suffice for is done again: alone, then in tiles.

        So the steps before it are not taken again.
        """
        decode = vae.decode

        def decoded(*arguments: Any, **named: Any) -> Any:
            for ease in (self._leave_to_vae, vae.enable_tiling if hasattr(vae, "enable_tiling") else None):
                try:
                    return decode(*arguments, **named)
                except Exception as error:
                    if ease is None or not is_out_of_memory(error):
                        raise
                    log.warning("no memory to decode: %s", str(error).splitlines()[0])
                # outside the handler, so that the tensors that the error's traceback holds are gone
                ease()
                return_memory()
            return decode(*arguments, **named)

        was_tiled = getattr(vae, "use_tiling", False)
        with replaced(vae, "decode", decoded):
            try:
                yield
            finally:
                if getattr(vae, "use_tiling", False) and not was_tiled:
                    vae.disable_tiling()

    def _leave_to_vae(self) -> None:
        """Drop everything but the VAE from the device."""
        self._end_streams(())
        self._residents.evict_all_but([one for name, one in self._model.components.items() if name == "vae"])

    def _staged(self, pipeline: Any) -> bool:
        """Whether text encoders come first and leave before the rest comes."""
        rungs = (Relief.TEXT_ENCODERS_DROPPED, Relief.VAE_TILED)
        return self._relief in rungs and hasattr(pipeline, "encode_prompt")

    @contextmanager
    def _encoding(
        self, pipeline: Any, prompts: PromptCache, prompt_key: tuple[object, ...], then: Callable[[], None]
    ) -> Iterator[None]:
        """The one moment that text encoders are needed in: between the call and the return of `encode_prompt`.

        `then` is done once the prompt is encoded.
        """
        encode, staged = pipeline.encode_prompt, self._staged(pipeline)
        # some pipelines encode their picture before their prompt
        vae = [one for name, one in self._model.components.items() if name == "vae"]

        def encode_prompt(*arguments: Any, **named: Any) -> Any:
            key = prompts.key(prompt_key, arguments, named)
            encoded = prompts.get(key)
            if encoded is None:
                if staged:
                    self._ensure([*self._text, *vae])
                encoded = prompts.put(key, encode(*arguments, **named))
            then()
            return encoded

        if staged:
            self._ensure(vae)
        with replaced(pipeline, "encode_prompt", encode_prompt):
            yield

    def _ensure(self, components: Sequence[Component]) -> None:
        self._residents.ensure(components, self._token, self._progress)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Each component comes when it begins to compute, and the others leave for it; what computes in the same
        steps stays together where it fits, and where not and all else is done, comes block by block."""
        with ExitStack() as undo:
            for component in (*self._text, *self._rest):
                together = self._in_steps if component in self._in_steps else [component]
                undo.enter_context(self._on_demand(component, together))
            try:
                yield
            finally:
                self._end_streams(())
                self._residents.evict([component.key for component in (*self._text, *self._rest)])

    @contextmanager
    def _on_demand(self, component: Component, together: Sequence[Component]) -> Iterator[None]:
        def come(*_: object) -> None:
            if not (component.placed or component.streaming):
                self._come(component, together)

        hook = component.module.register_forward_pre_hook(come, prepend=True)
        entries = [name for name in ("encode", "decode") if hasattr(component.module, name)]
        for name in entries:
            setattr(component.module, name, _after(come, getattr(component.module, name)))
        try:
            yield
        finally:
            hook.remove()
            for name in entries:
                delattr(component.module, name)

    def _come(self, component: Component, together: Sequence[Component]) -> None:
        """Bring `component`, and nothing else stays but `together`."""
        budget, size = self._residents.budget, sum(one.bytes for one in together)
        if self._relief < Relief.LAYERS_STREAMED or not blocks_of(component.module):
            kept = together if size <= budget else [component]
            self._end_streams(kept)
            self._residents.evict_all_but(kept)
            self._ensure([component])
            return
        self._end_streams(together)
        self._residents.evict_all_but(together)
        if size <= self._room:
            self._ensure([component])
            return
        stream = ExitStack()
        stream.enter_context(streamed(component, self._room * component.bytes // size, self._token))
        self._streams[component.key] = stream

    def _end_streams(self, kept: Sequence[Component]) -> None:
        """Stop to stream all components but these."""
        keys = {component.key for component in kept}
        for key in [key for key in self._streams if key not in keys]:
            self._streams.pop(key).close()


def _nothing() -> None:
    """Everything is there."""


def _after(come: Any, method: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        come()
        return method(*arguments, **named)

    return called


@contextmanager
def tiled(pipeline: Any) -> Iterator[None]:
    """While inside, the VAE works in tiles, where it can."""
    vae: Any = getattr(pipeline, "vae", None)
    if not hasattr(vae, "enable_tiling") or getattr(vae, "use_tiling", False):
        yield
        return
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.disable_tiling()
