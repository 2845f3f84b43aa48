"""Checkpoints in a single file: what they are, from their header, and which configuration goes with them.

A variant is recognised by weights that it must have; a file that has none of them is not guessed at.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from tui.library.families import FAMILIES, Family
from tui.library.gguf_header import GGUF, as_safetensors, read_gguf_header
from tui.library.lending import Lending
from tui.library.loose_parts import label_of, sound_header
from tui.library.models import info_of, read_json, read_model
from tui.library.other_models import PREFIX, not_drawn_with
from tui.library.paths import configurations
from tui.library.safetensors_header import Header, read_header
from tui.protocol.events import ModelInfo
from tui.protocol.problem import LatenttyError, Problem

SUFFIX: Final = ".safetensors"

KNOWN_DONORS: Final = 64
"""Checkpoints that could lend to others and are not looked into again."""

LOADABLE: Final = frozenset(
    {
        *("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
        *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
    }
)
"""Of GGUF's types, those that diffusers computes with."""


class Variant(Struct, frozen=True, kw_only=True):
    """One kind of checkpoint."""

    id: str
    """Of its configuration in `tui/configurations`, where we have one."""
    family: str
    pipeline: str
    """The diffusers class that such a model would be saved as."""
    denoiser: str = "transformer"
    complete: bool = False
    """Whether `tui/configurations` has all that the file lacks; else a model of a kindred family must lend it."""
    lenders: tuple[str, ...] = ()
    """The families whose text encoders, tokenizers and VAE it can borrow."""
    config: dict[str, Any] = field(default_factory=dict)
    """What the denoiser's configuration must say, whatever the lender's says."""
    scheduler: dict[str, Any] = field(default_factory=dict)
    """The same for the scheduler's."""
    index: dict[str, Any] = field(default_factory=dict)
    """The same for the model's index."""
    like: str = ""
    """The variant whose configuration it has, where it is not its own."""

    @property
    def configuration(self) -> Path:
        """The folder with its configuration; there need not be one."""
        return configurations() / (self.like or self.id)


class SingleFile(Struct, frozen=True, kw_only=True):
    """A checkpoint that was recognised, and where the rest of its model comes from."""

    path: Path
    header: Header
    variant: Variant
    pack: Path
    """The folder with the configurations: ours, or the lender's."""
    lender: Path | None = None
    """A diffusers model that lends what the file lacks."""
    donor: "SingleFile | None" = None
    """A checkpoint that lends it, where no such model does."""
    loose: dict[str, Path] = field(default_factory=dict)
    """The files with what it lacks, by part, where nothing of both lends it."""

    def holds(self, part: str) -> bool:
        """Whether the weights of `part`, such as "vae", are in the file."""
        return any(True for _ in names_of(self.header, self.variant, part))


def open_model(path: Path, lending: Lending) -> ModelInfo:
    """What the model at `path` is: a diffusers folder, or a checkpoint in a single file.

    `lending` has what a checkpoint lacks.

    Raises:
        LatenttyError: it is missing, damaged, or of no kind that we know.
    """
    if not path.is_file():
        return read_model(path)
    single = read_single_file(path, lending)
    return info_of(path, family_of(single), single.pack, scheduler_config_of(single), single.header.bytes)


def read_single_file(path: Path, lending: Lending) -> SingleFile:
    """What the checkpoint at `path` is; what it lacks is taken from `lending`.

    Raises:
        LatenttyError: it is missing, damaged, of no kind that we know, or lacks what nothing on the disk can lend.
    """
    header = _header_of(path)
    if packed := packing(header):
        raise _unusable(path, f"its weights are {packed}, which cannot be loaded from a single file", OF_FEW_BITS)
    variant = variant_of(header, path.name)
    if variant is None:
        known = not_drawn_with(bare_shapes(header))
        why = known or "it is no checkpoint of a kind that we know"
        raise _unusable(path, why, "" if known else "Diffusers folders work, too.")
    pack = variant.configuration
    alone = SingleFile(path=path, header=header, variant=variant, pack=pack)
    if pack.is_dir() and all(alone.holds(part) for part in _weights(pack)):
        return alone
    for lender in lending.models((variant.family, *variant.lenders), path.parent):
        if _reads_alike(lender, pack) if variant.complete else _is_as_wide(lender, header):
            return replace(alone, pack=pack if variant.complete else lender, lender=lender)
    if variant.complete and (donor := _donor(alone, lending)) is not None:
        return replace(alone, donor=donor)
    return _with_loose(alone, lending)


