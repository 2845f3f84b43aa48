"""Whether somebody has opened the app before."""

from pathlib import Path

from tui.library.folders import make_folder


def is_first_run(folder: Path) -> bool:
    """Whether nobody has opened the app with this folder; from now on, somebody has.

    A folder that cannot be written leaves the tour out.
    """
    mark = folder / "toured"
    try:
        if mark.exists():
            return False
        make_folder(folder, 0o700)
        mark.touch(0o600)
    except OSError:
        return False
    return True
