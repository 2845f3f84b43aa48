"""`latentty models get`: fetch a model, with a bar."""

import asyncio
import sys
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tui.library.fetching import client_for, fetch_all
from tui.library.identify import identify_file
from tui.library.paths import Paths
from tui.library.plain_text import plain
from tui.library.remote_files import WEIGHTS, RemoteFile, resolve
from tui.library.secrets import redacted
from tui.library.settings import Settings, load_settings
from tui.protocol.problem import LatenttyError, bad_request


def get_model(paths: Paths, source: str, to: Path | None) -> int:
    """Fetch what `source` stands for and print the paths of its weights; 130 when the user stops it."""
    settings = load_settings(paths)
    folder = _folder(settings, to)
    try:
        files = asyncio.run(_get(source, folder, settings))
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where it was.", file=sys.stderr)
        return 130
    except LatenttyError as error:
        problem = replace(error.problem, cause=redacted(error.problem.cause))
        raise LatenttyError(problem) from None
    for path in files:
        if path.suffix in WEIGHTS:
            print(plain(str(path)))
            if (damage := identify_file(path).problem) is not None:
                print(plain(f"latentty: {damage}"), file=sys.stderr)
    return 0


def _folder(settings: Settings, to: Path | None) -> Path:
    folders = [to.expanduser().absolute()] if to is not None else settings.models()
    if not folders:
        raise bad_request(
            "There is no folder for models.", 'Name one: --to FOLDER, or model_folders = ["/data/models"] for good.'
        )
    return folders[0]


async def _get(source: str, folder: Path, settings: Settings) -> list[Path]:
    console = Console(stderr=True, highlight=False)
    async with client_for(settings.download_hosts) as client:
        download = await resolve(source, client)
        told = (
            f"{download.title}: {len(download.files)} files to {folder}, licence: {download.license or 'see its page'}"
        )
        console.print(plain(told), markup=False, soft_wrap=True)
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        sizes = {file.name: [0, file.size] for file in download.files}
        task = bar.add_task(plain(download.title)[:24], total=sum(file.size for file in download.files) or None)

        def show(file: RemoteFile, done: int, total: int) -> None:
            sizes[file.name] = [done, total or file.size]
            everything = sum(size for _, size in sizes.values())
            bar.update(task, completed=sum(done for done, _ in sizes.values()), total=everything or None)

        with bar:
            return await fetch_all(download, folder, client, show)
