"""Models that are known by their weights and not drawn with, and why: nobody should have to guess from an error."""

import re
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "model.diffusion_model."
"""What LDM and its heirs put before the denoiser's names; a file that holds nothing else may leave it out."""

Shapes = Mapping[str, list[int]]
"""Of a file's weights, by their names without :data:`PREFIX`."""

_VIDEO: Final = "Latentty makes pictures, not films"
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
    first = shapes.get("input_blocks.0.0.weight") or []
    if len(first) == 4 and first[1] in _INPUTS:
        return f"it is {_INPUTS[first[1]]}: {_NOT}"
    if _DISTILLED.format(0) in shapes and "label_emb.0.0.weight" in shapes and _DISTILLED.format(9) not in shapes:
        return f"it is a small form of SDXL, such as SSD-1B or Vega: {_FOLDER}segmind/SSD-1B"
    return ""


CONTROL_LORA: Final = f"it is a control LoRA of FLUX.1 (Canny or Depth): {_CONTROL}"
CONTROL_WIDTH: Final = 128
"""What such a LoRA makes of the 64 values that FLUX.1's first layer reads for each place."""
