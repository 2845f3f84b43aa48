"""What a model file is, from its header and what lies beside it, without loading a weight.

A kind is recognised by weights that every file of it has; a file that has none of them is called unknown.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from tui.library.adapter_header import AdapterHeader, describe_adapter
from tui.library.bounded import MAX_CONFIGURATION, read_small
from tui.library.gguf_header import GgufHeader, as_safetensors, read_gguf_header
from tui.library.models import read_json, read_model
from tui.library.other_models import CONTROL_LORA, not_drawn_with
from tui.library.plain_text import plain
from tui.library.safetensors_header import DTYPE_BITS, Header, read_header
from tui.library.single_files import OF_FEW_BITS, bare_shapes, packing, variant_of
from tui.library.weight_files import weight_files
from tui.protocol.library import FileKind, ModelFile
from tui.protocol.problem import LatenttyError, Problem

PICKLES: Final = frozenset({".ckpt", ".pt", ".pth", ".bin"})
SUFFIXES: Final = frozenset({".safetensors", ".sft", ".gguf"}) | PICKLES
PREVIEWS: Final = (".preview.png", ".png", ".preview.jpg", ".jpg", ".jpeg", ".preview.webp", ".webp")

MAX_WORDS: Final = 20
"""Trigger words that are kept of one file."""
MAX_WORD: Final = 200


class Traits(Struct, frozen=True, kw_only=True):
    """What a header alone tells."""

    kind: FileKind
    family: str = ""
    base: str = ""
    why: str = ""
    """For an unknown one: why, or what it is that we do not draw with."""


def identify_file(path: Path, place: str = "") -> ModelFile:
    """What the file at `path` is; one that is damaged or unknown carries its problem."""
    form = "gguf" if path.suffix.lower() == ".gguf" else "safetensors"
    known: dict[str, Any] = {"path": str(path), "name": _name_of(path), "place": place, "form": form}
    try:
        found = path.stat()
        known |= {"bytes": found.st_size, "modified": found.st_mtime}
        if path.suffix.lower() in PICKLES:
            return ModelFile(**known | {"form": "pickle"}, problem=_pickle(path))
        known |= _of_gguf(path) if form == "gguf" else _of_safetensors(path)
    except LatenttyError as error:
        return ModelFile(**known, problem=error.problem)
    except OSError as error:
        return ModelFile(**known, problem=_unreadable(path, error))
    known |= {"preview": preview_of(path)} | _sidecar(path, known.get("trigger_words", []))
    return ModelFile(**known)


def _name_of(path: Path) -> str:
    """Files that are called like every other of their sort go by their folder's name."""
    return folder_name(path.parent) if path.stem in _COMMON else path.stem


_COMMON: Final = frozenset(
    {"pytorch_lora_weights", "diffusion_pytorch_model", "model", "adapter_model", "learned_embeds"}
)


def identify_folder(folder: Path, place: str = "") -> ModelFile | None:
    """What the diffusers folder is: a whole model, or one part of one; None for a folder of another sort."""
    if (folder / "model_index.json").is_file():
        return _whole_model(folder, place)
    try:
        config = read_json(folder, "config.json")
    except LatenttyError:
        return None
    kind = _kind_of_class(config)
    if kind is None:
        return None
    known: dict[str, Any] = {
        "path": str(folder), "name": folder_name(folder), "place": place, "form": "folder", "kind": kind
    }  # fmt: skip
    try:
        known |= _weights(folder)
    except LatenttyError as error:
        return ModelFile(**known, problem=error.problem)
    return ModelFile(**known)


def folder_name(folder: Path) -> str:
    """How a folder's model is called; one in Hugging Face's cache by its repository, not by its revision."""
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent.name.removeprefix("models--").rpartition("--")[2]
    return folder.name


def _whole_model(folder: Path, place: str) -> ModelFile:
    known: dict[str, Any] = {
        "path": str(folder), "name": folder_name(folder), "place": place, "form": "folder", "kind": "checkpoint"
    }  # fmt: skip
    try:
        known["family"] = read_model(folder).family
        known |= _weights(*sorted(one for one in folder.iterdir() if one.is_dir()))
    except LatenttyError as error:
        return ModelFile(**known, problem=error.problem)
    return ModelFile(**known, preview=preview_of(folder))


def _weights(*folders: Path) -> dict[str, Any]:
    """Bytes, number and type of the weights in `folders`, and the time of the newest file."""
    paths = [path for folder in folders for path in weight_files(folder)]
    headers = [read_header(path) for path in paths]
    totals: dict[str, int] = {}
    for header in headers:
        totals[header.dtype] = totals.get(header.dtype, 0) + header.bytes
    return {
        "bytes": sum(header.bytes for header in headers),
        "parameters": sum(map(_count, headers)),
        "precision": max(totals, key=lambda dtype: totals[dtype], default=""),
        "modified": max((path.stat().st_mtime for path in paths), default=0.0),
    }


