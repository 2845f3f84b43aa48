"""How fast is learned at which time: slowly at first, then at the full rate, then less and less."""

import math

WARM_STEPS = 100
"""Steps over which the rate rises at least, however short the time: an optimiser that begins knows no scales yet."""


def rate_at(progress: float, step: int, warm: float = 0.02, hold: float = 0.4) -> float:
    """The share of the full rate at `progress` of all time, 0 to 1: a line up, a plateau, half a cosine down to 0.

    Args:
        progress: 0 to 1.
        step: steps made since the start or since going on.
        warm: the progress at which the full rate is reached.
        hold: the progress at which it begins to fall.
    """
    begun = min(1.0, (step + 1) / WARM_STEPS)
    if progress < warm:
        return begun * progress / warm
    if progress < hold:
        return begun
    return begun * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - hold) / (1 - hold))))
