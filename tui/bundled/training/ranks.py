"""Several processes that learn as one, each on a GPU of its own: they share gradients, and the first one's clock."""

import datetime
import socket
from collections.abc import Sequence

import torch
from torch import distributed

from tui.protocol.problem import LatenttyError, Problem

PATIENCE = datetime.timedelta(seconds=240)
"""How long one process waits for the others, which may still compile."""


def free_port() -> int:
    """A port of this machine at which the processes can meet."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Ranks:
    """The process `rank` of `count`, which meet at `port`; alone, it does nothing.

    Raises:
        LatenttyError: the others do not answer rightly.
    """

    def __init__(self, rank: int, count: int, port: int, device: torch.device) -> None:
        self.rank, self.count, self._device = rank, count, device
        if count == 1:
            return
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"tcp://127.0.0.1:{port}",
            rank=rank,
            world_size=count,
            timeout=PATIENCE,
        )
        if self.summed([1.0]) != [float(count)]:
            raise LatenttyError(Problem(code="device_lost", cause="The GPUs cannot add up their numbers."))

    @property
    def is_first(self) -> bool:
        """Whether this one tells, saves and keeps the time."""
        return self.rank == 0

    def summed(self, values: Sequence[float]) -> list[float]:
        """The sums of what all processes gave."""
        if self.count == 1:
            return list(values)
        told = torch.tensor(values, device=self._device)
        distributed.all_reduce(told)
        return [float(one) for one in told.tolist()]

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Give `parameters` in every process the mean of all processes' gradients."""
        if self.count == 1:
            return
        gradients = [one.grad for one in parameters if one.grad is not None]
        flat = torch.cat([one.reshape(-1) for one in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        shares = torch.split(flat, [one.numel() for one in gradients])
        for gradient, share in zip(gradients, shares, strict=True):
            gradient.copy_(share.view(gradient.shape))

    def leave(self) -> None:
        """Wait for the others, and part."""
        if self.count > 1:
            distributed.barrier()
            distributed.destroy_process_group()
