"""A component: a module's skeleton, its weights in their files, and whether they lie on the device.

Weights are immutable. Placing a component copies them from the mapped files to the device; dropping it frees them
there and copies nothing back. A dropped module keeps its shapes and types over a single element of storage, so that
pipelines built around it stay valid, and refuses to compute.
"""

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import torch
from torch import nn

from tui.worker.bitsandbytes_weights import as_parameter, is_packed, let_go, scales_of, sent_to
from tui.worker.bus import Arrival, Bus, Copy, aligned
from tui.worker.cancel import CancelToken
from tui.worker.file_runs import Places, Run, locate, runs_of
from tui.worker.host_tier import HostTier
from tui.worker.lost_device import device_watched
from tui.worker.mapped_pages import MappedPages

Progress = Callable[[int], None]
"""Told the bytes, as on the disk, that one more tensor had."""


CASTS: Final = 512 << 20
"""Bytes that lie on a GPU as the file has them at most, while they become the type that is wanted."""


@dataclass(frozen=True)
class Link:
    """How weights come to a GPU."""

    bus: Bus
    host: HostTier


@dataclass
class _Weight:
    """One tensor of the module and where it comes from."""

    tensor: torch.Tensor
    """The module's own parameter or buffer; its identity never changes."""
    mapped: torch.Tensor
    """As the file has it."""
    dtype: torch.dtype
    """On the device."""
    stored_bytes: int
    """In the file; 0 for buffers that the skeleton makes up."""
    hollow: torch.Tensor
    """What stands in for it and takes no memory, of the shape and type that it has on the device."""
    owner: nn.Module | None = None
    """Of a quantised weight, which is several tensors in one and is exchanged whole: the layer that it belongs to."""
    label: str = ""
    """What the owner calls it."""

    @cached_property
    def bytes(self) -> int:
        """On the device."""
        return self.stored_bytes if self.owner is not None else self.mapped.numel() * self.dtype.itemsize

    def bring(self, device: torch.device) -> None:
        """Have it on `device`, by torch's own copy."""
        if self.owner is None:
            self.tensor.data = self.mapped.to(device=device, dtype=self.dtype)
        else:
            self._exchange(sent_to(device, self.mapped))

    def leave(self) -> None:
        """Free its memory."""
        if self.owner is None:
            self.tensor.data = self.hollow
        else:
            self._exchange(self.hollow)
            let_go(self.owner)

    def _exchange(self, tensor: torch.Tensor) -> None:
        assert self.owner is not None
        self.tensor = self.owner._parameters[self.label] = as_parameter(tensor)

    @property
    def cast_bytes(self) -> int:
        """As the file has it, where that is of another type; else 0."""
        return 0 if self.mapped.dtype == self.dtype else self.mapped.nbytes


def is_quantised(tensor: torch.Tensor) -> bool:
    """Whether `tensor` is several in one: blocks of few bits with their scales."""
    return is_packed(tensor) or hasattr(tensor.data, "__tensor_flatten__")


def bytes_of(tensor: torch.Tensor) -> int:
    """Of all that a tensor consists of."""
    if not hasattr(tensor.data, "__tensor_flatten__"):
        return tensor.nbytes + sum(scales.nbytes for scales in scales_of(tensor))
    names, _ = tensor.data.__tensor_flatten__()
    return sum(bytes_of(getattr(tensor.data, name)) for name in names)


