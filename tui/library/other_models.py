"""Models that are known by their weights and not drawn with, and why: nobody should have to guess from an error."""

import re
from collections.abc import Mapping
from typing import Any, Final

PREFIX: Final = "model.diffusion_model."
"""What LDM and its heirs put before the denoiser's names; a file that holds nothing else may leave it out."""

MAX_NAME: Final = 64
"""Letters that are told of a pipeline's name."""

Shapes = Mapping[str, list[int]]
"""Of a file's weights, by their names without :data:`PREFIX`."""

_VIDEO: Final = "Latentty makes pictures, not films"
_SOUND: Final = "Latentty makes pictures, not sound"
_FOLDER: Final = "diffusers reads no single files of it; as a folder it works: latentty models get hf:"
_NOT: Final = (
    "Latentty draws with none of its kind; it does with SDXL, SD 3.5, FLUX.1 and 2, Qwen-Image, Z-Image, Chroma, Krea 2"
)
_OVIS: Final = "AIDC-AI/Ovis-Image-7B"
_PIXART: Final = "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS"
_SPRINT: Final = "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers"
_LLAMA: Final = "Latentty does not draw with it: one of its four text encoders, Llama 3.1 8B, is no part of its folders"
_CONTROL: Final = (
    "it reads a control picture in its input, which Latentty cannot give it: use FLUX.1 dev with a ControlNet"
)

_MARKS: Final = (
    ("a Wan video model", _VIDEO, r"(?:^|\.)blocks\.0\.cross_attn\.norm_k\.weight$|^head\.modulation$"),
    ("a Hunyuan model", _NOT, r"(?:^|\.)double_blocks\.0\.img_attn_qkv\.weight$|^txt_in\.individual_token_refiner\."),
    ("an LTX video model", _VIDEO, r"(?:^|\.)patchify_proj\.weight$"),
    ("a Mochi video model", _VIDEO, r"^blocks\.0\.attn\.qkv_x\.weight$"),
    ("a Stable Video Diffusion model", _VIDEO, r"\.time_stack\."),
    ("an AnimateDiff motion module", _VIDEO, r"\.motion_modules\.0\."),
    ("a Cosmos or Anima model", _NOT, r"^net\.(?:x_embedder\.proj\.1|llm_adapter\.|blocks\.0\.self_attn\.q_proj)"),
    ("a Stable Cascade model", _NOT, r"(?:^|\.)(?:clip_txt_mapper|effnet_mapper\.0)\.weight$"),
    ("a HiDream model", _LLAMA, r"(?:^|\.)double_stream_blocks\.0\.block\."),
    ("a PixArt model", f"{_FOLDER}{_PIXART}", r"^blocks\.0\.mlp\.fc1\.weight$|^caption_projection\.y_emb"),
    ("a Sana Sprint model under its authors' names", f"{_FOLDER}{_SPRINT}", r"^cfg_embedder\.mlp\.0\.weight$"),
    ("a Kolors model", _NOT, r"^encoder_hid_proj\.weight$"),
    ("a Playground 2.5 model", _NOT, r"^edm_mean$"),
    ("a Chroma Radiance model", _NOT, r"^nerf_(?:blocks|image_embedder)\."),
    ("an Ovis-Image model", f"{_FOLDER}{_OVIS}", r"^context_embedder_norm\.weight$"),
    ("a LongCat-Image, Bria or Mochi model", _NOT, r"^time_embed\.timestep_embedder\.linear_1\.weight$"),
    ("a Wan video model", _VIDEO, r"^condition_embedder\.time_embedder\."),
    ("an ERNIE-Image model", _NOT, r"^layers\.0\.adaLN_sa_ln\.weight$"),
    ("a Boogu-Image model", _NOT, r"^double_stream_layers\.0\.img_instruct_attn\."),
    ("an Ideogram 4 model", _NOT, r"(?:^|\.)embed_image_indicator\.weight$"),
    ("a Lens model", _NOT, r"^transformer_blocks\.0\.img_mlp\.w1\.weight$"),
    ("a HiDream-O1 model", _NOT, r"^model\.x_embedder\.proj1\.weight$"),
    ("a Qwen-Image Layered model", _NOT, r"^time_text_embed\.addition_t_embedding\.weight$"),
    ("an Ovis-Image model", f"{_FOLDER}{_OVIS}", r"^double_blocks\.0\.img_mlp\.gate_proj\.weight$"),
    ("a MiniMax video model", _VIDEO, r"^video_patch_proj\.weight$"),
    ("a FLUX.3 model", _NOT, r"^early_stream_modulations\."),
    ("FLUX.1 Redux", "Latentty has no use for pictures as prompts", r"^redux_up\."),
)  # fmt: skip
"""What it is, why it cannot be used, and names that only it has."""

