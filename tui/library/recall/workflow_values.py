"""What the values in a node of ComfyUI's editor are: it keeps them in their order, and the API names them."""

import re
from typing import Any, Final

from tui.library.recall.found import listed

_HOLDS_A_TEXT: Final = re.compile("text|prompt|string|positive|negative|primitive|note|clip", re.IGNORECASE)
"""Nodes of one value that is a text, by their kind."""
_HOLDS_NONE: Final = re.compile("load|vision", re.IGNORECASE)
"""Nodes whose one value is a file's name all the same."""
OWN: Final = "-1"
"""What a subgraph's place calls itself among the nodes inside it."""

_SIZES: Final = ("empty_latent_width", "empty_latent_height")
_ONE_LORA: Final = ("lora_name", "lora_model_strength", "lora_clip_strength")
_EASY_LOADER: Final = (
    *("ckpt_name", "vae_name", "clip_skip", *_ONE_LORA, "resolution", *_SIZES),
    *("positive", "negative", "batch_size"),
)
_WIDGETS: Final[dict[str, tuple[str, ...]]] = {
    "KSampler": ("seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler",
        "start_at_step", "end_at_step", "return_with_leftover_noise",
    ),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "unCLIPCheckpointLoader": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UnetLoaderGGUF": ("unet_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "VAELoader": ("vae_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "FluxGuidance": ("guidance",),
    "easy seed": ("seed",),
    "Seed (rgthree)": ("seed",),
    "RandomNoise": ("noise_seed", "control_after_generate"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KSampler (Efficient)": ("seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSampler Adv. (Efficient)": (
        "add_noise", "noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler",
        "start_at_step", "end_at_step", "return_with_leftover_noise",
    ),
    "KSampler SDXL (Eff.)": ("noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler"),
    "Efficient Loader": (
        "ckpt_name", "vae_name", "clip_skip", *_ONE_LORA, "positive", "negative", "token_normalization",
        "weight_interpretation", *_SIZES, "batch_size",
    ),
    "Eff. Loader SDXL": (
        "base_ckpt_name", "base_clip_skip", "refiner_ckpt_name", "refiner_clip_skip", "positive_ascore",
        "negative_ascore", "vae_name", "positive", "negative", "token_normalization", "weight_interpretation",
        *_SIZES, "batch_size",
    ),
    "easy a1111Loader": _EASY_LOADER,
    "easy comfyLoader": _EASY_LOADER,
    "easy fullLoader": (
        "ckpt_name", "config_name", "vae_name", "clip_skip", *_ONE_LORA, "resolution", *_SIZES, "positive",
        "positive_token_normalization", "positive_weight_interpretation", "negative",
    ),
    "easy preSampling": ("steps", "cfg", "sampler_name", "scheduler", "denoise", "seed"),
    "easy fullkSampler": (
        "steps", "cfg", "sampler_name", "scheduler", "denoise", "image_output", "link_id", "save_prefix", "seed",
    ),
    "LoRA Stacker": (
        "input_mode", "lora_count",
        *(f"{name}_{n}" for n in range(1, 50) for name in ("lora_name", "lora_wt", "model_str", "clip_str")),
    ),
    "CR LoRA Stack": tuple(
        f"{name}_{n}" for n in (1, 2, 3) for name in ("switch", "lora_name", "model_weight", "clip_weight")
    ),
    "easy loraStack": (
        "toggle", "mode", "num_loras",
        *(f"lora_{n}_{name}" for n in range(1, 11) for name in ("name", "strength", "model_strength", "clip_strength")),
    ),
    "Lora Loader Stack (rgthree)": tuple(f"{name}_{n:02}" for n in (1, 2, 3, 4) for name in ("lora", "strength")),
}  # fmt: skip
"""What the values of a workflow's node are, in their order; the API graph names them itself."""


def values_of(node: dict[str, Any]) -> dict[str, Any]:
    """The values that `node` holds itself, by their names, as far as these are known."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    if not isinstance(values, list):
        return {}
    if shown := shown_values(node):
        return shown.get(OWN, {})
    named = dict(zip(_names(str(node.get("type", "")), node.get("inputs"), values), values, strict=False))
    slots = [one for one in values if isinstance(one, dict) and "lora" in one]  # rgthree's
    return named | {f"lora_{number}": one for number, one in enumerate(slots, 1)}


def shown_values(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a subgraph's place holds for its inputs, by :data:`OWN`, and for the nodes inside, by their ids."""
    properties, values = node.get("properties"), listed(node.get("widgets_values"))
    pairs = listed(properties.get("proxyWidgets") if isinstance(properties, dict) else None)
    shown: dict[str, dict[str, Any]] = {}
    for pair, value in zip(pairs, values, strict=False):
        if isinstance(pair, list) and len(pair) >= 2 and value is not None:
            shown.setdefault(str(pair[0]), {})[str(pair[1])] = value
    return shown


def _names(kind: str, entries: object, values: list[Any]) -> tuple[str, ...]:
    """What the `values` of a workflow's node are called: later editors name each among the `entries`."""
    if kind in _WIDGETS:
        return _WIDGETS[kind]
    widgets = [entry.get("widget") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    names = [str(widget.get("name")) for widget in widgets if isinstance(widget, dict)]
    seed = next((place for place, name in enumerate(names) if name in ("seed", "noise_seed")), -1)
    if seed >= 0 and len(values) > len(names):
        names.insert(seed + 1, "control_after_generate")
    if names and len(names) == len(values):
        return tuple(names)
    texts = len(values) == 1 and _HOLDS_A_TEXT.search(kind) and not _HOLDS_NONE.search(kind)
    return ("text",) if texts else ()
