"""Where training computes: on a GPU of NVIDIA's in bfloat16, or on the CPU as it is."""

from contextlib import AbstractContextManager

import torch


def prepared_device(last: bool = False) -> torch.device:
    """The first GPU, or the `last`, made this process's own and set up for speed; the CPU where there is none."""
    torch.set_float32_matmul_precision("high")
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", torch.cuda.device_count() - 1 if last else 0)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = True
    return device


def in_bfloat16(device: torch.device) -> AbstractContextManager[None]:
    """Inside, a GPU computes in bfloat16 where that is enough."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def wait_for(device: torch.device) -> None:
    """Return once `device` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory_told(device: torch.device) -> str:
    """How much memory was in use at most, to be read; of a CPU nothing."""
    return f", {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB at most" if device.type == "cuda" else ""


def channels_last(pictures: torch.Tensor) -> torch.Tensor:
    """`pictures` (n, channels, h, w) as convolutions on GPUs like them."""
    return pictures.contiguous(memory_format=torch.channels_last)
