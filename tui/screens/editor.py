"""The user's own editor, on a text."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from tui.protocol.problem import LatenttyError, Problem


def edited(text: str) -> str:
    """`text` as it is after the user edited it; the terminal must be free.

    Raises:
        LatenttyError: there is no such editor, or it failed.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="latentty-") as folder:
        file = Path(folder) / "prompt.txt"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*command, str(file)], check=True)
            return file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
            raise LatenttyError(
                Problem(
                    code="bad_request",
                    cause=f"The editor {command[0] if command else ''} did not do its work: {error}.",
                    hint="Set EDITOR to one that is installed, such as nano.",
                )
            ) from None
