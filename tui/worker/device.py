"""The device thread: the only thread that touches torch modules, so that no lock guards a pipeline."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tui.library.budget import weight_budget
from tui.worker.lost_device import device_watched

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
T = TypeVar("T")


class DeviceThread:
    """Runs functions one after another on one thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """The result of `work`, carried out after everything that was asked for before."""

        def watched() -> T:
            with device_watched():
                return work(*arguments, **named)

        return await asyncio.get_running_loop().run_in_executor(self._thread, watched)

    def close(self) -> None:
        """End the thread when its work is done."""
        self._thread.shutdown(wait=True)


def choose_device() -> "torch.device":
    """The first accelerator, or the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("cpu")


def choose_dtype(device: "torch.device") -> "torch.dtype":
    """The type that weights have on `device`: fp32 on a CPU, where half precision is slow; half precision elsewhere."""
    import torch

    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def default_budget(device: "torch.device", total: int = 0) -> int:
    """The bytes of `device`, which has `total` or what it has, for weights; the rest is for what is computed."""
    total = total or device_memory(device)[1]
    return weight_budget(total, cpu=device.type == "cpu")


def device_memory(device: "torch.device") -> tuple[int, int]:
    """Bytes used and bytes there are: of the accelerator, or of this process and the host."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    page = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a kernel file
        resident = int(file.read().split()[1])
    return resident * page, os.sysconf("SC_PHYS_PAGES") * page


def device_label(device: "torch.device") -> str:
    """The name of the hardware."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