def _reads_alike(lender: Path, pack: Path) -> bool:
    """Whether the text encoders of `lender` are as wide as those in `pack`: one family has several of them."""
    return all(
        _config_of(lender / place.parent.name).get("hidden_size") == read_json(place.parent, place.name)["hidden_size"]
        for place in pack.glob("text_encoder*/config.json")
        if "hidden_size" in read_json(place.parent, place.name)
    )


_ENTRIES: Final = (
    "img_in",
    "first",
    "x_embedder",
    "x_embedder.proj",
    "patch_embed.proj",
    "init_x_linear",
    "pos_embed.proj",
)
"""The layers through which a picture enters a transformer; what comes out of them is as wide as all that follows."""


def _is_as_wide(lender: Path, header: Header) -> bool:
    """Whether the transformer of `lender` is as wide as the one in the file: some families have several sizes."""
    shapes, config = bare_shapes(header), _config_of(lender / "transformer")
    found = next((shapes[f"{name}.weight"][0] for name in _ENTRIES if shapes.get(f"{name}.weight")), None)
    heads, head = config.get("num_attention_heads"), config.get("attention_head_dim")
    told = config.get("hidden_size", config.get("dim"))
    if isinstance(heads, int) and isinstance(head, int):
        told = heads * head
    return found is None or told is None or found == told


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder, "config.json")
    except LatenttyError:
        return {}


def _donor(alone: SingleFile, lending: Lending) -> SingleFile | None:
    """A checkpoint of the same kind that has all the parts, as most people have one of Stable Diffusion."""
    parts, size = _weights(alone.pack), alone.header.bytes

    def is_whole(path: Path) -> bool:
        donor = _as_donor(alone, path) if _size_of(path) * 2 > size else None
        return donor is not None and all(donor.holds(part) for part in parts)

    found = lending.whole(alone.pack, alone.path.parent, is_whole)
    return _as_donor(alone, found) if found is not None else None


def _as_donor(alone: SingleFile, path: Path) -> SingleFile | None:
    try:
        found = path.stat()
    except OSError:
        return None
    header, variant = _offered(path, found.st_size, found.st_mtime_ns)
    if header is None or variant is None or not variant.configuration.is_dir():
        return None
    if variant.configuration.name.partition("-inpainting")[0] != alone.pack.name.partition("-inpainting")[0]:
        return None
    return SingleFile(path=path, header=header, variant=variant, pack=alone.pack)


@lru_cache(maxsize=KNOWN_DONORS)
def _offered(path: Path, size: int, changed: int) -> tuple[Header | None, Variant | None]:
    """The checkpoint at `path`, of this size and time, as one that could lend: one is asked for by hundreds."""
    del size, changed
    header = sound_header(path) if path.suffix.lower() == SUFFIX else None
    return header, variant_of(header, path.name) if header is not None and not packing(header) else None


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _with_loose(alone: SingleFile, lending: Lending) -> SingleFile:
    """`alone` with the files that have the parts it lacks, or else with a checkpoint that has everything inside."""
    pack = alone.pack
    if not (pack / "model_index.json").is_file():
        raise _lacking(alone, [])
    lacking = [part for part in _weights(pack) if not alone.holds(part)]
    found = {part: lending.file(part, pack, alone.path.parent) for part in lacking}
    if absent := [part for part, path in found.items() if path is None]:
        donor = _donor(alone, lending)
        if donor is None:
            raise _lacking(alone, [label_of(part, read_json(pack, f"{part}/config.json")) for part in absent])
        return replace(alone, donor=donor)
    for path in found.values():
        if path is not None and path.suffix.lower() == GGUF:
            _refuse_lacking_gguf(path)
    return replace(alone, loose={part: path for part, path in found.items() if path is not None})


def _header_of(path: Path) -> Header:
    suffix = path.suffix.lower()
    if suffix == SUFFIX:
        return read_header(path)
    if suffix != GGUF:
        raise _unusable(path, f"it is no {SUFFIX} file", "Convert it to one where you trust it.")
    header = read_gguf_header(path)
    if unknown := sorted({tensor.type for tensor in header.tensors.values()} - LOADABLE):
        raise _unusable(path, f"its weights are {unknown[0]}, which cannot be loaded", "Q4_K, Q5_K, Q6_K and Q8_0 can.")
    _refuse_lacking_gguf(path)
    as_one = as_safetensors(header)
    variant = variant_of(as_one, path.name)
    if variant is not None and variant.denoiser != "transformer":
        raise _unusable(path, "of GGUF files only transformers can be loaded", "Use the model's safetensors file.")
    return as_one


