"""A component: a module's skeleton, its weights in their files, and whether they lie on the device.

Weights are immutable. Placing a component copies them from the mapped files to the device; dropping it frees them
there and copies nothing back. A dropped module keeps its shapes and types over a single element of storage, so that
pipelines built around it stay valid, and refuses to compute.
"""

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn

from tui.worker.cancel import CancelToken
from tui.worker.weights import Bus, Copy, HostTier, locate

Progress = Callable[[int], None]
"""Told the bytes, as on the disk, that one more tensor had."""


CASTS: Final = 512 << 20
"""Bytes that lie on a GPU as the file has them at most, while they become the type that is wanted."""

ALIGNED: Final = 512
"""Where a tensor may begin on a GPU, in bytes."""


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

    @property
    def bytes(self) -> int:
        """On the device."""
        return self.mapped.numel() * self.dtype.itemsize


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

    @classmethod
    def around(
        cls, key: str, name: str, module: nn.Module, device: torch.device, dtype: torch.dtype, link: Link | None = None
    ) -> "Component":
        """A component for `module` as it was read from its files; it is dropped at first.

        Weights that the library kept in fp32 although the file is smaller are meant to stay fp32. Of a quantised
        module all stay as they are.
        """
        module.eval()
        types = {weight.dtype for weight in module.parameters()}
        quantised = any(not one.is_floating_point for one in types)
        kept = types if quantised else {torch.float32} if types - {torch.float32} else set()
        stored = set(module.state_dict())
        component = cls(key=key, name=name, module=module, device=device, link=link)
        for label, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
            wanted = dtype if tensor.is_floating_point() and tensor.dtype not in kept else tensor.dtype
            mapped = tensor.data
            component._weights.append(_Weight(tensor, mapped, wanted, mapped.nbytes if label in stored else 0))
        component.reload_seconds = component.stored_bytes / 1e9  # a guess until it has been placed once
        for part in (module, *module.children()):
            part.register_forward_pre_hook(component._refuse_when_dropped)
        component.drop()
        return component

    @property
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
            if self.link is not None:
                self._place_by(self.link, token, progress)
            else:
                for weight in self._weights:
                    token.check()
                    weight.tensor.data = weight.mapped.to(device=self.device, dtype=weight.dtype)
                    progress(weight.stored_bytes)
        except BaseException:
            self.drop()
            raise
        self.placed = True
        self.reload_seconds = time.monotonic() - begun

    def _place_by(self, link: Link, token: CancelToken, progress: Progress) -> None:
        """Place every tensor in one stretch of device memory, over the bus."""
        begins, size = [], 0
        for weight in self._weights:
            begins.append(size)
            size += -(-weight.bytes // ALIGNED) * ALIGNED
        whole = torch.empty(size, dtype=torch.uint8, device=self.device)
        targets = [
            whole[begin : begin + weight.bytes].view(weight.dtype).view(weight.mapped.shape)
            for begin, weight in zip(begins, self._weights, strict=True)
        ]
        same: list[Copy] = []
        other: list[int] = []
        for label, (weight, target) in enumerate(zip(self._weights, targets, strict=True)):
            if weight.mapped.dtype == weight.dtype and weight.mapped.is_contiguous() and weight.stored_bytes:
                same.append(Copy(weight.mapped, target, label))
            else:
                other.append(label)

        def arrived(label: int) -> None:
            progress(self._weights[label].stored_bytes)

        self._send(link, same, token, arrived)
        for group in self._grouped(other):
            copies = [
                Copy(mapped, torch.empty_like(mapped, device=self.device), label)
                for label in group
                for mapped in [self._weights[label].mapped.contiguous()]
            ]
            self._send(link, copies, token, arrived)
            for copy in copies:
                targets[copy.label].copy_(copy.target)
        for weight, target in zip(self._weights, targets, strict=True):
            weight.tensor.data = target

    def _send(self, link: Link, copies: list[Copy], token: CancelToken, arrived: Progress) -> None:
        if not copies:
            return
        places = locate([copy.source for copy in copies])
        if places is None:
            link.bus.send(copies, token, arrived)
            return
        with link.host.held(places) as addresses:
            if addresses is not None:
                link.bus.send_registered(copies, places, addresses, token, arrived)
                return
        link.bus.send(copies, token, arrived)
        link.host.begin(places)

    def _grouped(self, labels: list[int]) -> list[list[int]]:
        """`labels` in groups of at most :data:`CASTS` bytes as the files have them."""
        groups: list[list[int]] = []
        filled = CASTS
        for label in labels:
            size = self._weights[label].mapped.nbytes
            if filled + size > CASTS:
                groups.append([])
                filled = 0
            groups[-1].append(label)
            filled += size
        return groups

    def place_where(self, wanted: Callable[[torch.Tensor], bool], token: CancelToken) -> None:
        """Bring only the tensors that are `wanted` to the device."""
        for weight in self._weights:
            token.check()
            if wanted(weight.tensor):
                weight.tensor.data = weight.mapped.to(device=self.device, dtype=weight.dtype)

    def place_part(self, part: nn.Module) -> None:
        """Bring only the tensors of `part`, a module inside, to the device."""
        for weight in self._of(part):
            weight.tensor.data = weight.mapped.to(device=self.device, dtype=weight.dtype)

    def drop_part(self, part: nn.Module) -> None:
        """Free only the tensors of `part`."""
        for weight in self._of(part):
            weight.tensor.data = self._hollow(weight)

    def drop(self) -> None:
        """Free the device's memory."""
        self.placed = self.streaming = False
        self.captured.clear()
        for weight in self._weights:
            weight.tensor.data = self._hollow(weight)

    def _of(self, part: nn.Module) -> list[_Weight]:
        inside = {id(tensor) for tensor in itertools.chain(part.parameters(), part.buffers())}
        return [weight for weight in self._weights if id(weight.tensor) in inside]

    def _hollow(self, weight: _Weight) -> torch.Tensor:
        return torch.zeros((), device=self.device, dtype=weight.dtype).expand(weight.mapped.shape)

    def _refuse_when_dropped(self, *_: object) -> None:
        if not (self.placed or self.streaming):
            raise RuntimeError(f"{self.name} was to compute while its weights are not on the device")
