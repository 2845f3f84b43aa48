"""`latentty doctor`: what may be wrong here, and a bundle for a bug report."""

from pathlib import Path

from tui.headless.report_bundle import write_bundle
from tui.library.paths import Paths
from tui.library.plain_text import plain


def report(paths: Paths, file: Path) -> int:
    """Write a bundle for a bug report and say what is in it."""
    names = write_bundle(paths, file.expanduser().absolute(), {})
    print(plain(f"Wrote {file}: {', '.join(names)}."))
    print("Tokens, prompts, your name and your host's are taken out. Look through it before you send it.")
    return 0