_ANY_MARK: Final = re.compile("|".join(f"(?P<m{n}>{mark})" for n, (_, _, mark) in enumerate(_MARKS)), re.MULTILINE)
"""One look at all names, a line each: thousands of files are asked about."""

_INPUTS: Final = {
    5: "Stable Diffusion for depth",
    7: "an upscaler of Stable Diffusion",
    8: "InstructPix2Pix or another editor of Stable Diffusion",
}
"""What takes in so many channels."""

_DISTILLED: Final = "input_blocks.7.1.transformer_blocks.{}.norm1.weight"


def not_drawn_with(shapes: Shapes) -> str:
    """What the file with these weights is, and why it cannot be drawn with; empty for every other file."""
    if (found := _ANY_MARK.search("\n".join(shapes))) is not None:
        what, why, _ = _MARKS[int(str(found.lastgroup)[1:])]
        return f"it is {what}: {why}"
    entry = shapes.get("img_in.weight") or shapes.get("x_embedder.weight") or []
    second = "double_stream_modulation_img.lin.weight" in shapes  # FLUX.2 reads as many channels
    if "guidance_in.in_layer.weight" in shapes and entry[1:] == [128] and not second:
        return f"it is FLUX.1 Canny or Depth: {_CONTROL}"
    if (other := _like_others(shapes, entry[1:])) is not None:
        return f"it is {other}: {_NOT}"
    first = shapes.get("input_blocks.0.0.weight") or []
    if len(first) == 4 and first[1] in _INPUTS:
        return f"it is {_INPUTS[first[1]]}: {_NOT}"
    if _DISTILLED.format(0) in shapes and "label_emb.0.0.weight" in shapes and _DISTILLED.format(9) not in shapes:
        return f"it is a small form of SDXL, such as SSD-1B or Vega: {_FOLDER}segmind/SSD-1B"
    return ""


def _like_others(shapes: Shapes, entry: list[int]) -> str | None:
    """A model whose weights have the names of FLUX.1's or Qwen-Image's and which reads something else."""
    text = shapes.get("txt_in.weight") or shapes.get("context_embedder.weight") or []
    if "double_blocks.0.img_attn.qkv.weight" in shapes and text[1:] == [3584]:
        return "a LongCat-Image model"
    if "double_blocks.0.img_attn.qkv.weight" in shapes and entry == [196]:
        return "Flex.2, which takes a control picture in"
    return "a Mage-Flow model" if "transformer_blocks.0.img_mod.1.weight" in shapes and entry == [128] else None


_FILM_PARTS: Final = re.compile("Video|3D|Motion|Temporal")
"""In the classes of the parts of models that make films."""
_SOUND_PARTS: Final = re.compile("Audio|Music|Oobleck|Vocoder|HifiGan|ClapModel")


def pipeline_not_drawn_with(index: Mapping[str, Any]) -> str:
    """Why a diffusers folder with this `model_index.json`, which is of none of our families, is not drawn with."""
    told = index.get("_class_name")
    if not isinstance(told, str) or not told:
        return "its model_index.json names no pipeline"
    parts = (str(entry[-1]) for entry in index.values() if isinstance(entry, list) and entry)
    classes = " ".join((told, *parts))
    why = _VIDEO if _FILM_PARTS.search(classes) else _SOUND if _SOUND_PARTS.search(classes) else _NOT
    return f"its pipeline is {told[:MAX_NAME]}, and {why}"


CONTROL_LORA: Final = f"it is a control LoRA of FLUX.1 (Canny or Depth): {_CONTROL}"
CONTROL_WIDTH: Final = 128
"""What such a LoRA makes of the 64 values that FLUX.1's first layer reads for each place."""
