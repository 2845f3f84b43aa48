"""What is known of the terminal that this process reads from and writes to. Data only."""

from typing import Any, Literal

from msgspec import Struct

Between = Literal["", "tmux", "screen", "mosh", "browser"]
"""What lies between this process and the terminal and redraws on its own account."""

Attributes = list[Any]
"""What :func:`termios.tcgetattr` tells."""


class Tmux(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What tmux says of itself and of the terminal that it is seen in."""

    client: str = ""
    """Which client looks on, as `terminal:process`; empty when none does. Another one means another terminal."""
    outer: str = ""
    """What the outer terminal calls itself, such as `kitty(0.41.1)`."""
    features: frozenset[str] = frozenset()
    """What tmux takes the outer terminal to be able to do, such as `RGB` or `sixel`."""
    passthrough: bool = False
    """Whether tmux hands on what it does not understand."""


class Terminal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the terminal said, and what the environment says of the way to it."""

    is_terminal: bool = False
    """Whether input and output are both one, of a size above zero."""
    columns: int = 0
    rows: int = 0
    cell_width: int = 0
    """Pixels; 0 when not known."""
    cell_height: int = 0
    """Pixels; 0 when not known."""
    term: str = ""
    """The environment's TERM."""
    name: str = ""
    """What it calls itself, such as `kitty(0.41.1)`; inside tmux that is tmux."""
    answered: float | None = None
    """Seconds until it had answered everything; None when it did not."""
    kitty_graphics: bool = False
    sixel: bool = False
    synchronized: bool = False
    """Whether it can be told to show an update all at once."""
    truecolor: bool = False
    colours: bool = True
    """Whether it shows colours at all, and the user wants them."""
    between: Between = ""
    over_ssh: bool = False
    tmux: Tmux | None = None

    @property
    def outer(self) -> str:
        """The name of the terminal that the user looks at, as far as known."""
        return self.tmux.outer if self.tmux is not None else self.name

    @property
    def is_known(self) -> bool:
        """Whether that terminal said what it is: old ones and the fonts that go with them do not."""
        return bool(self.name) and (self.tmux is None or not {"(", " "}.isdisjoint(self.tmux.outer))

    @property
    def mixes_colours(self) -> bool:
        """Whether it keeps few colours beside its palette: with more, those of what is shown already become others."""
        return self.term.startswith("mlterm")

    @property
    def cell_ratio(self) -> float:
        """A cell's height over its width; two where the terminal does not tell."""
        return self.cell_height / self.cell_width if self.cell_width and self.cell_height else 2.0
