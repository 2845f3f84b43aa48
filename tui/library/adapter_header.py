"""What a LoRA or a textual inversion is, and which models it was made for, from the header of its file alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tui.library.adapter_names import adapter_name
from tui.library.gguf_header import weights_header
from tui.library.layer_names import target_of
from tui.library.models import read_json
from tui.library.other_models import CONTROL_LORA, CONTROL_WIDTH
from tui.library.safetensors_header import Header, read_header
from tui.library.weight_files import weight_files
from tui.protocol.problem import LatenttyError, Problem

Kind = Literal["lora", "loha", "lokr", "embedding", "other"]

INVERSION_KEYS: Final = frozenset({"emb_params", "clip_l", "clip_g", "string_to_param"})

_DOWN = re.compile(r"^(?P<module>.+)\.(?:lora_down|lora_A|lora\.down|down)(?:\.default)?\.weight$")
_LORA = re.compile(r"\.lora_(?:up|down|mid|A|B)\.|\.lora\.|_lora\d?\.")
_DORA = re.compile(r"\.(?:dora_scale|lora_magnitude_vector(?:\.default)?(?:\.weight)?)$")
_HADAMARD = re.compile(r"^(?P<module>.+)\.hada_w1_b$")
_CROSS = re.compile(r"attn2[._](?:processor[._])?to_[kv](?:_lora)?$")
_REASONS: Final = {
    ".oft_": "it rotates weights (OFT) instead of adding to them",
    ".glora": "it is a GLoRA, which diffusers cannot load",
    ".diff": "it holds whole weight differences, not a LoRA",
    ".on_input": "it scales activations (IA3) instead of adding to weights",
}


class AdapterHeader(Struct, frozen=True, kw_only=True):
    """What one file holds."""

    kind: Kind
    reason: str = ""
    """Why it cannot be used, when it is of no kind that can."""
    denoiser: Literal["unet", "transformer", ""] = ""
    """What it changes, beside text encoders."""
    cross_width: int = 0
    """The width of the text that its cross-attention reads; 0 when it does not tell."""
    inputs: dict[str, int] = {}
    """The width that each layer it changes takes in, by the layer's name with `_` for every dot."""
    vectors: dict[str, int] = {}
    """A textual inversion's: the width of its rows by encoder ("" for any), see `rows`."""
    rows: int = 0
    """How many tokens a textual inversion stands for."""
    base: str = ""
    """What its trainer says it was made for."""
    dora: bool = False
    """Whether it gives the rows or columns of the weights it changes a length of their own."""
    scaled_elsewhere: bool = False
    """Whether its metadata, not its weights, tell how strong it is."""


def read_adapter(path: Path) -> AdapterHeader:
    """What the file at `path` holds.

    Raises:
        LatenttyError: it is missing, damaged, or no safetensors file.
    """
    if path.suffix != ".safetensors":
        raise unusable(path, "only safetensors files are opened", "Convert it to safetensors where you trust it.")
    return describe_adapter(read_header(path))


def describe_adapter(header: Header) -> AdapterHeader:
    """What a file with this header holds."""
    names = list(header.tensors)
    if any(_LORA.search(name) for name in names):
        return _lora(header, "lora")
    for mark, reason in _REASONS.items():
        if any(mark in name for name in names):
            return AdapterHeader(kind="other", reason=reason)
    if any(".hada_w1" in name for name in names):
        return _lora(header, "loha")
    if any(".lokr_w" in name for name in names):
        return _lora(header, "lokr")
    return _inversion(header)


def _lora(header: Header, kind: Kind) -> AdapterHeader:
    inputs = dict(_inputs(header))
    denoiser_layers = [name for name in inputs if not _is_text(name)]
    cross = [width for name, width in inputs.items() if _CROSS.search(name) and not _is_text(name)]
    unet = any(_UNET.search(name) for name in denoiser_layers)
    said = header.metadata.get("modelspec.architecture") or header.metadata.get("ss_base_model_version") or ""
    first = next((width for name, width in inputs.items() if target_of(name).layers == ("x_embedder",)), 0)
    return AdapterHeader(
        kind=kind,
        reason=CONTROL_LORA if first == CONTROL_WIDTH else "",
        denoiser="unet" if unet else "transformer" if denoiser_layers else "",
        cross_width=cross[0] if cross else 0,
        inputs=inputs,
        base=said,
        dora=any(_DORA.search(name) for name in header.tensors),
        scaled_elsewhere="lora_adapter_metadata" in header.metadata,
    )


_UNET = re.compile(r"(?:^|_)(?:down_blocks|up_blocks|mid_block|input_blocks|output_blocks|middle_block)_")
_TEXT = re.compile(r"^(?:lora_te\d?_|lora_prior_te_|text_encoder|text_model|te\d?_)")


def _is_text(name: str) -> bool:
    return _TEXT.match(name) is not None


def _inputs(header: Header) -> Iterator[tuple[str, int]]:
    for name, tensor in header.tensors.items():
        match = _DOWN.match(name) or _HADAMARD.match(name)
        if match and len(tensor.shape) >= 2:
            yield _flat(match["module"]), tensor.shape[1]


def _flat(module: str) -> str:
    return module.replace(".", "_")


