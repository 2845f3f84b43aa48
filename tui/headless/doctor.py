"""`latentty doctor`: what this box has, what was found on it, what will fit, and what to do next."""

import getpass
import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import fill
from typing import Final

from msgspec import Struct, to_builtins
from rich.console import Console
from rich.status import Status

from tui.headless.device_report import Torch, ask_torch, driver_lines, output_of
from tui.headless.models import find_files
from tui.headless.report_bundle import write_bundle
from tui.library.budget import bytes_on_device, weight_budget
from tui.library.families import FAMILIES
from tui.library.kinds import count_of, counted
from tui.library.paths import Paths, expanded, short_path
from tui.library.places import out_of_reach
from tui.library.plain_text import plain
from tui.library.settings import EngineSettings, load_settings
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError
from tui.terminal.probe import look
from tui.terminal.report import terminal_lines

GIB: Final = 1 << 30
SCARCE: Final = 10 * GIB
"""Bytes of free disk below which a model hardly fits."""
LISTED: Final = 4
"""Families that are told of."""


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the report."""

    section: str
    label: str
    told: str


class Examined:
    """Everything that was found out; each finding is printed as soon as it is known, where `show` says so.

    Lines are as wide as the terminal: what goes on in the next one begins under what it belongs to.
    """

    def __init__(self, *, show: bool) -> None:
        self.findings: list[Finding] = []
        self.advice: list[str] = []
        """What to do next, the most pressing first."""
        self._show = show

    def add(self, section: str, label: str, told: str) -> None:
        """One more line."""
        known = self.findings and self.findings[-1].section == section
        self.findings.append(Finding(section=section, label=label, told=plain(told)))
        if self._show:
            head = f"{'' if known else section:<8} {label:<10} "
            self._print(plain(told), head, " " * len(head))

    def print_advice(self) -> None:
        """What to do next, at the end."""
        print("\nNext")
        for number, advice in enumerate(self.advice, 1):
            self._print(plain(advice), f"  {number}. ", " " * 5)

    @staticmethod
    def _print(told: str, first: str, others: str) -> None:
        width = shutil.get_terminal_size().columns
        lines = fill(told, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
        print(lines, flush=True)


def report(paths: Paths, file: Path) -> int:
    """Write a bundle for a bug report and say what is in it."""
    names = write_bundle(paths, expanded(file).absolute(), {})
    print(plain(f"Wrote {file}: {', '.join(names)}."))
    print("Tokens, prompts, your name and your host's are taken out. Look through it before you send it.")
    return 0


def doctor(paths: Paths, *, as_json: bool) -> int:
    """Print the report; 1 when something must be mended before pictures can be made.

    What takes long, torch's answer and the search for models, comes last, and is told while it is waited for.
    """
    examined = Examined(show=not as_json)
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(ask_torch)
        _disks(examined, paths)
        _terminal(examined, paths, ask=not as_json)
        _session(examined)
        _socket(examined, paths)
        with _waiting("Asking torch"):
            torch = answer.result()
    _device(examined, torch)
    with _waiting("Looking for models") as status:
        files = find_files(paths, lambda count: status.update(f"Looking for models: {count:,} files so far"))
    _models(examined, files, torch, load_settings(paths).engine)
    nothing = "" if examined.advice else "Nothing is missing. "
    if not torch.problem:
        examined.advice.append(f"{nothing}Open the app: latentty")
    if as_json:
        told = {"findings": examined.findings, "advice": examined.advice, "torch": torch}
        print(json.dumps(to_builtins(told)))
    else:
        examined.print_advice()
    return 1 if torch.problem else 0


@contextmanager
def _waiting(why: str) -> Iterator[Status]:
    """`why` on the terminal's last line for as long as this lasts; nothing where errors go elsewhere."""
    console = Console(stderr=True, highlight=False)
    status = Status(why, console=console)
    if console.is_terminal:
        status.start()
    try:
        yield status
    finally:
        status.stop()


def _device(examined: Examined, torch: Torch) -> None:
    driver = driver_lines()
    for line in driver:
        examined.add("Device", "driver", line)
    if torch.problem:
        examined.add("Device", "torch", f"does not work: {torch.problem}")
        examined.advice.append("Install torch again: pip install --force-reinstall torch")
        return
    slow = "" if torch.gpus else ": it draws on the CPU, slowly"
    built_for = f"CUDA {torch.cuda}" if torch.cuda else "the CPU"
    examined.add("Device", "torch", f"{torch.version}, built for {built_for}{slow}")
    for number, gpu in enumerate(torch.gpus):
        told = f"{gpu.name}, {gpu.free / GIB:.1f} of {gpu.total / GIB:.1f} GiB free"
        examined.add("Device", f"GPU {number}", told)
    if torch.gpus:
        return
    if driver and not torch.cuda:
        examined.advice.append("The box has a GPU and torch was built for the CPU: install torch's CUDA build.")
    elif driver:
        examined.advice.append(f"The driver does not serve CUDA {torch.cuda}: bring it up to date.")