def _refuse_lacking_gguf(path: Path) -> None:
    if find_spec("gguf") is None:
        raise _unusable(path, "GGUF files need the package gguf", 'Install it: pip install "latentty[gguf]"')


_PACKINGS: Final = {
    ".quant_state.bitsandbytes__nf4": "of 4 bits as bitsandbytes packs them (NF4)",
    ".quant_state.bitsandbytes__fp4": "of 4 bits as bitsandbytes packs them (FP4)",
    ".wscales": "of 4 bits as Nunchaku packs them (SVDQuant)",
    ".qzeros": "of 4 bits as GPTQ or AWQ packs them",
    ".weight_scale_2": "of 4 bits as NVIDIA packs them (NVFP4)",
}
"""By the ending of a name that only such files have, how their weights are packed."""

OF_FEW_BITS: Final = "Use a GGUF file of the same model (Q4_K is as small), or the one in fp8."


def packing(header: Header) -> str:
    """How the weights in a file are packed; empty when they are numbers, or blocks that can be loaded."""
    for name in header.tensors:
        for ending, told in _PACKINGS.items():
            if name.endswith(ending):
                return told
    return ""


def _weights(pack: Path) -> list[str]:
    return [place.parent.name for place in sorted(pack.glob("*/config.json"))]


def _lacking(alone: SingleFile, missing: Sequence[str]) -> LatenttyError:
    """The error for a checkpoint that nothing lends what it lacks; `missing` are the files that would do."""
    variant = alone.variant
    label = FAMILIES[variant.family].label
    encoder, repository = _BORROWED.get(variant.family, ("", ""))
    if variant.complete:
        what = f"it lacks the {', '.join(part for part in _weights(alone.pack) if not alone.holds(part))}"
    else:
        parts = f"its text encoder ({encoder}), the tokenizer" if encoder else "text encoders, their tokenizers"
        what = f"it holds the transformer alone, without {parts} and the VAE"
    files = f" these files: {', '.join(missing)}; or" if missing else ""
    size = "" if variant.complete or missing else " of its size"
    get = f" One comes with: latentty models get hf:{repository}:lender" if repository else ""
    return _unusable(
        alone.path,
        what,
        f"Put into one of the model folders{files} a diffusers folder of any {label} model{size},"
        " which lends them (its model_index.json, tokenizer*/, text_encoder*/, vae/ and scheduler/ are what is used)."
        f"{get}",
    )


_BORROWED: Final = {
    "flux2": ("Mistral Small 3.2", "black-forest-labs/FLUX.2-dev"),
    "flux2-klein": ("Qwen3", "black-forest-labs/FLUX.2-klein-4B"),
    "lumina-2": ("Gemma 2 2B", "Alpha-VLLM/Lumina-Image-2.0"),
    "sana": ("Gemma 2 2B", "Efficient-Large-Model/Sana_1600M_1024px_diffusers"),
    "sana-sprint": ("Gemma 2 2B", "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers"),
    "auraflow": ("Pile-T5 XL", "fal/AuraFlow-v0.3"),
    "krea-2": ("Qwen3-VL 4B", "krea/Krea-2-Raw"),
    "qwen-image-2.1": ("Qwen3-VL", "Qwen/Qwen-Image-2.1"),
}
"""By family: the text encoder that no file beside the transformer is known for, and a repository that has it."""


def family_of(single: SingleFile) -> Family:
    """The family of a checkpoint."""
    return FAMILIES[single.variant.family]


def index_of(single: SingleFile) -> dict[str, Any]:
    """The `model_index.json` that it would have as a folder.

    Raises:
        LatenttyError: the lender's is damaged.
    """
    index = read_json(single.pack, "model_index.json")
    return index | {"_class_name": single.variant.pipeline} | single.variant.index


def scheduler_config_of(single: SingleFile) -> dict[str, Any]:
    """The configuration of its scheduler.

    Raises:
        LatenttyError: the lender's is damaged.
    """
    return read_json(single.pack, "scheduler/scheduler_config.json") | single.variant.scheduler


