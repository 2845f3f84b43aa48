"""Imported by every Python process of a test that puts this folder on PYTHONPATH: engine and worker tell what their
heaps hold.

Whenever the file that IN_USE names asks for it, by another number in it. With PYTHONMALLOC=malloc it is everything but
what files are mapped to: what is resident comes and goes with what the allocator keeps for later.
"""

import ctypes
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS.split()]


def _serve(asking: Path, who: str) -> None:
    told = ""
    while True:
        time.sleep(0.02)
        asked = asking.read_text() if asking.exists() else ""
        if asked in ("", told):
            continue
        told = asked
        gc.collect()
        info = ctypes.CDLL(None).mallinfo2
        info.restype = _Info
        held = info()
        kept = _cached(who)
        answer = {"asked": asked, "bytes": held.uordblks + held.hblkhd - kept, "cached": kept}
        new = asking.with_suffix(f".{who}.new")
        new.write_text(json.dumps(answer))
        new.rename(asking.with_suffix(f".{who}"))


def _cached(who: str) -> int:
    """Bytes that are kept up to a bound of their own: encoded prompts, and pages of the database."""
    if who == "worker":
        return sum(one._bytes for one in gc.get_objects() if type(one).__name__ == "PromptCache")
    from tests.faults.sqlite_files import library  # the one that this Python has

    sqlite = library()
    if sqlite is None:
        return 0
    sqlite.sqlite3_memory_used.restype = ctypes.c_int64
    return int(sqlite.sqlite3_memory_used())


def _begin(who: str) -> None:
    threading.Thread(target=_serve, args=(Path(os.environ["IN_USE"]), who), daemon=True).start()


if "tui.worker" in sys.orig_argv:
    _begin("worker")
elif "engine" in sys.orig_argv:
    os.register_at_fork(after_in_child=lambda: _begin("engine"))  # it leaves its terminal by forking
