"""Looking for files in folders that the user named."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def matches(folder: Path, pattern: str) -> list[Path]:
    """What in `folder` fits `pattern`, sorted; a folder that cannot be read holds nothing.

    Names that are not UTF-8 are left out: no message could tell them.
    """
    try:
        return sorted(path for path in folder.glob(pattern) if is_tellable(path))
    except (OSError, ValueError) as error:
        log.warning("the folder %r cannot be looked through: %s", str(folder), error)
        return []


def is_tellable(path: Path) -> bool:
    """Whether the name of `path` is UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
