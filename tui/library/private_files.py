"""Files for their owner alone, replaced as a whole: after a power cut there is the old one or the new one."""

import os
from pathlib import Path

from tui.library.folders import make_folder, sync_folder


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """An `opener` for :func:`open`: a file that it makes can be read by its owner alone."""
    return os.open(path, flags, 0o600)


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, in place of what is there.

    Raises:
        OSError: it cannot be written; the file is then as it was.
    """
    make_folder(path.parent, 0o700)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "wb", opener=open_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