def _kind_of_class(config: Mapping[str, Any]) -> FileKind | None:
    name = str(config.get("_class_name", ""))
    if "ControlNet" in name:
        return "controlnet"
    if name.startswith(("Autoencoder", "AsymmetricAutoencoder", "ConsistencyDecoder", "VQModel")):
        return "vae"
    if name in ("T2IAdapter", "MultiAdapter"):
        return "t2i-adapter"
    return None


# ---- single files ----------------------------------------------------------------------------------------------


def _of_safetensors(path: Path) -> dict[str, Any]:
    header = read_header(path)
    told = header.metadata
    return _described(path, traits_of(header, path.name), told.get("modelspec.architecture", "")) | {
        "precision": header.dtype,
        "parameters": _count(header),
        "title": _short(told.get("modelspec.title", "")),
        "author": _short(told.get("modelspec.author", "")),
        "license": _short(told.get("modelspec.license", "")),
        "trigger_words": trigger_words(told),
    }


def _of_gguf(path: Path) -> dict[str, Any]:
    header = read_gguf_header(path)
    return _described(path, _traits_of_gguf(header, path.name), header.architecture) | {
        "precision": header.precision,
        "parameters": sum(tensor.count for tensor in header.tensors.values()),
        "title": _short(header.metadata.get("general.name", "")),
        "author": _short(header.metadata.get("general.author", "")),
        "license": _short(header.metadata.get("general.license", "")),
    }


def _described(path: Path, traits: Traits, said: str) -> dict[str, Any]:
    """What its weights tell, and what it says of itself where they are silent."""
    return {
        "kind": traits.kind,
        "family": traits.family,
        "base": _short(traits.base or said),
        "problem": _unknown(path, traits.why) if traits.why or traits.kind == "unknown" else None,
    }


_LANGUAGE_MODELS: Final = (
    "t5",
    "t5encoder",
    "llama",
    "qwen2",
    "qwen2vl",
    "qwen3",
    "qwen3vl",
    "gemma2",
    "gemma3",
    "mistral3",
)


def _traits_of_gguf(header: GgufHeader, file_name: str) -> Traits:
    if header.architecture in _LANGUAGE_MODELS or any(name.startswith(("blk.", "enc.blk.")) for name in header.tensors):
        return Traits(kind="text encoder")
    return traits_of(as_safetensors(header), file_name)


_PARTS: Final[tuple[tuple[FileKind, re.Pattern[str]], ...]] = (
    ("ip-adapter", re.compile(r"^(?:ip_adapter\.\d+\.to_k_ip|image_proj(?:_model)?\.|ip_adapter_proj_model\.)")),
    ("controlnet", re.compile(
        r"^(?:control_model\.|controlnet_cond_embedding\.|controlnet_blocks\.0\.|zero_convs\.0\.0\.|lora_controlnet$"
        r"|input_hint_block\.0\.|controlnet_down_blocks\.0\.|lllite_unet_|lllite_dit_)"
    )),
    ("t2i-adapter", re.compile(r"^(?:adapter\.)?body\.\d+\.(?:block1|resnets\.\d+\.block1)\.weight$")),
    ("upscaler", re.compile(
        r"^(?:model\.1\.sub\.0\.RDB1\.|body\.0\.rdb1\.|conv_before_upsample\.|layers\.0\.residual_group\.|RRDB_trunk\.)"
    )),
    ("image encoder", re.compile(r"^(?:vision_model\.|visual\.transformer\.)")),
    ("text encoder", re.compile(
        r"^(?:text_model\.encoder\.layers\.0\.|encoder\.block\.0\.layer\.0\.SelfAttention\."
        r"|(?:model\.)?(?:language_model\.)?layers\.0\.self_attn\.q_proj\.|transformer\.text_model\.)"
    )),
    ("vae", re.compile(
        r"^(?:first_stage_model\.)?(?:decoder\.(?:conv_in|conv1|mid_block|layers\.0|up\.0\.)|taesd_decoder\.)"
    )),
)  # fmt: skip
"""By weights that such a file must have; the first that fits."""


