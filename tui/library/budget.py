"""How much of a device weights may take, and how much of it a model's weights are."""

from typing import Final

from tui.protocol.library import ModelFile

RESERVE: Final = 2 << 30
"""Bytes of an accelerator that are left to what is computed."""

QUANTISED: Final = "gguf"
"""Files of this form lie on the device as they are on the disk."""


def weight_budget(total: int, *, cpu: bool) -> int:
    """The bytes for weights of a device that has `total`; the rest is for what is computed."""
    return total // 2 if cpu else max(total * 9 // 10 - RESERVE, total // 2)


def bytes_on_device(file: ModelFile, *, cpu: bool) -> int:
    """What the weights of `file` take: fp32 on a CPU, half precision elsewhere."""
    if file.form == QUANTISED or not file.parameters:
        return file.bytes
    return file.parameters * (4 if cpu else 2)
