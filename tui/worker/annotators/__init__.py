"""Control images from pictures: edges, lines, depth and so on, cached by what they were made from."""

from tui.worker.annotators.annotate import annotate

__all__ = ["annotate"]