# ---- what is in a file ---------------------------------------------------------------------------------------------

_TEXT_PREFIXES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "stable-diffusion": {"text_encoder": ("cond_stage_model.",)},
    "stable-diffusion-xl": {
        "text_encoder": ("conditioner.embedders.0.",),
        "text_encoder_2": ("conditioner.embedders.1.",),
    },
    "stable-diffusion-xl-refiner": {"text_encoder_2": ("conditioner.embedders.0.",)},
    "stable-diffusion-3": {
        "text_encoder": ("text_encoders.clip_l.",),
        "text_encoder_2": ("text_encoders.clip_g.",),
    },
    **{
        family: {"text_encoder": ("text_encoders.clip_l.",), "text_encoder_2": ("text_encoders.t5xxl.",)}
        for family in ("flux", "flux-fill", "flux-kontext")
    },
    "chroma": {"text_encoder": ("text_encoders.t5xxl.",)},
    "z-image": {"text_encoder": ("text_encoders.qwen3_4b.",)},
}


def names_of(header: Header, variant: Variant, part: str) -> Iterator[str]:
    """The names of the weights of `part` in a checkpoint."""
    if part == variant.denoiser:
        prefixed = any(name.startswith(PREFIX) for name in header.tensors)
        others = ("first_stage_model.", "vae.", "text_encoders.", "cond_stage_model.", "conditioner.")
        for name in header.tensors:
            if name.startswith(PREFIX) if prefixed else not name.startswith(others):
                yield name
    elif part == "vae":
        yield from (name for name in header.tensors if name.startswith(("first_stage_model.", "vae.")))
    else:
        prefixes = _TEXT_PREFIXES.get(variant.family, {}).get(part, ())
        yield from (name for name in header.tensors if prefixes and name.startswith(prefixes))


# ---- recognising ---------------------------------------------------------------------------------------------------

Shapes = dict[str, list[int]]


def bare_shapes(header: Header) -> Shapes:
    """The shapes of a file's weights, by their names without what LDM puts before the denoiser's."""
    return {name.removeprefix(PREFIX): tensor.shape for name, tensor in header.tensors.items()}


_FLUX_SCHEDULER: Final = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
_SCHNELL_SCHEDULER: Final = _FLUX_SCHEDULER | {"shift": 1.0, "use_dynamic_shifting": False}
_FLUX_FAMILIES: Final = ("flux", "flux-fill", "flux-kontext")


CONTROLNET: Final = ("controlnet_blocks.", "controlnet_cond_embedding.")
"""Names in ControlNets, whose others are those of the model that they were made from."""


def variant_of(header: Header, file_name: str = "") -> Variant | None:
    """The kind of checkpoint that has this header; None when it is none that we know."""
    shapes = bare_shapes(header)
    if not_drawn_with(shapes) or any(name.startswith(CONTROLNET) for name in shapes):
        return None
    predicts = header.metadata.get("modelspec.prediction_type", "")
    hint = " ".join((file_name, f"predicts-{predicts}", *header.metadata.values())).lower()[:4096]
    for look in (_unet, _sd3, _flux, _flux2, _others):
        found = look(shapes, hint)
        if found is not None:
            return found
    return None


def _unet(shapes: Shapes, hint: str) -> Variant | None:
    first = shapes.get("input_blocks.0.0.weight")
    if first is None and {"down_blocks.0.resnets.0.conv1.weight", "conv_out.weight"} <= shapes.keys():
        first = shapes.get("conv_in.weight")  # alone, in the names of diffusers
    if first is None or len(first) != 4:
        return None
    inpainting = first[1] == 9
    if first[1] not in (4, 9):
        return None
    marks = ("label_emb.0.0.weight", "add_embedding.linear_1.weight")
    if any(name.startswith("conditioner.embedders.1.model.") or name in marks for name in shapes):
        return _xl(shapes, hint, inpainting=inpainting)
    cross = next((s[1] for n, s in shapes.items() if n.endswith("attn2.to_k.weight")), 0)
    if cross == 768:
        name = "stable-diffusion-1"
    elif cross == 1024:
        name = "stable-diffusion-2" if inpainting or not _says_base(hint) else "stable-diffusion-2-base"
    else:
        return None
    return Variant(
        id=f"{name}-inpainting" if inpainting else name,
        family="stable-diffusion",
        pipeline="StableDiffusionInpaintPipeline" if inpainting else "StableDiffusionPipeline",
        denoiser="unet",
        complete=True,
    )


