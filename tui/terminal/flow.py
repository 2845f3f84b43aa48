"""How much picture may be on its way at a time, so that keys and text never wait long behind it.

Outside tmux a fence, a question that every terminal answers, follows each piece: its answer says that the terminal
has drawn all before it. As in Cardwell et al. 2016 (BBR), what may be on its way is what the line was seen to carry in
a round trip, and some more to see whether it carries that too. Inside tmux the fence would say nothing, so there a
fixed rate must do.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

FENCE: Final = "\x1b[6n"
"""Asks where the cursor is."""

SMALLEST: Final = 4 << 10
LARGEST: Final = 16 << 10
"""Bytes between two fences."""

QUEUE: Final = 0.02
"""Seconds that text may have to wait behind pictures."""

HEADROOM: Final = 1.5
"""How much more than what a round trip carries is tried."""

PACE: Final = 2.0
"""How many times as fast as the line carries is sent, so that what follows an empty line does not come all at once."""

TOO_LONG: Final = 0.15
"""Seconds from which on two pieces take too long, and one at a time must do."""

LONGEST_PIECE: Final = 0.05
"""Seconds that a piece should take at most."""

MOST: Final = 1 << 20
"""Bytes that may be on their way."""

TELLING: Final = 1000
TELLING_TIME: Final = 0.25
"""Bytes, or seconds, from which on it is told from the way itself how fast the line is."""

LEAST_TIME: Final = 0.02
"""Seconds that a terminal may take to answer, whatever the line."""

LOST_AFTER: Final = 3.0
"""Seconds after which a fence is taken to be lost."""

LOOK_EVERY: Final = 1.0
"""Seconds after which the line is left empty for a moment, to see how long the way is with nothing on it."""

LOOK_TRIPS: Final = 20
"""Round trips that lie between two such moments at least, so that they cost a twentieth of the line."""

Clock = Callable[[], float]


class Flow(Protocol):
    """Says when the next piece may go."""

    @property
    def piece(self) -> int:
        """Bytes that should go together."""

    async def room(self) -> str:
        """Wait until something may be sent; what to send before it."""

    def sent(self, size: int) -> str:
        """`size` bytes go out now; what to send after them."""

    def acknowledged(self) -> bool:
        """The terminal answered a fence; False when none was out."""

    def seconds(self, size: int) -> float:
        """How long `size` bytes take, as far as is known; 0 while nothing was sent."""


@dataclass(frozen=True)
class _Fence:
    """A question that is on its way."""

    at: float
    size: int
    """Bytes before it and after the fence before it."""
    delivered: int
    """Bytes that had arrived when it was sent."""
    bare: bool
    """Whether nothing was on its way before it."""


class FencedFlow:
    """Fences and a window."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._fences: deque[_Fence] = deque()
        self._under_way = 0
        self._delivered = 0
        self._trips: deque[float] = deque(maxlen=8)
        self._rate = 0.0
        self._shortest = math.inf
        """Seconds of the shortest way there and back, ever."""
        self._carried: deque[float] = deque(maxlen=8)
        """Bytes a second of what told how fast the line is, the way without anything on it not counted."""
        self._looked_at = -math.inf
        self._free_at = -math.inf
        self._moved = asyncio.Event()
        self.window = SMALLEST
        """Bytes that may be on their way."""

    @property
    def piece(self) -> int:
        """Bytes that should go together."""
        return min(max(min(self.window // 3, int(self._rate * LONGEST_PIECE)), SMALLEST), LARGEST)

    @property
    def has_room(self) -> bool:
        """Whether no answer must come before something is sent."""
        return self._under_way < self.window and not (self._fences and self._is_blind)

    @property
    def pause(self) -> float:
        """Seconds until then, where there is room."""
        return max(self._free_at - self._clock(), 0)

    @property
    def _is_blind(self) -> bool:
        """Whether it is long ago that the way was seen with nothing on it."""
        return self._clock() - self._looked_at > max(LOOK_EVERY, LOOK_TRIPS * min(self._trips, default=0))

    async def room(self) -> str:
        """Wait until the window has room; a terminal that does not answer is not waited for longer than a while."""
        while not self.has_room:
            self._moved.clear()
            try:
                async with asyncio.timeout(LOST_AFTER):
                    await self._moved.wait()
            except TimeoutError:
                self._fences.clear()
                self._under_way, self._rate, self.window = 0, 0.0, SMALLEST
        await asyncio.sleep(self.pause)
        return self.before()

    def before(self) -> str:
        """A bare fence where nothing is on its way, to see how long that is."""
        if self._fences:
            return ""
        self._looked_at = self._clock()
        return self._fence(0)

    def sent(self, size: int) -> str:
        """A fence."""
        if self._rate:
            self._free_at = max(self._clock(), self._free_at) + size / (PACE * self._rate)
        return self._fence(size)

    def _fence(self, size: int) -> str:
        self._fences.append(_Fence(self._clock(), size, self._delivered, bare=not self._under_way and not size))
        self._under_way += size
        return FENCE

    def acknowledged(self) -> bool:
        """Learn from an answer how fast the line is."""
        if not self._fences:
            return False
        fence = self._fences.popleft()
        trip = max(self._clock() - fence.at, 1e-4)
        self._under_way -= fence.size
        self._delivered += fence.size
        if fence.bare:
            self._trips.append(trip)
            self._shortest = min(self._shortest, trip)
        elif fence.size:
            sample = (self._delivered - fence.delivered) / trip
            self._rate = max(sample, 0.75 * self._rate + 0.25 * sample)
            self._adapt(trip)
            self._learn(fence.size, self._delivered - fence.delivered, trip - min(self._shortest, trip))
        self._moved.set()
        return True

    def seconds(self, size: int) -> float:
        """At the best rate that was seen lately: little that takes a moment may have waited for something else."""
        return size / max(self._carried) if self._carried else 0.0

    def _learn(self, size: int, delivered: int, took: float) -> None:
        if size >= TELLING or took > TELLING_TIME:
            self._carried.append(delivered / max(took, LEAST_TIME))

    def _adapt(self, trip: float) -> None:
        shortest = min(self._trips, default=trip)
        least = SMALLEST if self._rate * TOO_LONG < 2 * SMALLEST else 2 * SMALLEST
        carried = int(self._rate * (shortest * HEADROOM + QUEUE))
        self.window = min(max(carried, least), MOST)


class SteadyFlow:
    """A fixed rate."""

    def __init__(self, rate: int, clock: Clock = time.monotonic) -> None:
        """`rate` in bytes a second."""
        self._rate = rate
        self._clock = clock
        self._free_at = 0.0

    @property
    def piece(self) -> int:
        """Bytes that should go together."""
        return SMALLEST

    async def room(self) -> str:
        """Wait until what was sent last has had its time."""
        wait = self._free_at - self._clock()
        if wait > 0:
            await asyncio.sleep(wait)
        return ""

    def sent(self, size: int) -> str:
        """Take the time that `size` bytes need."""
        self._free_at = max(self._clock(), self._free_at) + size / self._rate
        return ""

    def acknowledged(self) -> bool:
        """No answer is expected."""
        return False

    def seconds(self, size: int) -> float:
        """At the fixed rate."""
        return size / self._rate
