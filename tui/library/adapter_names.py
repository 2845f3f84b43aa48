"""What people call an adapter."""

from pathlib import Path
from typing import Final

COMMON_NAME: Final = "pytorch_lora_weights.safetensors"
"""What diffusers calls the file of every LoRA that it saves."""


def adapter_name(path: Path) -> str:
    """What the adapter at `path` is called: its file, or its folder where diffusers named the file."""
    return adapter_place(path).name


def adapter_place(path: Path) -> Path:
    """`path`, or its folder where diffusers named the file."""
    return path.parent if path.name == COMMON_NAME and path.parent.name else path
