"""A text that is told again and again."""

from textual.visual import VisualType
from textual.widgets import Static


class Told(Static):
    """Laid out and drawn anew only when its text is another: a screen tells all that it knows ten times a second."""

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show `content`, unless it is shown already."""
        if content != self.content:
            super().update(content, layout=layout)
