"""Tags of pictures as they are typed."""


def tags_in(text: str) -> list[str]:
    """The words in `text`, which blanks or commas part, each once."""
    return list(dict.fromkeys(text.replace(",", " ").split()))
