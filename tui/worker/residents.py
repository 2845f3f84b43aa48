"""The models that are known and where their weights are. Runs on the device thread alone."""

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from tui.library.families import Family
from tui.protocol.events import Reader, ResidentComponent
from tui.worker.adapters import AdapterSet
from tui.worker.assembling import blueprint_of
from tui.worker.blueprint import Blueprint, Part
from tui.worker.bus import Bus
from tui.worker.cancel import CancelToken
from tui.worker.component import Component, Link
from tui.worker.control_file import control_part
from tui.worker.host_tier import HostTier
from tui.worker.ledger import Ledger
from tui.worker.memory import return_memory, trim_heap
from tui.worker.part_loading import check_tokenizers, holds_weights, load_module, load_processor, same_weights
from tui.worker.planner import Evict, Need, plan
from tui.worker.quantised import in_eight_bits
from tui.worker.single_file import FilePart
from tui.worker.skeleton import uncollected
from tui.worker.text_override import encoder_part
from tui.worker.vae_override import check_vae, vae_part

log = logging.getLogger(__name__)

LoadProgress = Callable[[str, int, int], None]
"""Told the component's name, the bytes that are on the device, and all that are on their way, as on the disk."""


RETIRED: Final = 16
"""Components and tokenizers that nobody has any more and that are kept in case someone wants them again: skeletons
whose weights are in their files alone."""

Seen = tuple[tuple[str, int, int, int], ...]
"""Path, size, time of change and inode of files."""