@dataclass
class Component:
    """One module of one or several models."""

    key: str
    """Equal for equal weights in equal files, whatever model they belong to."""
    name: str
    """What the first model calls it, such as "unet"."""
    module: nn.Module
    device: torch.device
    placed: bool = False
    """Whether all of its weights are there."""
    streaming: bool = False
    """Whether they come and go block by block."""
    reload_seconds: float = 0.0
    """What placing it took the last time."""
    link: Link | None = None
    """None where torch's own copy is as good: on a CPU."""
    captured: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    """What was made for the weights as they lie now, such as CUDA graphs; it goes when they do."""
    compiled: bool = False
    """Its blocks run compiled just now."""
    refuses_compiling: bool = False
    """Compiling its blocks was tried and failed."""
    _weights: list[_Weight] = field(default_factory=list)
    _parts: dict[nn.Module, list[_Weight]] = field(default_factory=dict)
    """The weights of modules inside, once they were asked for."""
    _places: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Which file each mapped tensor comes from, and where in it, by its address."""

    @classmethod
    def around(
        cls, key: str, name: str, module: nn.Module, device: torch.device, dtype: torch.dtype, link: Link | None = None
    ) -> "Component":
        """A component for `module` as it was read from its files; it is dropped at first.

        Weights that the library kept in fp32 although the file is smaller are meant to stay fp32. Of a quantised
        module all stay as they are.
        """
        module.eval()
        parameters = dict(module.named_parameters())
        types = {weight.dtype for weight in parameters.values()}
        quantised = any(not one.dtype.is_floating_point or is_quantised(one) for one in parameters.values())
        kept = types if quantised else {torch.float32} if types - {torch.float32} else set()
        buffers = dict(module.named_buffers())
        made_up = buffers.keys() - module.state_dict().keys() if buffers else set()
        component = cls(key=key, name=name, module=module, device=device, link=link)
        hollow = _Hollow(device)
        for label, tensor in (parameters | buffers).items():
            if is_quantised(tensor):
                place, _, mine = label.rpartition(".")
                owner, stand_in = module.get_submodule(place), hollow.like(tensor, tensor.dtype)
                component._weights.append(
                    _Weight(tensor, tensor, tensor.dtype, bytes_of(tensor), stand_in, owner, mine)
                )
                continue
            wanted = dtype if tensor.is_floating_point() and tensor.dtype not in kept else tensor.dtype
            mapped = tensor.data.as_subclass(torch.Tensor)
            size = 0 if label in made_up else mapped.nbytes
            component._weights.append(_Weight(tensor, mapped, wanted, size, hollow.like(mapped, wanted)))
        component.reload_seconds = component.stored_bytes / 1e9  # a guess until it has been placed once
        for part in (module, *module.children()):
            part.register_forward_pre_hook(component._refuse_when_dropped)
        component.drop()
        return component

    @cached_property
    def bytes(self) -> int:
        """On the device, when it is placed."""
        return sum(weight.bytes for weight in self._weights)

    @property
    def stored_bytes(self) -> int:
        """In its files."""
        return sum(weight.stored_bytes for weight in self._weights)

    def place(self, token: CancelToken, progress: Progress) -> None:
        """Bring every tensor to the device.

        Raises:
            Cancelled: `token` said so, between two tensors; the component is then dropped.
        """
        begun = time.monotonic()
        try:
            with device_watched():
                if self.link is not None:
                    self._place_by(self.link, self._weights, token, progress)
                else:
                    self._place_here(token, progress)
        except BaseException:
            self.drop()
            raise
        self.placed = True
        self.reload_seconds = time.monotonic() - begun

    def _place_here(self, token: CancelToken, progress: Progress) -> None:
        """Place every tensor on the CPU: as it is mapped, or cast, and then its pages are given back."""
        cast = MappedPages([weight.mapped for weight in self._weights if weight.cast_bytes and weight.stored_bytes])
        for weight in self._weights:
            token.check()
            weight.bring(self.device)
            progress(weight.stored_bytes)
            if weight.cast_bytes and weight.stored_bytes:
                cast.add(weight.mapped)
        cast.give_back()

    def _place_by(self, link: Link, weights: list[_Weight], token: CancelToken, progress: Progress) -> None:
        """Place these tensors in one stretch of device memory, over the bus."""
        for weight in (one for one in weights if one.owner is not None):
            token.check()
            weight.bring(self.device)
            progress(weight.stored_bytes)
        weights = [one for one in weights if one.owner is None]
        targets = self._laid_out(weights)
        for weight, target in zip(weights, targets, strict=True):
            if not weight.stored_bytes:
                target.copy_(weight.mapped)
        stored = [weight for weight in weights if weight.stored_bytes]
        goals = [target for weight, target in zip(weights, targets, strict=True) if weight.stored_bytes]

        def arrived(label: int) -> None:
            progress(stored[label].stored_bytes)

        if not self._sent_in_runs(link, stored, goals, token, arrived):
            self._send_by_ring(link, stored, goals, token, arrived)
        for weight, target in zip(weights, targets, strict=True):
            weight.tensor.data = target

    def _laid_out(self, weights: list[_Weight]) -> list[torch.Tensor]:
        """Where `weights` will be: tensors in one stretch of device memory."""
        size = sum(aligned(weight.bytes) for weight in weights)
        whole = torch.empty(size, dtype=torch.uint8, device=self.device)
        typed = {dtype: whole.view(dtype) for dtype in {weight.dtype for weight in weights}}
        targets, begin = list[torch.Tensor](), 0
        for weight in weights:
            shape, place = weight.mapped.shape, begin // weight.dtype.itemsize
            targets.append(typed[weight.dtype].as_strided(shape, _contiguous_strides(shape), place))
            begin += aligned(weight.bytes)
        return targets

    def _sent_in_runs(
        self, link: Link, weights: list[_Weight], targets: list[torch.Tensor], token: CancelToken, arrived: Progress
    ) -> bool:
        """Send `weights` to `targets`, when all of their files are registered with CUDA; whether they are."""
        runs = self._all_runs if len(weights) == len(self._stored) else self._runs(weights)
        if not runs:
            return False
        places = [(run.path, run.begin) for run in runs]
        link.host.await_cached(places, token)
        with link.host.held(places) as addresses:
            if addresses is None:
                link.host.begin(path for path, _ in places)
                return False
            link.bus.send_runs(runs, addresses, targets, token, arrived)
        return True

    @cached_property
    def _stored(self) -> list[_Weight]:
        """Those that are one tensor each and lie in a file."""
        return [weight for weight in self._weights if weight.owner is None and weight.stored_bytes]

    @cached_property
    def _all_runs(self) -> list[Run]:
        return self._runs(self._stored)

    def _runs(self, weights: list[_Weight]) -> list[Run]:
        """The runs of files that hold `weights`; none where they are not mapped as they are."""
        sources = [weight.mapped for weight in weights]
        places = self._located(sources) if all(one.is_contiguous() for one in sources) else None
        return runs_of(sources, places) if places else []

    def _send_by_ring(
        self, link: Link, weights: list[_Weight], targets: list[torch.Tensor], token: CancelToken, arrived: Progress
    ) -> None:
        """As :meth:`_sent_in_runs`, from wherever they are."""
        same, other = list[int](), list[int]()
        for label, weight in enumerate(weights):
            (other if weight.cast_bytes or not weight.mapped.is_contiguous() else same).append(label)
        link.bus.send([Copy(weights[label].mapped, targets[label], label) for label in same], token, arrived)
        for group in _grouped(weights, other):
            copies = [
                Copy(mapped, torch.empty_like(mapped, device=self.device), label)
                for label in group
                for mapped in [weights[label].mapped.contiguous()]
            ]
            link.bus.send(copies, token, arrived)
            for copy in copies:
                targets[copy.label].copy_(copy.target)

    def place_where(self, wanted: Callable[[torch.Tensor], bool], token: CancelToken) -> None:
        """Bring only the tensors that are `wanted` to the device."""
        chosen = [weight for weight in self._weights if wanted(weight.tensor)]
        if self.link is not None:
            self._place_by(self.link, chosen, token, lambda _: None)
            return
        for weight in chosen:
            token.check()
            weight.bring(self.device)

    def place_part(self, part: nn.Module) -> None:
        """Bring only the tensors of `part`, a module inside, to the device."""
        for weight in self._of(part):
            weight.bring(self.device)

    def bytes_inside(self, part: nn.Module) -> int:
        """Of the weights of `part`, a module inside, on the device."""
        return sum(weight.bytes for weight in self._of(part))

    def room_inside(self, part: nn.Module) -> int:
        """The bytes that :meth:`send_part` needs for `part`."""
        return sum(aligned(weight.bytes) + aligned(weight.cast_bytes) for weight in self._plain(part))

    @contextmanager
    def registered(self, parts: Sequence[nn.Module]) -> Iterator[dict[int, tuple[int, int]]]:
        """Where the tensors of `parts` lie in memory that CUDA knows as pinned, and in their files, by their address;
        nothing where that cannot be. It holds for as long as one is inside; the first time takes a while."""
        assert self.link is not None, "there is a bus"
        sources = [weight.mapped for part in parts for weight in self._plain(part) if weight.stored_bytes]
        places = self._located(sources) if all(one.is_contiguous() for one in sources) else None
        if not places:
            yield {}
            return
        self.link.host.begin(path for path, _ in places)
        self.link.host.wait()
        with self.link.host.held(places) as addresses:
            begins = [(address, offset) for address, (_, offset) in zip(addresses or (), places, strict=False)]
            yield {one.data_ptr(): begin for one, begin in zip(sources, begins, strict=False)}

    def send_part(
        self, part: nn.Module, memory: torch.Tensor, after: Any, begins: dict[int, tuple[int, int]]
    ) -> Arrival:
        """Begin to send the tensors of `part` to `memory` on the device, once the event `after` has happened.

        `begins` is what :meth:`registered` gave; without it, they are there when this returns.
        """
        assert self.link is not None, "there is a bus to send it over"
        for weight in self._of(part):
            if weight.owner is not None:
                weight.bring(self.device)
        copies, targets, begin = [], [], 0
        for label, weight in enumerate(self._plain(part)):
            target = memory[begin : begin + weight.bytes].view(weight.dtype).view(weight.mapped.shape)
            begin += aligned(weight.bytes)
            source, raw = weight.mapped.contiguous(), target
            if weight.cast_bytes:
                raw = memory[begin : begin + weight.cast_bytes].view(source.dtype).view(source.shape)
                begin += aligned(weight.cast_bytes)
            targets.append(target)
            if weight.stored_bytes:
                copies.append(Copy(source, raw, label))
            else:
                target.copy_(weight.mapped)
        goals = [targets[copy.label] for copy in copies]
        if begins:
            addresses = [begins[copy.source.data_ptr()] for copy in copies]
            return Arrival(targets, self.link.bus.send_later(copies, addresses, goals, after))
        self.link.bus.send(copies, CancelToken(), lambda _: None)
        for copy, goal in zip(copies, goals, strict=True):
            if copy.target is not goal:
                goal.copy_(copy.target)
        return Arrival(targets, self.link.bus.now())

    def point_part(self, part: nn.Module, targets: list[torch.Tensor]) -> None:
        """The tensors of `part` lie in `targets` now."""
        for weight, target in zip(self._plain(part), targets, strict=True):
            weight.tensor.data = target

    def drop_part(self, part: nn.Module) -> None:
        """Free only the tensors of `part`."""
        for weight in self._of(part):
            weight.leave()

    def drop(self) -> None:
        """Free the device's memory."""
        self.placed = self.streaming = False
        self.captured.clear()
        for weight in self._weights:
            weight.leave()

    def forget_pages(self) -> None:
        """Give the memory that its mapped files take in this process back to the kernel."""
        pages = MappedPages([weight.mapped for weight in self._weights])
        for weight in self._weights:
            pages.add(weight.mapped)
        pages.give_back()

    def _of(self, part: nn.Module) -> list[_Weight]:
        known = self._parts.get(part)
        if known is None:
            inside = {id(tensor) for tensor in itertools.chain(part.parameters(), part.buffers())}
            known = self._parts[part] = [weight for weight in self._weights if id(weight.tensor) in inside]
        return known

    def _plain(self, part: nn.Module) -> list[_Weight]:
        """Those of `part` that are one tensor each, which a bus can carry."""
        return [weight for weight in self._of(part) if weight.owner is None]

    def _located(self, sources: list[torch.Tensor]) -> Places | None:
        """Where `sources` are mapped from; mappings stay, so each is looked for once."""
        unknown = [one for one in sources if one.data_ptr() not in self._places]
        if unknown:
            found = locate(unknown)
            if found is None:
                return None
            self._places |= {one.data_ptr(): place for one, place in zip(unknown, found, strict=True)}
        return [self._places[one.data_ptr()] for one in sources]

    def _refuse_when_dropped(self, *_: object) -> None:
        if not (self.placed or self.streaming):
            raise RuntimeError(f"{self.name} was to compute while its weights are not on the device")


def _contiguous_strides(shape: torch.Size) -> list[int]:
    strides, step = list[int](), 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]


class _Hollow:
    """Tensors of any shape over a single element: one for all that are alike."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._made: dict[tuple[torch.dtype, torch.Size], torch.Tensor] = {}

    def like(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """One of the shape of `tensor`."""
        key = dtype, tensor.shape
        if key not in self._made:
            self._made[key] = self._element(dtype).expand(tensor.shape)
        return self._made[key]

    def _element(self, dtype: torch.dtype) -> torch.Tensor:
        key = dtype, torch.Size()
        if key not in self._made:
            self._made[key] = torch.zeros((), device=self._device, dtype=dtype)
        return self._made[key]


def _grouped(weights: list[_Weight], labels: list[int]) -> list[list[int]]:
    """`labels` in groups of at most :data:`CASTS` bytes as the files have them."""
    groups: list[list[int]] = []
    filled = CASTS
    for label in labels:
        size = weights[label].mapped.nbytes
        if filled + size > CASTS:
            groups.append([])
            filled = 0
        groups[-1].append(label)
        filled += size
    return groups
