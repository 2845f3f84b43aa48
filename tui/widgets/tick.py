"""A switch that says whether it is on by its sign, not by its colour alone."""

from textual.content import Content
from textual.widgets import Checkbox


class Tick(Checkbox):
    """Such as "✓ decode in tiles"; off, a dot stands before it."""

    @property
    def _button(self) -> Content:
        return Content.styled("✓", "$accent") if self.value else Content.styled("·", "$text-muted")