def traits_of(header: Header, file_name: str = "") -> Traits:
    """What a file with this header is; its name decides only where no weight does."""
    adapter = describe_adapter(header)
    names = header.tensors
    control = any(name.startswith(("lora_controlnet", "lllite_", "ip_adapter.", "image_proj.")) for name in names)
    if adapter.kind in ("lora", "loha", "lokr") and not control:
        why = adapter.reason or _made_for_others(header)
        family = "flux" if adapter.reason == CONTROL_LORA else family_of_adapter(adapter, header)
        return Traits(kind="lora", family=family, base=adapter.base, why=why)
    if adapter.kind == "embedding":
        return Traits(kind="embedding", family=_family_of_rows(adapter))
    if packed := packing(header):
        variant = variant_of(header, file_name)
        why = f"its weights are {packed}, which cannot be loaded from a single file; {OF_FEW_BITS}"
        return Traits(kind="checkpoint", family=variant.family if variant is not None else "", why=why.rstrip("."))
    variant = variant_of(header, file_name)
    if variant is not None and not control and not any(name.startswith("control_model.") for name in names):
        return Traits(kind="checkpoint", family=variant.family, base=variant.id)
    if why := not_drawn_with(bare_shapes(header)):
        return Traits(kind="checkpoint", why=why)
    for kind, mark in _PARTS:
        if any(mark.search(name) for name in names):
            return Traits(kind=kind, family=_family_of_part(header))
    if any(word in adapter.reason for word in ("LoHa", "LoKr", "OFT", "GLoRA", "differences", "IA3")):
        return Traits(kind="lora", family=family_of_adapter(adapter, header), why=adapter.reason)
    return Traits(kind="unknown", why="its weights have names of no kind that we know")


_ADAPTER_MARKS: Final = (
    ("z-image", re.compile(r"noise_refiner|context_refiner")),
    ("krea-2", re.compile(r"(?:^|[^a-z])blocks_\d+_attn_w[qkvo]_|transformer_blocks_\d+_attn_to_gate|text_fusion_")),
    ("qwen-image", re.compile(r"transformer_blocks_\d+_(?:img|txt)_mod|transformer_blocks_\d+_(?:img|txt)_mlp_net")),
    ("chroma", re.compile(r"distilled_guidance_layer")),
    ("flux2", re.compile(r"double_stream_modulation")),
    ("flux", re.compile(r"double_blocks_\d|single_blocks_\d|single_transformer_blocks_\d")),
    ("qwen-image", re.compile(r"(?:^|_)transformer_blocks_(?:2[4-9]|[345]\d)_attn_")),
    ("stable-diffusion-3", re.compile(r"joint_blocks_\d|(?<!attentions_\d_)transformer_blocks_\d+_attn2_to_q")),
)
_ADAPTERS_ELSEWHERE: Final = (
    ("Anima or Cosmos", re.compile(r"(?:^|_)blocks_\d+_cross_attn_[qkv]_proj$")),
    ("Wan", re.compile(r"(?:^|_)blocks_\d+_cross_attn_[qkvo]$")),
)
_OF_A_LAYER: Final = re.compile(
    r"\.(?:lora[_.AB]|lokr_|hada_|alpha$|dora_scale|default\.|diff(?:_b)?$|up\.weight$|down\.weight$)"
)
"""What stands behind the name of a layer that is changed."""
_WIDTHS: Final = {
    768: "stable-diffusion",
    1024: "stable-diffusion",
    2048: "stable-diffusion-xl",
    1280: "stable-diffusion-xl",
}
_SD3_WIDTHS: Final = (1536, 2432)
"""Of its transformers, whose layers FLUX.1 and Qwen-Image call the same."""
_SAID: Final = (
    ("z-image", re.compile(r"z[-_ ]?image")),
    ("qwen-image", re.compile(r"qwen[-_ ]?image")),
    ("chroma", re.compile(r"chroma")),
    ("flux2", re.compile(r"flux[-_. ]?2")),
    ("flux", re.compile(r"flux")),
    ("stable-diffusion-3", re.compile(r"sd_?3|stable[-_ ]diffusion[-_ ](?:v?3)")),
    ("stable-diffusion-xl", re.compile(r"sdxl|stable[-_ ]diffusion[-_ ]xl|pony|illustrious|noobai")),
    ("stable-diffusion", re.compile(r"sd_?(?:v)?[12]|stable[-_ ]diffusion[-_ ]v?[12]")),
)


def family_of_adapter(adapter: AdapterHeader, header: Header) -> str:
    """The id of the family that a LoRA was made for: by its weights, else by what its trainer says."""
    if adapter.cross_width in _WIDTHS and adapter.denoiser != "transformer":
        return _WIDTHS[adapter.cross_width]
    names = [name.replace(".", "_") for name in header.tensors]
    wide = next((width for name, width in adapter.inputs.items() if "attn_add_k_proj" in name), 0)
    if wide in _SD3_WIDTHS:
        return "stable-diffusion-3"
    for family, mark in _ADAPTER_MARKS:
        if any(mark.search(name) for name in names):
            return family
    said = f"{adapter.base} {header.metadata.get('ss_sd_model_name', '')}".lower()
    return next((family for family, mark in _SAID if mark.search(said)), "")