@dataclass
class Model:
    """A model that is known: what every pipeline of it is built from."""

    name: str
    blueprint: Blueprint
    parts: dict[str, Component | Any]
    """Components, tokenizers, or None, by their name in the pipeline."""
    views: dict[tuple[str, ...], Any] = field(default_factory=dict)
    """Pipelines built so far, by class and by what else they were built from."""
    adapters: AdapterSet = field(default_factory=AdapterSet)
    seen: Seen = ()
    """Its files when they were last looked into."""

    @property
    def family(self) -> Family:
        return self.blueprint.family

    @property
    def path(self) -> str:
        return str(self.blueprint.path)

    @property
    def components(self) -> dict[str, Component]:
        """The parts that hold weights."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Component)}

    @property
    def text_encoders(self) -> list[Component]:
        """The components that only prompts need."""
        return [part for name, part in self.components.items() if name.startswith("text_encoder")]

    @property
    def denoiser(self) -> Component | None:
        """The component that computes in every step."""
        return next((self.components[name] for name in ("unet", "transformer") if name in self.components), None)

    def modules(self) -> dict[str, Any]:
        """The parts as a pipeline takes them."""
        return {name: part.module if isinstance(part, Component) else part for name, part in self.parts.items()}


class Residents:
    """Knows models and ControlNets, and keeps what is on the device within the budget."""

    def __init__(self, device: torch.device, dtype: torch.dtype, budget: int, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self.device = device
        self.dtype = dtype
        self.budget = budget
        self.ledger = Ledger()
        self.link = Link(Bus(device), HostTier()) if device.type == "cuda" else None
        self._placer = ThreadPoolExecutor(1, thread_name_prefix="placer")
        self._models: dict[str, Model] = {}
        self._replaced: dict[tuple[str, ...], Model] = {}
        self._controlnets: dict[str, Component] = {}
        self._known: dict[str, tuple[Part, Component]] = {}
        self._retired: OrderedDict[str, tuple[Part, Component]] = OrderedDict()
        self._processors: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        self._wanted: set[str] = set()
        self._pinned: set[str] = set()

    @property
    def reader(self) -> Reader:
        """How weights come to the device just now."""
        return "direct" if self.link is None else self.link.bus.reader

    def model(self, name: str, path: str) -> Model:
        """The model in `path`: known already and unchanged on the disk, or read now.

        Reading maps its files and builds its modules; no weight moves.

        Raises:
            LatenttyError: it is missing or damaged; whatever was known before still is.
        """
        known = self._models.get(path)
        if known is not None and known.seen == _seen(known.blueprint):
            return known
        blueprint = blueprint_of(Path(path), self._folders)
        keys = {part.name: part.key for part in blueprint.parts.values() if part is not None}
        if known is not None and keys == _keys(known.blueprint):
            known.seen = _seen(known.blueprint)
            return known
        for part in blueprint.parts.values():
            for file in part.files if part is not None else ():
                self.expect(str(file.resolve()))
        parts = {label: part and self._part(part) for label, part in blueprint.parts.items()}
        for label, settings in blueprint.family.settings.items():
            module: Any = _module(parts[label])
            module.register_to_config(**settings)
        check_tokenizers(blueprint.path, {name: _module(part) for name, part in parts.items()})
        if known is not None:  # its files have changed
            self.forget(path)
        model = Model(name=name, blueprint=blueprint, parts=parts, seen=_seen(blueprint))
        for label, component in model.components.items():
            self.ledger.enter(component, path, label)
        self._models[path] = model
        return model

    def expect(self, path: str) -> None:
        """The weight file at `path` is needed soon: make its way to a GPU short in the background."""
        if self.link is not None:
            self.link.host.begin_cached([path])

    def with_vae(self, model: Model, path: Path) -> Model:
        """`model` with the VAE at `path`, a file or folder, instead of its own; all else is shared.

        Raises:
            LatenttyError: it is missing, damaged, or was made for other latents.
        """
        part = vae_part(model.blueprint, path)
        component = self._component(part)
        check_vae(path, component.module, model.components["vae"].module)
        return self._with(model, part, component)

    def with_text_encoder(self, model: Model, path: Path) -> Model:
        """`model` with the text encoder at `path` instead of the one of its own that is like it; all else is shared.

        Raises:
            LatenttyError: it is missing, damaged, or like none of the model's.
        """
        part = encoder_part(model.blueprint, path)
        return self._with(model, part, self._component(part))

    def in_eight_bits(self, model: Model) -> Model:
        """`model` with a denoiser whose weights have 8 bits each; all else is shared.

        Raises:
            LatenttyError: it cannot be read so.
        """
        assert model.denoiser is not None, "every model that is drawn with has one"
        own = model.blueprint.parts[model.denoiser.name]
        assert own is not None, "it was read from its blueprint"
        part = in_eight_bits(own)
        return self._with(model, part, self._component(part))

    def _with(self, model: Model, part: Part, component: Component) -> Model:
        """`model` with another component; built once."""
        key = (model.path, *(one.key for one in model.components.values()), part.name, part.key)
        if key not in self._replaced:
            parts = model.parts | {part.name: component}
            self._replaced[key] = Model(model.name, model.blueprint, parts, adapters=model.adapters)
            self.ledger.enter(component, model.path, part.name)
        return self._replaced[key]

    def controlnet(self, path: str) -> Component:
        """The ControlNet in `path`, known or read now; no weight moves.

        Raises:
            LatenttyError: it is missing or damaged.
        """
        part = control_part(Path(path))
        known = self._controlnets.get(path)
        if known is not None and known.key == part.key:
            return known
        component = self._component(part)
        self.forget(path)
        self.ledger.enter(component, path, "controlnet")
        self._controlnets[path] = component
        return component

    def holds(self, path: str) -> bool:
        """Whether the ControlNet in `path` is known and on the device."""
        known = self._controlnets.get(path)
        return known is not None and known.placed

    def ensure(self, components: Iterable[Component], token: CancelToken, progress: LoadProgress) -> None:
        """Have every one of `components` on the device, and nothing above the budget at any moment.

        Raises:
            DoesNotFit: they are larger than the budget.
            Cancelled: `token` said so; what was placed before still is.
        """
        with self.arriving(components, (), token, progress) as arrive:
            arrive()

    @contextmanager
    def arriving(
        self, first: Iterable[Component], then: Iterable[Component], token: CancelToken, progress: LoadProgress
    ) -> Iterator[Callable[[], None]]:
        """As :meth:`ensure` of all; inside, those of `then` may still be on their way.

        Gives what waits for them, and raises what stopped them.
        """
        early, late = ({component.key: component for component in ones} for ones in (first, then))
        wanted = early | late
        actions = plan([Need(key, one.bytes) for key, one in wanted.items()], self.ledger.held(), self.budget)
        self.evict([action.key for action in actions if isinstance(action, Evict)])
        missing = [component for component in wanted.values() if not component.placed]
        total, done = sum(component.stored_bytes for component in missing), 0

        def place(ones: Sequence[Component]) -> None:
            for component in ones:

                def advance(size: int, name: str = component.name) -> None:
                    nonlocal done
                    done += size
                    progress(name, done, total)

                component.place(token, advance)

        place([component for component in missing if component.key in early])
        behind = [component for component in missing if component.key not in early]
        coming = self._placer.submit(place, behind) if behind else None

        def arrive() -> None:
            if coming is not None:
                coming.result()
            self.ledger.use(wanted)

        try:
            yield arrive
        finally:
            if coming is not None:
                wait([coming])  # nobody else moves weights meanwhile

    def evict(self, keys: Iterable[str]) -> None:
        """Drop these from the device; nothing is copied back."""
        dropped = [component for key in keys if (component := self._known[key][1]).placed]
        for component in dropped:
            log.info("dropping %s (%d MB)", component.name, component.bytes >> 20)
            component.drop()
        if dropped and self.device.type == "cpu":
            trim_heap()  # a GPU's memory stays with torch, which gives it to what comes next

    def want(self, path: str) -> None:
        """Someone means to use the ControlNet in `path` soon: it goes last."""
        self._wanted.add(path)
        self.ledger.want(self._wanted | self._pinned)

    def unwant(self, path: str) -> None:
        """Nobody means to any more."""
        self._wanted.discard(path)
        self.ledger.want(self._wanted | self._pinned)

    def pin(self, path: str, *, pinned: bool) -> None:
        """The model in `path` goes last and stays when all is unloaded for want of work, or no longer."""
        (self._pinned.add if pinned else self._pinned.discard)(path)
        self.ledger.want(self._wanted | self._pinned)

    def shrink(self) -> None:
        """Drop what is above the budget, after the budget has changed."""
        self.evict(action.key for action in plan([], self.ledger.held(), self.budget) if isinstance(action, Evict))
        return_memory()

    def evict_all_but(self, kept: Iterable[Component]) -> None:
        """Drop everything else from the device."""
        keys = {component.key for component in kept}
        self.evict([entry.component.key for entry in self.ledger if entry.component.key not in keys])

    def forget(self, path: str) -> None:
        """Nobody needs the model or ControlNet in `path`: free its memory, unless others share it."""
        self._models.pop(path, None)
        self._replaced = {key: model for key, model in self._replaced.items() if key[0] != path}
        self._controlnets.pop(path, None)
        for gone in self.ledger.forget(path):
            self._retire(*self._known.pop(gone.key))
        if self.link is not None:
            self.link.host.release_changed()
        return_memory()

    def forget_all(self, *, keep_pinned: bool = False) -> None:
        """Free everything, or everything that is not pinned."""
        kept = self._pinned if keep_pinned else set()
        for path in [*self._models, *self._controlnets]:
            if path not in kept:
                self.forget(path)

    def find(self, name: str) -> Model | None:
        """The known model of that name."""
        return next((model for model in self._models.values() if model.name == name), None)

    def report(self) -> list[ResidentComponent]:
        """Every known component, and where it is."""
        names = {path: model.name for path, model in self._models.items()}
        return [
            ResidentComponent(
                model=", ".join(names.get(user, Path(user).name) for user in entry.users),
                name=next(iter(entry.users.values())),
                bytes=entry.component.bytes,
                device=str(self.device) if entry.component.placed else "disk",
            )
            for entry in self.ledger
        ]

    def _part(self, part: Part) -> Component | Any:
        if holds_weights(part):
            return self._component(part)
        key = part.key, _files(part.folder)
        if key not in self._processors:
            self._processors[key] = load_processor(part)
        self._processors.move_to_end(key)
        while len(self._processors) > RETIRED:
            self._processors.popitem(last=False)
        return self._processors[key]

    def _retire(self, part: Part, component: Component) -> None:
        """Drop `component`, and keep its skeleton for a while, unless adapters were built into it."""
        component.drop()
        if not hasattr(component.module, "peft_config"):
            component.forget_pages()
            self._retired[part.key] = part, component
        while len(self._retired) > RETIRED:
            self._retired.popitem(last=False)

    def _component(self, part: Part) -> Component:
        """The component for `part`: one that is known and equal, or a new one."""
        if part.key in self._known:
            return self._known[part.key][1]
        if part.key in self._retired:
            self._known[part.key] = self._retired.pop(part.key)
            return self._known[part.key][1]
        twin = next((one for known, one in self._known.values() if same_weights(known, part)), None)
        if twin is not None:
            return twin
        with uncollected():
            module = load_module(part, self.dtype)
            component = Component.around(part.key, part.name, module, self.device, self.dtype, self.link)
        self._known[part.key] = part, component
        return component


def _keys(blueprint: Blueprint) -> dict[str, str]:
    return {part.name: part.key for part in blueprint.parts.values() if part is not None}


def _seen(blueprint: Blueprint) -> Seen:
    """The files of a model as they are now."""
    parts = [part for part in blueprint.parts.values() if part is not None]
    folders = {part.folder for part in parts} | {
        file for part in parts if isinstance(part, FilePart) for file in part.files
    }
    places = {blueprint.path, *(folder for folder in folders if blueprint.path not in folder.parents)}
    return tuple(one for place in sorted(places) for one in _files(place))


def _files(place: Path) -> Seen:
    """The files at `place` and below, as they are now."""
    if not place.is_dir():
        return (_told(str(place), place.stat()),) if place.exists() else ()
    found: list[tuple[str, int, int, int]] = []
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a model's many files are looked at before each job
            with suppress(FileNotFoundError):  # a link that leads nowhere
                found.append(_told(path, os.stat(path)))  # noqa: PTH116
    return tuple(sorted(found))


def _told(path: str, found: os.stat_result) -> tuple[str, int, int, int]:
    return path, found.st_size, found.st_mtime_ns, found.st_ino


def _module(part: object) -> object:
    return part.module if isinstance(part, Component) else part
