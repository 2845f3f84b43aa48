"""Looking for files in folders that the user named."""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def matches(folder: Path, pattern: str) -> list[Path]:
    """What in `folder` fits `pattern`, sorted; a folder that cannot be read holds nothing.

    Names that are not UTF-8 are left out: nobody could write them where one of these is asked for.
    """
    try:
        return sorted(path for path in folder.glob(pattern) if is_tellable(path))
    except (OSError, ValueError) as error:
        log.warning("the folder %r cannot be looked through: %s", str(folder), error)
        return []


def told_path(path: Path | str) -> str:
    """`path` as text that is UTF-8: bytes of a name that are not stand there as \\x and their two digits."""
    return os.fsencode(path).decode(errors="backslashreplace")


def is_tellable(path: Path | str) -> bool:
    """Whether `path` is UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
