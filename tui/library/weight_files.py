"""Which files of a folder are a model's weights: several sets of the same may lie beside each other.

A repository may hold its weights a second time in half precision, as `model.fp16.safetensors` beside
`model.safetensors`, and who fetched that set alone has no other. A set may be cut into numbered pieces.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Final

_NAME: Final = re.compile(
    r"(?P<stem>[^.]+?)(?:-\d{5}-of-\d{5})?(?:\.(?P<variant>[A-Za-z]\w*?))?(?:-\d{5}-of-\d{5})?\.safetensors"
)
"""Where the number of a piece stands depends on the year that it was written in."""
STEMS: Final = ("diffusion_pytorch_model", "model")
"""How diffusers and transformers call what they read."""
_LAST: Final = "non_ema"
"""The variant to train on, not to draw with."""


def weight_set(name: str) -> tuple[str, str]:
    """The stem and the variant of the weights of which the file `name` is all or a piece: ("model", "fp16")."""
    match = _NAME.fullmatch(PurePosixPath(name).name)
    return (match["stem"], match["variant"] or "") if match is not None else (name, "")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files in `folder` that are read, sorted: of several sets the one that has no variant's name."""
    files = sorted(folder.glob("*.safetensors"))
    sets = {weight_set(path.name) for path in files}
    known = [one for one in sets if one[0] in STEMS]
    if not known:
        return files
    chosen = min(known, key=lambda one: (one[1] == _LAST, one[1], one[0]))
    return [path for path in files if weight_set(path.name) == chosen]
