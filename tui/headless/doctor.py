"""`latentty doctor`: what this box has, what was found on it, what will fit, and what to do next."""

import getpass
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, to_builtins

from tui.headless.device_report import Torch, ask_torch, driver_lines, output_of
from tui.headless.models import find_files
from tui.headless.report_bundle import write_bundle
from tui.library.budget import bytes_on_device, weight_budget
from tui.library.families import FAMILIES
from tui.library.paths import Paths, expanded
from tui.library.plain_text import plain
from tui.library.settings import EngineSettings, load_settings
from tui.protocol.library import ModelFile
from tui.terminal.probe import look
from tui.terminal.report import terminal_lines

GIB: Final = 1 << 30
SCARCE: Final = 10 * GIB
"""Bytes of free disk below which a model hardly fits."""
LISTED: Final = 5


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the report."""

    section: str
    label: str
    told: str


class Examined(Struct, kw_only=True):
    """Everything that was found out."""

    findings: list[Finding] = []
    advice: list[str] = []
    """What to do next, the most pressing first."""

    def add(self, section: str, label: str, told: str) -> None:
        """One more line."""
        self.findings.append(Finding(section=section, label=label, told=plain(told)))


def report(paths: Paths, file: Path) -> int:
    """Write a bundle for a bug report and say what is in it."""
    names = write_bundle(paths, expanded(file).absolute(), {})
    print(plain(f"Wrote {file}: {', '.join(names)}."))
    print("Tokens, prompts, your name and your host's are taken out. Look through it before you send it.")
    return 0


def doctor(paths: Paths, *, as_json: bool) -> int:
    """Print the report; 1 when something must be mended before pictures can be made."""
    torch = ask_torch()
    examined = Examined()
    _device(examined, torch)
    _disks(examined, paths)
    _terminal(examined, paths, ask=not as_json)
    _session(examined)
    _models(examined, find_files(paths), torch, load_settings(paths).engine)
    if not examined.advice:
        examined.advice.append("Nothing is missing. Open the app: latentty")
    if as_json:
        print(json.dumps({**to_builtins(examined), "torch": to_builtins(torch)}))
    else:
        _print(examined)
    return 1 if torch.problem else 0


def _print(examined: Examined) -> None:
    section = ""
    for one in examined.findings:
        print(f"{one.section if one.section != section else '':<10} {one.label:<11} {one.told}")
        section = one.section
    print("\nNext")
    for number, advice in enumerate(examined.advice, 1):
        print(f"  {number}. {plain(advice)}")


def _device(examined: Examined, torch: Torch) -> None:
    driver = driver_lines()
    for line in driver:
        examined.add("Device", "driver", line)
    if torch.problem:
        examined.add("Device", "torch", f"does not work: {torch.problem}")
        examined.advice.append("Install torch again: pip install --force-reinstall torch")
        return
    examined.add("Device", "torch", f"{torch.version}, built for {'CUDA ' + torch.cuda if torch.cuda else 'the CPU'}")
    for number, gpu in enumerate(torch.gpus):
        told = f"{gpu.name}, {gpu.free / GIB:.1f} of {gpu.total / GIB:.1f} GiB free"
        examined.add("Device", f"GPU {number}", told)
    if torch.gpus:
        return
    examined.add("Device", "GPU", "none that torch can use; pictures are made on the CPU, slowly")
    if driver and not torch.cuda:
        examined.advice.append("The box has a GPU and torch was built for the CPU: install torch's CUDA build.")
    elif driver:
        examined.advice.append(f"The driver does not serve CUDA {torch.cuda}: bring it up to date.")


def _disks(examined: Examined, paths: Paths) -> None:
    settings = load_settings(paths)
    folders = {"pictures": settings.pictures(paths), "state": paths.state}
    if settings.models():
        folders["models"] = settings.models()[0]
    for label, folder in folders.items():
        there = next(one for one in (folder, *folder.parents) if one.is_dir())
        free = shutil.disk_usage(there).free
        examined.add("Disk", label, f"{free / GIB:,.0f} GiB free at {folder}")
        if not os.access(there, os.W_OK) and label != "models":
            examined.advice.append(f"The folder for {label} cannot be written: {there}")
        if free < SCARCE and label == "models":
            examined.advice.append(f"Less than {SCARCE // GIB} GiB are free for models at {folder}.")
    examined.add("Memory", "RAM", f"{_available() / GIB:.1f} GiB available")


def _available() -> int:
    """Bytes of memory that can be had, the page cache among them; without the kernel's word, those that are free."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _terminal(examined: Examined, paths: Paths, *, ask: bool) -> None:
    if ask and sys.stdin.isatty() and sys.stdout.isatty():
        for label, told in terminal_lines(look(), load_settings(paths).preview):
            examined.add("Terminal", label.lower(), told)
    else:
        examined.add("Terminal", "terminal", "not asked: input or output is no terminal")


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


def _models(examined: Examined, files: list[ModelFile], torch: Torch, settings: EngineSettings) -> None:
    counts: dict[str, int] = {}
    for file in files:
        counts[file.kind] = counts.get(file.kind, 0) + 1
    examined.add("Models", "found", ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    broken = [file for file in files if file.problem is not None]
    if broken:
        examined.add("Models", "not usable", f"{len(broken)}; latentty models tells why")
    usable = [file for file in files if file.kind == "checkpoint" and file.problem is None]
    cpu = not torch.gpus
    total = torch.gpus[0].total if torch.gpus else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    budget = round(settings.memory_budget * GIB) or weight_budget(total, cpu=cpu)
    where = "memory" if cpu else "the GPU"
    examined.add("Models", "for weights", f"{budget / GIB:.1f} GiB of {where}")
    sizes = {file.path: bytes_on_device(file, cpu=cpu) for file in usable}
    fitting = [file for file in usable if sizes[file.path] <= budget]
    first = True
    for file in sorted(usable, key=lambda one: sizes[one.path])[:LISTED]:
        family = FAMILIES.get(file.family)
        label = family.label if family is not None else file.base
        takes = f"{sizes[file.path] / GIB:.1f} GiB"
        fits = f"{takes}, fits" if file in fitting else f"{takes}: its parts take turns, slower"
        examined.add("Models", "will fit" if first else "", f"{file.name} ({label}) {fits}")
        first = False
    if len(usable) > LISTED:
        examined.add("Models", "", f"{len(fitting)} of {len(usable)} checkpoints fit {where}")
    if len(usable) < 2:
        examined.advice.append('Name the folders of your models in the settings: model_folders = ["/data/models"]')