def _says_base(hint: str) -> bool:
    """Whether a Stable Diffusion 2 was trained to predict noise: no weight tells, so its name has to."""
    return "base" in hint or "512" in hint or "epsilon" in hint


def _xl(shapes: Shapes, hint: str, *, inpainting: bool) -> Variant | None:
    cross = next((s[1] for n, s in shapes.items() if n.endswith("attn2.to_k.weight")), 0)
    if cross == 1280:
        name, family, pipeline = "-refiner", "stable-diffusion-xl-refiner", "StableDiffusionXLImg2ImgPipeline"
    elif cross != 2048 or "edm_mean" in shapes:
        return None
    elif inpainting:
        name, family, pipeline = "-inpainting", "stable-diffusion-xl", "StableDiffusionXLInpaintPipeline"
    else:
        predicts_v = bool({"v_pred", "ztsnr"} & shapes.keys()) or _says_v(hint)
        name = "-v-prediction" if predicts_v else ""
        family, pipeline = "stable-diffusion-xl", "StableDiffusionXLPipeline"
    return Variant(id=f"stable-diffusion-xl{name}", family=family, pipeline=pipeline, denoiser="unet", complete=True)


def _says_v(hint: str) -> bool:
    return "vpred" in re.sub(r"[-_ ]", "", hint) or "predicts-v" in hint


def _sd3(shapes: Shapes, hint: str) -> Variant | None:
    in_diffusers_names = {"transformer_blocks.0.norm1_context.linear.weight", "pos_embed.pos_embed"} <= shapes.keys()
    if "joint_blocks.0.context_block.adaLN_modulation.1.weight" not in shapes and not in_diffusers_names:
        return None
    if {"joint_blocks.37.x_block.attn.qkv.weight", "transformer_blocks.37.attn.to_q.weight"} & shapes.keys():
        name = "stable-diffusion-3.5-large"
    elif {"joint_blocks.0.x_block.attn2.qkv.weight", "transformer_blocks.0.attn2.to_q.weight"} & shapes.keys():
        name = "stable-diffusion-3.5-medium"
    else:
        name = "stable-diffusion-3-medium"
    return Variant(id=name, family="stable-diffusion-3", pipeline="StableDiffusion3Pipeline", complete=True)


def _flux(shapes: Shapes, hint: str) -> Variant | None:
    """FLUX.1 and Chroma, in the names of Black Forest Labs or in diffusers'."""
    if "double_blocks.0.img_attn.qkv.weight" in shapes and "double_stream_modulation_img.lin.weight" not in shapes:
        entry, guided = shapes.get("img_in.weight", []), "guidance_in.in_layer.weight" in shapes
        layers = _count(shapes, "double_blocks."), _count(shapes, "single_blocks.")
        chroma = "distilled_guidance_layer.in_proj.weight" in shapes
    elif "single_transformer_blocks.0.attn.to_q.weight" in shapes and "x_embedder.weight" in shapes:
        entry = shapes["x_embedder.weight"]
        guided = "time_text_embed.guidance_embedder.linear_1.weight" in shapes
        layers = _count(shapes, "transformer_blocks."), _count(shapes, "single_transformer_blocks.")
        chroma = "distilled_guidance_layer.in_proj.weight" in shapes
        if "double_stream_modulation_img.linear.weight" in shapes:
            return None
    else:
        return None
    if len(entry) != 2 and not chroma:
        return None
    config = {"num_layers": layers[0], "num_single_layers": layers[1]}
    if chroma:
        return Variant(id="chroma", family="chroma", pipeline="ChromaPipeline", config=config)
    config |= {"in_channels": entry[1], "guidance_embeds": guided}
    lenders = _FLUX_FAMILIES
    if entry[1] == 384:
        fill = {**config, "out_channels": 64}
        return Variant(
            id="flux-fill", like="flux", family="flux-fill", pipeline="FluxFillPipeline", lenders=lenders, config=fill,
            scheduler=_FLUX_SCHEDULER,
        )  # fmt: skip
    if guided and "kontext" in hint:
        return Variant(
            id="flux-kontext", like="flux", family="flux-kontext", pipeline="FluxKontextPipeline", lenders=lenders,
            config=config, scheduler=_FLUX_SCHEDULER,
        )  # fmt: skip
    return Variant(
        id="flux",
        family="flux",
        pipeline="FluxPipeline",
        lenders=lenders,
        config=config,
        scheduler=_FLUX_SCHEDULER if guided else _SCHNELL_SCHEDULER,
    )


