"""Moving averages of weights: they draw better than the weights of any one step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Average:
    """The moving average of `parameters`, which follows quickly at first.

    Args:
        parameters: what is averaged, all on one device.
        decay: how much of it stays at each step, once many are made.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self.decay = decay
        self._parameters: list[torch.Tensor] = list(parameters)
        self.values = [one.detach().clone() for one in parameters]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after `step` steps, counted from 0."""
        torch._foreach_lerp_(self.values, self._parameters, 1 - min(self.decay, (1 + step) / (12 + step)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the average for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def keep(self) -> None:
        """Make the average the model's weights."""
        torch._foreach_copy_(self._parameters, self.values)

    def _swap(self) -> None:
        for place, parameter in enumerate(self._parameters):
            parameter.data, self.values[place] = self.values[place], parameter.data
