"""What can be said about a picture to draw: the options of `latentty generate`, the commands of `latentty --plain`.

Nothing but the standard library is imported with it, so that help is instant.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.library.picture_tags import tags_in

if TYPE_CHECKING:
    from tui.headless.generate import Request

MODES: Final = ("txt2img", "img2img", "inpaint", "outpaint", "edit", "refine")
"""As in the protocol, which is not imported for help; a test holds them together."""

OFFLOADS: Final = ("none", "components", "layers")
"""The same."""

QUANTISES: Final = ("none", "int8")
"""The same."""


@dataclass(frozen=True)
class Option:
    """One thing that can be said."""

    name: str
    value: str
    """What stands for its value in help; empty: it is said, or it is not."""
    help: str
    read: Callable[[str], Any] = str
    """What a text means; raises ValueError or ArgumentTypeError where it means nothing."""
    choices: tuple[str, ...] = ()
    default: Any = None
    many: bool = False
    """It can be said several times."""
    field: str = ""
    """Of the Request, where it is called otherwise."""
    group: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether it has no value."""
        return not self.value

    @property
    def place(self) -> str:
        """The field of the Request that it fills."""
        return self.field or self.name.replace("-", "_")

    @property
    def unsaid(self) -> Any:
        """What it is while nothing is said."""
        return () if self.many else False if self.is_switch else self.default


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().replace("×", "x").partition("x")
    try:
        return int(width), int(height or width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 512x768") from None


def _edges(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not four numbers; write them as 0,0,64,0") from None
    return left, top, right, bottom


def _control(text: str) -> dict[str, str]:
    """`NET=FILE,canny,weight=0.8` as the fields of a Control, each still text."""
    net, equals, rest = text.partition("=")
    file, *options = rest.split(",")
    if not (net and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r} names no ControlNet and picture; write them as edges=fox.png,canny")
    fields = {"model": net, "image": file}
    for option in options:
        name, equals, value = option.partition("=")
        fields |= {name: value} if equals else {"annotator": name}
    return fields


def _lora(text: str) -> tuple[str, float]:
    """`FILE:0.8` as the file and the weight; the weight is 1 where none is written."""
    file, colon, weight = text.rpartition(":")
    try:
        return (file, float(weight)) if colon and file else (text, 1.0)
    except ValueError:  # a colon in the file's name
        return text, 1.0


FROM: Final = "from a picture"

OPTIONS: Final = (
    Option("negative", "TEXT", "what it should not show", default=""),
    Option("model", "NAME", "a listed model or a path (default: the one used last)"),
    Option("seed", "N", "the first picture's seed (default: random)", int),
    Option("steps", "N", "denoising steps, 1 to 500", int),
    Option("guidance", "X", "guidance scale, 0 to 50", float),
    Option("size", "WxH", "pixels, such as 512x768; multiples of 8", _size),
    Option("scheduler", "NAME", 'such as dpmpp-2m-karras or "DPM++ 2M Karras"'),
    Option("count", "N", "pictures to make, seed after seed", int, default=1),
    Option("mode", "MODE", "what is made from what (default: what the other options imply)", choices=MODES, group=FROM),
    Option("image", "FILE", "the picture to begin with", Path, group=FROM),
    Option("mask", "FILE", "white is drawn anew, black is kept", Path, group=FROM),
    Option("strength", "X", "how far to leave the picture, 0 to 1", float, group=FROM),
    Option("mask-blur", "PX", "softens the mask's edge", int, group=FROM),
    Option("grow", "L,T,R,B", "pixels to add at the left, top, right, bottom", _edges, group=FROM),
    Option(
        "control",
        "NET=FILE[,OPTION...]",
        "a ControlNet and its picture, repeatable; options: an annotator, weight=0.8, start=0.1, end=0.9",
        _control,
        many=True,
        field="controls",
        group=FROM,
    ),
    Option(
        "lora",
        "FILE[:WEIGHT]",
        "a LoRA (a file, a folder or a name) and how strongly it acts, -4 to 4, repeatable",
        _lora,
        many=True,
        field="loras",
    ),
    Option("triggers", "", "put the words that call up the LoRAs into the prompt"),
    Option("clip-skip", "N", "leave out the last N-1 layers of CLIP, 1 to 12", int),
    Option("prompt-2", "TEXT", "for the second text encoder (default: the same)"),
    Option("negative-2", "TEXT", "the negative prompt for it (default: the same)"),
    Option("vae", "NAME", "another VAE than the model's own: a name or path", default=""),
    Option("text-encoder", "NAME", "the same for a text encoder", default=""),
    Option("tile-vae", "", "decode tile by tile, which needs less memory"),
    Option("offload", "WHICH", "what waits off the device for its turn", choices=OFFLOADS, default="none"),
    Option("compile", "", "compile the model first: minutes once, quicker steps", field="compiled"),
    Option("quantise", "WHICH", "weights of 8 bits, with extra torchao", choices=QUANTISES, default="none"),
    Option("tags", "WORDS", "tags for the pictures, by which the gallery finds them", tags_in, default=()),
    Option("out", "PATH", "a folder, or a name that ends in .png, .jpg or .webp", Path),
)
"""In the order of help."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take every one of :data:`OPTIONS`."""
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for one in OPTIONS:
        if one.group not in groups:
            groups[one.group] = parser.add_argument_group(one.group)
        place, name = groups[one.group], f"--{one.name}"
        if one.is_switch:
            place.add_argument(name, dest=one.place, action="store_true", help=one.help)
        elif one.choices:
            place.add_argument(name, dest=one.place, choices=one.choices, default=one.default, help=one.help)
        else:
            place.add_argument(
                name,
                dest=one.place,
                type=one.read,
                default=[] if one.many else one.default,
                action="append" if one.many else "store",
                metavar=one.value,
                help=one.help,
            )


def request(prompt: str, said: Mapping[str, Any], **more: Any) -> "Request":
    """What is wanted, where `said` has the options by their places; `more` are other fields of the Request."""
    from tui.headless.generate import Request

    values = {one.place: said.get(one.place, one.unsaid) for one in OPTIONS}
    values |= {one.place: tuple(values[one.place]) for one in OPTIONS if one.many}
    return Request(prompt=prompt, **values, **more)