_KLEINS: Final = {3072: "flux2-klein-4b", 4096: "flux2-klein-9b"}
"""By the width of their transformers."""


def _flux2(shapes: Shapes, hint: str) -> Variant | None:
    """FLUX.2, in the names of Black Forest Labs or in diffusers': dev is told a guidance, Klein is not."""
    if "double_stream_modulation_img.lin.weight" in shapes:
        entry, text, guided = "img_in.weight", "txt_in.weight", "guidance_in.in_layer.weight" in shapes
        layers = _count(shapes, "double_blocks."), _count(shapes, "single_blocks.")
    elif "double_stream_modulation_img.linear.weight" in shapes:
        entry, text = "x_embedder.weight", "context_embedder.weight"
        guided = "time_guidance_embed.guidance_embedder.linear_1.weight" in shapes
        layers = _count(shapes, "transformer_blocks."), _count(shapes, "single_transformer_blocks.")
    else:
        return None
    if guided or [len(shapes.get(name, [])) for name in (entry, text)] != [2, 2]:
        return Variant(id="flux2", family="flux2", pipeline="Flux2Pipeline")
    width = shapes[entry][0]
    return Variant(
        id="flux2-klein",
        like=_KLEINS.get(width, ""),
        family="flux2-klein",
        pipeline="Flux2KleinPipeline",
        config={"num_layers": layers[0], "num_single_layers": layers[1], "joint_attention_dim": shapes[text][1]},
        index={"is_distilled": "base" not in hint},
    )


def _count(shapes: Shapes, prefix: str) -> int:
    """How many blocks are called `prefix` and a number."""
    numbers = {name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)}
    return sum(number.isdigit() for number in numbers)


_MARKS: Final[dict[str, tuple[str, ...]]] = {
    "lumina-2": ("layers.0.adaLN_modulation.1.weight", "time_caption_embed.caption_embedder.0.weight"),
    "z-image": ("noise_refiner.0.attention.qkv.weight", "noise_refiner.0.attention.to_q.weight"),
    "qwen-image": ("transformer_blocks.0.img_mod.1.weight",),
    "sana-sprint": ("time_embed.guidance_embedder.linear_1.weight",),
    "sana": ("blocks.0.mlp.inverted_conv.conv.weight", "transformer_blocks.0.ff.conv_inverted.weight"),
    "qwen-image-2.1": ("txt_in.text_norm.weight",),
    "krea-2": ("txtfusion.projector.weight", "text_fusion.projector.weight"),
    "auraflow": ("double_layers.0.attn.w1q.weight", "joint_transformer_blocks.0.attn.add_q_proj.weight"),
}

_KIN: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "qwen-image": (
        ("qwen-image-edit-plus", ("edit-2509", "edit-2511", "edit_2509", "edit_2511")),
        ("qwen-image-edit", ("edit",)),
    ),
}
"""Families with equal weights' names, and the words in a file's name that tell them apart."""


_EDIT_PROCESSOR: Final = {"processor": ["transformers", "Qwen2VLProcessor"]}


def _others(shapes: Shapes, hint: str) -> Variant | None:
    """Families whose files hold the transformer alone, and whose configuration is the lender's."""
    for name, marks in _MARKS.items():
        if any(mark in shapes for mark in marks):
            kin = (one for one, words in _KIN.get(name, ()) if any(word in hint for word in words))
            family = next(kin, name)
            editor = family.startswith("qwen-image-edit")
            index = _EDIT_PROCESSOR if editor else {"is_distilled": "turbo" in hint} if family == "krea-2" else {}
            return Variant(
                id=family,
                like="qwen-image" if editor else "",
                family=family,
                pipeline=next(iter(FAMILIES[family].pipelines.values())),
                config={"zero_cond_t": True} if _ZERO_TIME in shapes or (editor and "2511" in hint) else {},
                index=index,
            )
    return None


_ZERO_TIME: Final = "__index_timestep_zero__"
"""What the later of Qwen-Image's editors carry: what they are shown is told the time zero."""


def _unusable(path: Path, why: str, hint: str) -> LatenttyError:
    return LatenttyError(Problem(code="model_damaged", cause=f"The model {path} cannot be used: {why}.", hint=hint))
