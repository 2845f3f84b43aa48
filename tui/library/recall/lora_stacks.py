"""LoRAs in the nodes of ComfyUI that others wrote, several in one: by the names of their inputs, not by the nodes'.

Known are ComfyUI's own loaders, rgthree's, Efficiency's, Comfyroll's, Easy-Use's, pysssss's and the LoRA Manager's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

_NUMBERED: Final = re.compile(r"^(?:lora_name_|lora_)(?P<last>\d+)$|^lora_(?P<amid>\d+)_name$", re.IGNORECASE)
_SIMPLE: Final = ("lora_wt_{}", "lora_{}_strength", "model_weight_{}", "strength_{}")
_OF_MODEL: Final = ("model_str_{}", "lora_{}_model_strength", "model_weight_{}", "strength_{}")
_OF_TEXT: Final = ("clip_str_{}", "lora_{}_clip_strength", "clip_weight_{}")
_BOTH_ALWAYS: Final = ("clip_weight_{}",)
"""Of those, what counts in every mode of its node."""
_ALONE_OF_MODEL: Final = ("strength_model", "lora_model_strength", "strength", "lora_strength")
_ALONE_OF_TEXT: Final = ("strength_clip", "lora_clip_strength")
_OFF: Final = (False, "Off", "off", "disabled", "Disabled", "disable")
_NONE: Final = (None, "", "None", "none")
_TAG: Final = re.compile(r"<lora:(?P<name>[^:<>]+)(?::(?P<weight>[-+.\d]+))?(?::(?P<text>[-+.\d]+))?>")
MAX_LORAS: Final = 200
"""That are read from one node."""


class Lora(Struct, frozen=True, kw_only=True):
    """One LoRA of a node. Each value is as it stands there: it may be a link to another node."""

    name: object
    weight: object = 1.0
    text_weight: object = None
    """The text encoder's, where it has one of its own."""


def loras_of(inputs: Mapping[str, Any]) -> tuple[list[Lora], list[str]]:
    """The LoRAs that are switched on in the node with these inputs, and the names of all inputs that tell of LoRAs."""
    for read in (_manager, _slots, _numbered, _alone):
        loras, told = read(inputs)
        if told:
            return [lora for lora in loras[:MAX_LORAS] if lora.name not in _NONE], told
    return [], []


def _manager(inputs: Mapping[str, Any]) -> tuple[list[Lora], list[str]]:
    """The LoRA Manager's: a list, or tags in a text where it was told none."""
    if "loras" not in inputs:
        return [], []
    held = inputs["loras"]
    listed = held.get("__value__") if isinstance(held, dict) else held
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    loras = [
        Lora(name=one.get("name"), weight=one.get("strength", 1.0), text_weight=one.get("clipStrength"))
        for one in entries
        if one.get("active", True)
    ]
    if not entries:
        tags = _TAG.finditer(str(inputs.get("text", ""))[:100_000])
        loras = [Lora(name=tag["name"], weight=tag["weight"] or 1.0, text_weight=tag["text"]) for tag in tags]
    return loras, ["loras", "text"]


def _slots(inputs: Mapping[str, Any]) -> tuple[list[Lora], list[str]]:
    """rgthree's Power Lora Loader: an object for each."""
    slots = {name: one for name, one in inputs.items() if isinstance(one, dict) and "lora" in one}
    loras = [
        Lora(name=one["lora"], weight=one.get("strength", 1.0), text_weight=one.get("strengthTwo"))
        for one in slots.values()
        if one.get("on", True)
    ]
    return loras, list(slots)


def _numbered(inputs: Mapping[str, Any]) -> tuple[list[Lora], list[str]]:
    """Stacks of Efficiency, Comfyroll, Easy-Use and rgthree: inputs with numbers in their names."""
    names = {name: match["last"] or match["amid"] for name in inputs if (match := _NUMBERED.match(name))}
    if not names:
        return [], []
    loras = [_of_number(inputs, name, number) for name, number in names.items() if _is_on(inputs, number)]
    settled = {form.format(number) for number in names.values() for form in (*_SIMPLE, *_OF_MODEL, *_OF_TEXT)}
    settled |= {f"switch_{number}" for number in names.values()}
    settled |= {"input_mode", "mode", "lora_count", "num_loras", "toggle"}
    return loras, [*names, *sorted(settled & inputs.keys())]


def _is_on(inputs: Mapping[str, Any], number: str) -> bool:
    count = inputs.get("lora_count", inputs.get("num_loras"))
    within = not isinstance(count, int) or isinstance(count, bool) or int(number) <= count
    return within and inputs.get(f"switch_{number}") not in _OFF and inputs.get("toggle", True) not in _OFF


def _of_number(inputs: Mapping[str, Any], name: str, number: str) -> Lora:
    advanced = inputs.get("input_mode", inputs.get("mode")) == "advanced"
    weight = _first(inputs, _OF_MODEL if advanced else _SIMPLE, number)
    text_weight = _first(inputs, _OF_TEXT if advanced else _BOTH_ALWAYS, number)
    return Lora(name=inputs[name], weight=1.0 if weight is None else weight, text_weight=text_weight)


def _first(inputs: Mapping[str, Any], forms: tuple[str, ...], number: str = "") -> object:
    return next((inputs[form.format(number)] for form in forms if form.format(number) in inputs), None)


def _alone(inputs: Mapping[str, Any]) -> tuple[list[Lora], list[str]]:
    """One LoRA, in a node of its own or in a loader of everything."""
    if "lora_name" not in inputs:
        return [], []
    name, weight = inputs["lora_name"], _first(inputs, _ALONE_OF_MODEL)
    name = name.get("content") if isinstance(name, dict) else name  # pysssss's has a picture beside it
    lora = Lora(name=name, weight=1.0 if weight is None else weight, text_weight=_first(inputs, _ALONE_OF_TEXT))
    return [lora], ["lora_name", *(one for one in (*_ALONE_OF_MODEL, *_ALONE_OF_TEXT) if one in inputs)]