def _inversion(header: Header) -> AdapterHeader:
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    small = 0 < len(shapes) <= 4 and all(len(shape) in (1, 2) for shape in shapes.values())
    known = set(shapes) & INVERSION_KEYS
    if not (known or (small and len(shapes) == 1)):
        return AdapterHeader(kind="other", reason="it holds neither a LoRA nor a textual inversion")
    if not small:
        return AdapterHeader(kind="other", reason="it holds no textual inversion that we know")
    vectors = {name if name.startswith("clip_") else "": shape[-1] for name, shape in shapes.items()}
    rows = max(shape[0] if len(shape) == 2 else 1 for shape in shapes.values())
    if rows > 75 or rows < 1:
        return AdapterHeader(kind="other", reason=f"a textual inversion of {rows} tokens fits no prompt")
    return AdapterHeader(kind="embedding", vectors=vectors, rows=rows)


class ModelWidths(Struct, frozen=True, kw_only=True):
    """What decides whether an adapter fits a model."""

    denoiser: Literal["unet", "transformer"]
    cross_width: int = 0
    text_widths: dict[str, int] = {}
    """Of the rows of each text encoder's vocabulary, by its name."""
    layers: dict[str, int] = {}
    """The width that each layer of the denoiser takes in, by its name with `_` for every dot."""


def read_widths(folder: Path, checkpoint: Path | None = None) -> ModelWidths:
    """The widths of the diffusers model in `folder`, or of the one in the file `checkpoint` that is configured there.

    Raises:
        LatenttyError: one of its files is missing or damaged.
    """
    name: Literal["unet", "transformer"] = "unet" if (folder / "unet" / "config.json").exists() else "transformer"
    config = read_json(folder, f"{name}/config.json")
    cross = config.get("cross_attention_dim")
    width = cross[0] if isinstance(cross, list) and cross else cross
    paths = [checkpoint] if checkpoint is not None else weight_files(folder / name)
    layers: dict[str, int] = {}
    for path in paths:
        for label, tensor in weights_header(path).tensors.items():
            if label.endswith(".weight") and len(tensor.shape) >= 2 and not label.startswith(_OTHER_PARTS):
                target = target_of(label.removesuffix(".weight"))
                layers |= dict.fromkeys(target.layers, tensor.shape[1])
    text = {}
    for place in sorted(folder.glob("text_encoder*")):
        if (place / "config.json").exists():
            hidden = read_json(folder, f"{place.name}/config.json").get("hidden_size")
            if isinstance(hidden, int):
                text[place.name] = hidden
    return ModelWidths(
        denoiser=name,
        cross_width=width if isinstance(width, int) else 0,
        text_widths=text,
        layers=layers,
    )


_OTHER_PARTS: Final = ("first_stage_model.", "vae.", "text_encoders.", "cond_stage_model.", "conditioner.")
"""What the names of a checkpoint's weights begin with that are not the denoiser's."""


def misfit(adapter: AdapterHeader, model: ModelWidths) -> str:
    """Why `adapter` was not made for `model`; empty when nothing in the headers speaks against it."""
    if adapter.reason:
        return adapter.reason
    if adapter.kind == "embedding":
        return _inversion_misfit(adapter, model)
    made_for = f" (made for {adapter.base})" if adapter.base else ""
    if adapter.denoiser and adapter.denoiser != model.denoiser:
        return f"it changes a {_ARTICLES[adapter.denoiser]} and this model has none{made_for}"
    if adapter.cross_width and model.cross_width and adapter.cross_width != model.cross_width:
        return f"it reads text {adapter.cross_width} wide, this model's is {model.cross_width}{made_for}"
    return _layers_misfit(adapter, model, made_for)


_ARTICLES: Final = {"unet": "UNet", "transformer": "transformer"}


def _layers_misfit(adapter: AdapterHeader, model: ModelWidths, made_for: str) -> str:
    """Layers of one name must be equally wide; a transformer's LoRA that knows the names must know some of them."""
    targets = {name: target_of(name) for name in adapter.inputs if not _is_text(name)}
    wanted = {one: adapter.inputs[name] for name, target in targets.items() for one in target.layers}
    for name, width in wanted.items():
        have = model.layers.get(name)
        if have is not None and have != width:
            return f"its layer {name} is {width} wide, this model's is {have}{made_for}"
    told = model.layers and adapter.denoiser == "transformer" and not any(_PROCESSOR in name for name in wanted)
    if told and wanted and not set(wanted) & set(model.layers):
        return f"this model has none of the layers that it changes, such as {next(iter(wanted))}{made_for}"
    return ""


_PROCESSOR: Final = "_processor_"
"""In names of layers that were written for a program's own way to compute attention."""


def _inversion_misfit(adapter: AdapterHeader, model: ModelWidths) -> str:
    have = set(model.text_widths.values())
    if not have:
        return "this model has no text encoder that takes textual inversions"
    if lacking := have - set(adapter.vectors.values()):
        return (
            f"its rows are {', '.join(str(width) for width in sorted(adapter.vectors.values()))} wide,"
            f" this model's text encoders read {', '.join(str(width) for width in sorted(lacking))}"
        )
    return ""


def unusable(path: Path, why: str, hint: str = "Choose one that was made for this model's family.") -> LatenttyError:
    """The error for an adapter that cannot be used."""
    return LatenttyError(
        Problem(code="model_damaged", cause=f"{adapter_name(path)} cannot be used: {why}.", hint=hint),
    )