def _disks(examined: Examined, paths: Paths) -> None:
    settings = load_settings(paths)
    folders = {"pictures": settings.pictures(paths), "state": paths.state}
    if settings.models():
        folders["models"] = settings.models()[0]
    told: dict[int, str] = {}
    examined.advice += [f"The model folder {one}" for one in out_of_reach(settings.models())]
    for label, folder in folders.items():
        there = next(one for one in (folder, *folder.parents) if one.is_dir())
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK) and label != "models":
            examined.advice.append(f"The folder for {label} cannot be written: {there}")
        if free < SCARCE and label == "models":
            examined.advice.append(f"Less than {SCARCE // GIB} GiB are free for models at {folder}.")
        where = f"{label} in {short_path(folder)}"
        disk = there.stat().st_dev
        told[disk] = f"{told[disk]}, {where}" if disk in told else f"{free / GIB:,.0f} GiB: {where}"
    for number, one in enumerate(told.values()):
        examined.add("Disk", "free" if not number else "", one)
    examined.add("Memory", "free", f"{_available() / GIB:.1f} GiB")


def _available() -> int:
    """Bytes of memory that can be had, the page cache among them; without the kernel's word, those that are free."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _terminal(examined: Examined, paths: Paths, *, ask: bool) -> None:
    if not (ask and sys.stdin.isatty() and sys.stdout.isatty()):
        examined.add("Terminal", "here", "not asked: input or output is no terminal")
        return
    told = dict(terminal_lines(look(), load_settings(paths).preview))
    examined.add("Terminal", "here", f"{told['Terminal']}, {told['Size']}")
    examined.add("Terminal", "way to it", f"{told['Way to it']}; its answer took {told['Answered in']}")
    examined.add("Terminal", "colours", told["Colours"])
    examined.add("Terminal", "pictures", told["Pictures"])
    if better := told.get("Better"):
        examined.advice.append(f"For better pictures here: {better}")


def _session(examined: Examined) -> None:
    """Whether the engine outlives the connection. Linux with systemd ends a user's processes where it is told to."""
    kills = output_of(
        "busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager", "KillUserProcesses",
    ).strip()  # fmt: skip
    lingers = output_of("loginctl", "show-user", getpass.getuser(), "--property=Linger", "--value").strip()
    if not kills:
        examined.add("Session", "on logout", "no systemd-logind answers; the engine goes on")
        return
    ends = kills == "b true"
    told = "ends every process of yours" if ends else "leaves the engine running"
    examined.add("Session", "on logout", f"the system {told} (lingering: {lingers or 'unknown'})")
    if ends and lingers != "yes":
        examined.advice.append("Your engine would end with your connection: loginctl enable-linger")


def _socket(examined: Examined, paths: Paths) -> None:
    try:
        examined.add("Session", "socket", str(paths.socket_file()))
    except LatenttyError as error:
        examined.add("Session", "socket", "has no safe place")
        examined.advice.append(str(error))


def _models(examined: Examined, files: list[ModelFile], torch: Torch, settings: EngineSettings) -> None:
    sound = [file for file in files if file.problem is None]
    examined.add("Models", "found", counted(count_of(sound)))
    lacking = [file for file in files if file.problem is not None and file.kind == "checkpoint" and file.family]
    if useless := len(files) - len(sound):
        parts = f", {len(lacking):,} checkpoints among them that lack a part" if lacking else ""
        examined.add("Models", "no use", f"{useless:,} files{parts}")
        examined.advice.append("latentty models tells of each file why it is of no use, and what would help.")
    _fits(examined, [file for file in sound if file.kind == "checkpoint"], torch, settings)
    if len([file for file in sound if file.kind == "checkpoint"]) < 2:
        examined.advice.append('Name the folders of your models in the settings: model_folders = ["/data/models"]')


def _fits(examined: Examined, usable: list[ModelFile], torch: Torch, settings: EngineSettings) -> None:
    """What of the device's memory each family's checkpoints take."""
    cpu = not torch.gpus
    total = torch.gpus[0].total if torch.gpus else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    budget = round(settings.memory_budget * GIB) or weight_budget(total, cpu=cpu)
    sizes: dict[str, list[float]] = {}
    for file in usable:
        family = FAMILIES.get(file.family)
        label = family.label if family is not None else file.base or "others"
        sizes.setdefault(label, []).append(bytes_on_device(file, cpu=cpu) / GIB)
    fitting = sum(size * GIB <= budget for of_one in sizes.values() for size in of_one)
    where = "memory" if cpu else "the GPU"
    told = f"{fitting:,} of {len(usable):,} checkpoints fit {where}, {budget / GIB:.1f} GiB of it for weights"
    examined.add("Models", "will fit", told + ("" if fitting == len(usable) else "; others in turns, slower"))
    most = sorted(sizes.items(), key=lambda one: -len(one[1]))
    for label, of_one in most[:LISTED]:
        span = " to ".join(dict.fromkeys(f"{size:.1f}" for size in (min(of_one), max(of_one))))
        fit = sum(size * GIB <= budget for size in of_one)
        examined.add("Models", "", f"{label}: {fit:,} of {len(of_one):,}, of {span} GiB")
    if left := most[LISTED:]:
        examined.add("Models", "", f"and {len(left)} more families")
