"""Tags of pictures as they are typed."""

from typing import Final

MOST: Final = 100
"""Tags that a picture may be given at once, and letters that each may have."""


def tags_in(text: str) -> list[str]:
    """The words in `text`, which blanks or commas part, each once; what is beyond :data:`MOST` is left out."""
    return list(dict.fromkeys(word[:MOST] for word in text.replace(",", " ").split()))[:MOST]