def _made_for_others(header: Header) -> str:
    layers = {_OF_A_LAYER.split(name, 1)[0].replace(".", "_") for name in header.tensors}
    for name, mark in _ADAPTERS_ELSEWHERE:
        if any(mark.search(layer) for layer in layers):
            return f"it was made for {name}, which Latentty cannot draw with"
    return ""


def _family_of_rows(adapter: AdapterHeader) -> str:
    widths = set(adapter.vectors.values())
    if 1280 in widths or "clip_g" in adapter.vectors:
        return "stable-diffusion-xl"
    return "stable-diffusion" if widths & {768, 1024} else ""


def _family_of_part(header: Header) -> str:
    """Of a ControlNet or an IP-Adapter: by the width of the text that it reads."""
    for name, tensor in header.tensors.items():
        if name.endswith(("attn2.to_k.weight", "to_k_ip.weight")) and len(tensor.shape) == 2:
            return _WIDTHS.get(tensor.shape[1], "")
    return ""


def _count(header: Header) -> int:
    return sum(tensor.bytes * 8 // DTYPE_BITS.get(tensor.dtype, 8) for tensor in header.tensors.values())


# ---- what is told beside the weights ---------------------------------------------------------------------------


def trigger_words(metadata: Mapping[str, str]) -> list[str]:
    """The words that call a LoRA up: those it names itself, else the tags that it was trained with most."""
    if said := metadata.get("modelspec.trigger_phrase") or metadata.get("ss_trigger_words"):
        return _words(said.split(","))
    try:
        told = json.loads(metadata.get("ss_tag_frequency", "{}"))
    except (ValueError, RecursionError):
        return []
    totals: dict[str, int] = {}
    for tags in told.values() if isinstance(told, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int):
                totals[str(tag).strip()] = totals.get(str(tag).strip(), 0) + count
    return _words(sorted(totals, key=lambda tag: -totals[tag]))


def _words(found: list[Any]) -> list[str]:
    words = (plain(str(word)).strip() for word in found)
    return list(dict.fromkeys(word[:MAX_WORD] for word in words if word))[:MAX_WORDS]


def _sidecar(path: Path, words: list[str]) -> dict[str, Any]:
    """What other programs wrote down about a file, beside it."""
    beside = _names_beside(path)
    for name, field in ((f"{path.stem}.civitai.info", "trainedWords"), (f"{path.stem}.json", "activation text")):
        if name not in beside:
            continue
        try:
            told = json.loads(read_small(path.with_name(name), MAX_CONFIGURATION))
        except (OSError, ValueError, RecursionError):
            continue
        said = told.get(field) if isinstance(told, dict) else None
        if isinstance(said, str):
            said = said.split(",")
        if isinstance(said, list) and said:
            return {"trigger_words": _words(said)}
    return {"trigger_words": words}


def preview_of(path: Path) -> str:
    """The picture beside a model that shows what it draws; empty when there is none."""
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    beside = _names_beside(path)
    names = (stem + ending for ending in PREVIEWS)
    return next((str(path.with_name(name)) for name in names if name in beside and path.with_name(name).is_file()), "")


def _names_beside(path: Path) -> frozenset[str]:
    """What else lies in a file's folder: read once, where asking for each name would cost a slow disk ten answers."""
    try:
        return _names_in(path.parent, path.parent.stat().st_mtime_ns)
    except OSError:
        return frozenset()


@lru_cache(maxsize=64)
def _names_in(folder: Path, changed: int) -> frozenset[str]:
    del changed  # its names at another time do not count
    return frozenset(one.name for one in folder.iterdir())


def _short(text: str) -> str:
    return plain(text).strip()[:MAX_WORD]


def _pickle(path: Path) -> Problem:
    with suppress(LatenttyError):
        read_header(path)
        return _unknown(path, "it is a safetensors file under another ending; call it .safetensors")
    return Problem(
        code="model_damaged",
        cause=f"{plain(path.name)} is a Python pickle, which can run code when it is opened.",
        hint="Convert it to safetensors where you trust it.",
    )


def _unknown(path: Path, why: str) -> Problem:
    return Problem(code="model_damaged", cause=f"{plain(path.name)} cannot be used: {why}.", hint="")


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(
        code="model_missing", cause=f"{plain(str(path))} cannot be read: {error.strerror}.", hint="Check its rights."
    )
