"""The engine's log: rotated, readable by its owner alone, without secrets."""

import logging
import logging.handlers
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from tui.library.folders import make_folder
from tui.library.private_files import open_private
from tui.library.secrets import redacted

LOG_BYTES: Final = 1 << 20
LOG_FILES: Final = 3
"""Full ones that are kept beside the one that is written."""


def write_log(path: Path) -> None:
    """Send all logging to `path`."""
    make_folder(path.parent, 0o700)
    handler = _PrivateLog(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)


def write_anew() -> None:
    """Have the log be a file of that name again, when it was removed."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _PrivateLog):
            handler.begin_anew()


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """A log that its owner alone can read, after its rotation too."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=open_private)  # type: ignore[return-value]

    def begin_anew(self) -> None:
        """Write to a new file from the next line on, in its folder."""
        make_folder(Path(self.baseFilename).parent, 0o700)
        self.acquire()
        try:
            former, self.stream = self.stream, self._open()
            if former is not None:
                former.close()
        finally:
            self.release()


class _Discreet(logging.Formatter):
    """Lines without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
