"""Fetching files: several at a time, going on where a former try ended, checked before they get their name."""

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2

from tui.library.folders import make_folder, sync_folder
from tui.library.remote_files import (
    Download,
    RemoteFile,
    is_refusal,
    refuse_foreign,
    refused,
    unreachable,
    unusable_proxy,
)
from tui.protocol.problem import LatenttyError, Problem, bad_request

AT_ONCE: Final = 4
TRIES: Final = 6
"""In a row without a byte; every byte that comes begins the count anew."""
LONGEST_WAIT: Final = 60.0
SPARE: Final = 1 << 30
"""Bytes that stay free on the disk."""

Told = Callable[[RemoteFile, int, int], None]
"""Called with a file, the bytes that are there, and the bytes in all (0: nobody knows)."""


Waiting = Callable[[str, float], None]
"""Called with why nothing comes, and the seconds until it is tried again."""


def client_for(hosts: list[str]) -> httpx2.AsyncClient:
    """A client that speaks to these hosts and those below them alone, through the proxies of the environment.

    Raises:
        LatenttyError: one of these cannot be used.
    """

    async def check(request: httpx2.Request) -> None:
        refuse_foreign(str(request.url), hosts)

    try:
        return httpx2.AsyncClient(follow_redirects=True, timeout=30, event_hooks={"request": [check]})
    except ImportError:
        raise unusable_proxy("SOCKS needs a package that is not installed (pip install socksio)") from None
    except (ValueError, httpx2.InvalidURL):  # its text may hold the password
        raise unusable_proxy("it is written in no form that is known") from None


def _unheard(_why: str, _seconds: float) -> None:
    """Nobody wants to know."""


async def fetch_all(
    download: Download, folder: Path, client: httpx2.AsyncClient, told: Told, waiting: Waiting = _unheard
) -> list[Path]:
    """Fetch every file into `folder`; the paths. Files that are there already are not fetched again.

    Raises:
        LatenttyError: one could not be fetched; what came of it waits as `.part` for the next try.
        OSError: `folder` cannot be written.
    """
    _check_space(download, folder)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(file: RemoteFile) -> Path:
        async with slots:
            return await fetch(file, folder / file.name, client, told, download.token, waiting)

    tasks = [asyncio.create_task(one(file)) for file in download.files]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check_space(download: Download, folder: Path) -> None:
    missing = sum(max(file.size - _there(folder / file.name), 0) for file in download.files)
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = shutil.disk_usage(place).free
    if missing + SPARE > free:
        raise LatenttyError(
            Problem(
                code="disk_full",
                cause=f"{download.title} needs {_size(missing)} and {place} has {_size(free)} free, of which"
                f" {_size(SPARE)} stay free.",
                hint="Free some space, or choose another folder: the first of model_folders in the settings.",
            )
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _there(target: Path) -> int:
    for path in (target, _part(target)):
        if path.exists():
            return path.stat().st_size
    return 0


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


async def fetch(
    file: RemoteFile,
    target: Path,
    client: httpx2.AsyncClient,
    told: Told,
    token: str = "",
    waiting: Waiting = _unheard,
) -> Path:
    """Fetch one file, going on where its `.part` ends; `target`.

    Raises:
        LatenttyError: it could not be fetched, or is not what it should be.
        OSError: it cannot be written.
    """
    if target.exists():
        if await asyncio.to_thread(_is_it, file, target):
            told(file, target.stat().st_size, target.stat().st_size)
            return target
        if not file.replaces:
            raise bad_request(f"{target} is there already and is another file.", "Choose another folder, or move it.")
    make_folder(target.parent)
    part, failures = _part(target), 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            await _some(file, part, client, told, token)
            break
        except httpx2.TransportError as error:
            if is_refusal(error):
                raise unreachable(file.name, error) from None
            wait, failure = 1.0, unreachable(file.name, error)
        except _NotYet as error:
            wait, failure = error.seconds, error.told(file.name)
        after = part.stat().st_size if part.exists() else 0
        failures = 0 if after > before else failures + 1
        if failures >= TRIES:
            raise failure
        seconds = min(wait * 2 ** max(failures - 1, 0), LONGEST_WAIT)
        waiting(failure.problem.cause, seconds)
        await asyncio.sleep(seconds)
    await asyncio.to_thread(_check, file, part)
    part.replace(target)
    sync_folder(target.parent)
    return target


class _NotYet(Exception):
    """What is to come does not come now."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(status, seconds)
        self.status, self.seconds = status, seconds

    def told(self, what: str) -> LatenttyError:
        """The error for when it is tried no more."""
        if self.status < 300:
            return unreachable(what, ConnectionError("the connection ended early"))
        return refused(what, self.status)


async def _some(file: RemoteFile, part: Path, client: httpx2.AsyncClient, told: Told, token: str) -> None:
    """Fetch as much as comes.

    Raises:
        _NotYet: that is not all.
    """
    start = part.stat().st_size if part.exists() else 0
    if file.size and start == file.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with client.stream("GET", file.url, headers=headers) as answer:
        if answer.status_code == 416:  # there is no more, or it was another file
            complete = answer.headers.get("Content-Range", "").rpartition("/")[2] == str(start)
            if not complete:
                part.unlink(missing_ok=True)
                raise _NotYet(416, 0.0)
            return
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _NotYet(answer.status_code, float(_number(answer, "Retry-After", 1)))
        if answer.status_code not in (200, 206):
            raise refused(file.name, answer.status_code)
        start = start if answer.status_code == 206 else 0
        length = _number(answer, "Content-Length", -1)
        total = start + length if length >= 0 else file.size
        with part.open("ab" if start else "wb") as out:
            done = start
            async for piece in answer.aiter_bytes():
                out.write(piece)
                done += len(piece)
                told(file, done, total)
        if total and done < total:
            raise _NotYet(answer.status_code, 1.0)


def _number(answer: httpx2.Response, header: str, otherwise: int) -> int:
    """What a header of `answer` says, if that is a number that can be."""
    given = answer.headers.get(header, "")
    return int(given) if re.fullmatch("[0-9]{1,18}", given) else otherwise


def _is_it(file: RemoteFile, target: Path) -> bool:
    """Whether the file at `target` is the one to fetch, as far as anybody tells."""
    if file.size:
        return target.stat().st_size == file.size
    return not file.sha256 or _sha256(target) == file.sha256


def _check(file: RemoteFile, part: Path) -> None:
    size = part.stat().st_size
    if file.size and size != file.size:
        wrong = f"it has {size} bytes instead of {file.size}"
    elif file.sha256 and (found := _sha256(part)) != file.sha256:
        wrong = f"its SHA-256 is {found[:12]}… instead of {file.sha256[:12]}…"
    else:
        _sync(part)
        return
    part.unlink()
    raise LatenttyError(
        Problem(code="model_damaged", cause=f"{file.name} did not come whole: {wrong}.", hint="Fetch it again.")
    )


def _sync(part: Path) -> None:
    """Have its bytes on the disk before its name is, whatever happens to the power."""
    with part.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
