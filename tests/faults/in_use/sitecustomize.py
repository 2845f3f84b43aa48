"""Imported by every Python process of a test that puts this folder on PYTHONPATH: a worker tells what its heap holds.

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


def _serve(asking: Path) -> None:
    told = ""
    while True:
        time.sleep(0.02)
        asked = asking.read_text() if asking.exists() else ""
        if asked in ("", told):
            continue
        told = asked
        gc.collect()
        caches = [one for one in gc.get_objects() if type(one).__name__ == "PromptCache"]
        info = ctypes.CDLL(None).mallinfo2
        info.restype = _Info
        held = info()
        kept = sum(one._bytes for one in caches)
        answer = {"asked": asked, "bytes": held.uordblks + held.hblkhd - kept, "prompts": kept}
        new = asking.with_suffix(".new")
        new.write_text(json.dumps(answer))
        new.rename(asking.with_suffix(".told"))


if "tui.worker" in sys.orig_argv:
    threading.Thread(target=_serve, args=(Path(os.environ["IN_USE"]),), daemon=True).start()
