"""A checkpoint in a single file draws what the same model draws as a folder, and nothing asks for a network."""

import json
import re
import shutil
import socket
from pathlib import Path
from typing import Any, Final

import gguf
import numpy
import pytest
import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    ControlNetModel,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5TokenizerFast,
)

from tests.conftest import make_job
from tests.worker import flux_names, ldm_names, sd3_names
from tests.worker.conftest import BUNDLED_PATH, CPU, PLENTY, nothing
from tests.worker.tiny_models import TinyModels
from tui.library import controlnets, loose_parts, single_files
from tui.library.controlnets import read_controlnet
from tui.library.identify import identify_file
from tui.library.lending import Lending
from tui.library.models import BUNDLED
from tui.library.other_models import PREFIX
from tui.library.paths import configurations
from tui.library.safetensors_header import Header, Tensor
from tui.library.single_files import Variant, open_model, read_single_file, variant_of
from tui.protocol.commands import Target
from tui.protocol.problem import LatenttyError
from tui.worker import control_file
from tui.worker.cancel import CancelToken
from tui.worker.file_runs import locate
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import JobRun, Outlet
from tui.worker.shared_tokenizers import shared_tokenizer


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something asked for a network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def weights_of(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        parts.setdefault(path.parent.name, {}).update(load_file(path))
    return parts


def as_checkpoint(folder: Path, path: Path) -> Path:
    config = json.loads((folder / "unet" / "config.json").read_text())
    levels = len(json.loads((folder / "vae" / "config.json").read_text())["block_out_channels"])
    tensors = ldm_names.checkpoint(weights_of(folder), config, levels)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def draw(residents: Residents, model: Model, folder: Path, **changes: Any) -> numpy.ndarray:
    residents.ensure(model.components.values(), CancelToken(), nothing)
    job = make_job(**({"steps": 2, "scheduler": "ddim", "width": 64, "height": 64} | changes))
    outlet = Outlet(nothing, nothing, nothing)
    path = folder / f"{job.id}.png"
    JobRun(job, model, [], residents, PromptCache(), None, outlet, CancelToken()).make(Target(index=0, path=str(path)))
    with Image.open(path) as image:
        return numpy.asarray(image)


def small_variant(folder: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """Let a checkpoint be taken for one that the small model in `folder` has the configuration of."""
    index = json.loads((folder / "model_index.json").read_text())
    variant = Variant(
        id=str(folder), family=family, pipeline=index["_class_name"], denoiser="unet", complete=True
    )  # an absolute id leads out of the folder of configurations
    monkeypatch.setattr(single_files, "variant_of", lambda *_: variant)


@pytest.mark.parametrize("name", [BUNDLED, "sdxl"])
def test_a_checkpoint_draws_what_its_folder_draws(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Bit for bit, and its parts are components like any other: they come, go and are planned for."""
    folder = BUNDLED_PATH if name == BUNDLED else tiny_models[name]
    path = as_checkpoint(folder, tmp_path / "some model.safetensors")
    small_variant(folder, monkeypatch, "stable-diffusion" if name == BUNDLED else "stable-diffusion-xl")
    residents = Residents(CPU, torch.float32, PLENTY)
    whole, single = residents.model("folder", str(folder)), residents.model("file", str(path))
    assert single.components.keys() == whole.components.keys()
    for label, component in single.components.items():
        assert component.bytes == whole.components[label].bytes
    assert numpy.array_equal(draw(residents, single, tmp_path), draw(residents, whole, tmp_path))
    info = open_model(path, Lending())
    assert (info.name, info.problem) == ("some model", None)
    assert residents.model("file", str(path)) is single, "known, and not read again"


@pytest.mark.parametrize("names", ["ldm", "diffusers"])
def test_a_unet_alone_borrows_the_rest_of_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    """As ComfyUI's users keep them in `diffusion_models`, beside the checkpoints that they have anyway."""
    small_variant(BUNDLED_PATH, monkeypatch, "stable-diffusion")
    (tmp_path / "diffusion_models").mkdir()
    path = tmp_path / "diffusion_models" / "fox_unet.safetensors"
    tensors = weights_of(BUNDLED_PATH)["unet"]
    if names == "ldm":
        whole = load_file(as_checkpoint(BUNDLED_PATH, tmp_path / "gone.safetensors"))
        (tmp_path / "gone.safetensors").unlink()
        tensors = {name.removeprefix(PREFIX): one for name, one in whole.items() if name.startswith(PREFIX)}
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    with pytest.raises(LatenttyError, match="lacks the text_encoder, vae"):
        read_single_file(path, Lending([tmp_path]))
    (tmp_path / "checkpoints").mkdir()
    checkpoint = as_checkpoint(BUNDLED_PATH, tmp_path / "checkpoints" / "whole.safetensors")
    residents = Residents(CPU, torch.float32, PLENTY, [tmp_path])
    alone, other = residents.model("alone", str(path)), residents.model("whole", str(checkpoint))
    assert alone.components["vae"] is other.components["vae"]
    assert alone.components["text_encoder"] is other.components["text_encoder"]
    assert alone.components["unet"] is not other.components["unet"]
    assert numpy.array_equal(draw(residents, alone, tmp_path), draw(residents, other, tmp_path))


def test_equal_parts_of_two_checkpoints_are_held_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_variant(BUNDLED_PATH, monkeypatch, "stable-diffusion")
    one = as_checkpoint(BUNDLED_PATH, tmp_path / "one.safetensors")
    tensors = load_file(one)
    changed = next(name for name in tensors if name.startswith("model.diffusion_model.out.2"))
    other = tmp_path / "other.safetensors"
    save_file(tensors | {changed: tensors[changed] + 1}, other)
    residents = Residents(CPU, torch.float32, PLENTY)
    first, second = residents.model("one", str(one)), residents.model("other", str(other))
    assert first.components["vae"] is second.components["vae"]
    assert first.components["text_encoder"] is second.components["text_encoder"]
    assert first.components["unet"] is not second.components["unet"]
    one.write_bytes(one.read_bytes())
    assert residents.model("one", str(one)) is not first, "its file has changed"


def test_a_transformer_alone_borrows_the_rest(tiny_models: TinyModels, tmp_path: Path) -> None:
    """FLUX.1 as most people have it: one file, beside a folder of a kindred model."""
    lender = tiny_models["flux"]
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "flux-tune.safetensors"
    shutil.copy(next((lender / "transformer").glob("*.safetensors")), path)
    with pytest.raises(LatenttyError, match="holds the transformer alone.* FLUX.1"):
        read_single_file(path, Lending())
    shutil.copytree(lender, tmp_path / "lenders" / "flux")
    residents = Residents(CPU, torch.float32, PLENTY, [tmp_path / "lenders"])
    whole, single = residents.model("folder", str(lender)), residents.model("file", str(path))
    assert single.family.id == "flux"
    assert single.components["text_encoder_2"] is whole.components["text_encoder_2"]
    drawn = [draw(residents, one, tmp_path, scheduler="flow-euler") for one in (single, whole)]
    assert numpy.array_equal(*drawn)


_SANA: Final = {
    "transformer_blocks": "blocks", "attn1.to_out.0": "attn.proj", "attn2.to_out.0": "cross_attn.proj",
    "attn2.to_q": "cross_attn.q_linear", "ff.conv_inverted": "mlp.inverted_conv.conv",
    "ff.conv_depth": "mlp.depth_conv.conv", "ff.conv_point": "mlp.point_conv.conv", "patch_embed": "x_embedder",
    "time_embed.emb.timestep_embedder.linear_1": "t_embedder.mlp.0", "caption_norm": "attention_y_norm",
    "time_embed.emb.timestep_embedder.linear_2": "t_embedder.mlp.2", "time_embed.linear": "t_block.1",
    "caption_projection.linear_": "y_embedder.y_proj.fc", "proj_out": "final_layer.linear",
}  # fmt: skip
_SANA_JOINED: Final = {"attn1.to_q": ("attn.qkv", "qkv"), "attn2.to_k": ("cross_attn.kv_linear", "kv")}


def as_sanas_authors_have_it(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A Sana transformer in their names, beside the places and the empty caption that diffusers leaves out."""
    named = {"pos_embed": torch.zeros(1, 4, 32), "y_embedder.y_embedding": torch.zeros(300, 32)}
    for name, tensor in weights.items():
        theirs = "final_layer.scale_shift_table" if name == "scale_shift_table" else name
        for ours, (joined, parts) in _SANA_JOINED.items():
            if ours in name:
                theirs = name.replace(ours, joined)
                tensor = torch.cat([weights[name.replace(ours, f"{ours[:-1]}{part}")] for part in parts])
        for ours, other in _SANA.items():
            theirs = theirs.replace(ours, other)
        if not re.search(r"attn[12]\.to_", theirs):
            named[theirs] = tensor.contiguous()
    return named


_KREA: Final = {
    r"^img_in": "first", r"^time_embed\.linear_1": "tmlp.0", r"^time_embed\.linear_2": "tmlp.2",
    r"^time_mod_proj": "tproj.1", r"^txt_in\.norm\.weight": "txtmlp.0.scale", r"^txt_in\.linear_1": "txtmlp.1",
    r"^txt_in\.linear_2": "txtmlp.3", r"^text_fusion": "txtfusion", r"^transformer_blocks": "blocks",
    r"^final_layer\.linear": "last.linear", r"^final_layer\.norm\.weight": "last.norm.scale",
    r"^final_layer\.scale_shift_table": "last.modulation.lin", r"\.attn\.to_([qkv])\.": r".attn.w\1.",
    r"\.to_out\.0": ".wo", r"\.to_gate": ".gate", r"\.norm_([qk])\.weight": r".qknorm.\1norm.scale",
    r"\.ff\.": ".mlp.", r"\.norm1\.weight": ".prenorm.scale", r"\.norm2\.weight": ".postnorm.scale",
    r"\.scale_shift_table": ".mod.lin",
}  # fmt: skip


def as_kreas_authors_have_it(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A Krea 2 transformer in their names: what changes a block is one row."""
    named = {}
    for name, tensor in weights.items():
        theirs = name
        for ours, other in _KREA.items():
            theirs = re.sub(ours, other, theirs)
        named[theirs] = tensor.flatten() if theirs.endswith(".mod.lin") else tensor
    return named


def as_comfyui_has_it(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A Qwen-Image 2.1 transformer with each block's gate and what it opens in one."""
    gates = {n: w for n, w in weights.items() if n.endswith("gate_layer.weight")}
    joined = {
        n.replace("gate_layer", "gate_up"): torch.cat([w, weights[n.replace("gate_layer", "proj")]])
        for n, w in gates.items()
    }
    split = [*gates, *(n.replace("gate_layer", "proj") for n in gates)]
    return {n: w for n, w in weights.items() if n not in split} | joined


AUTHORS: Final = {
    "sana": as_sanas_authors_have_it,
    "krea2": as_kreas_authors_have_it,
    "qwen-image-2.1": as_comfyui_has_it,
}


@pytest.mark.parametrize("name", ["sana", "lumina2", "auraflow", "krea2", "qwen-image-2.1"])
def test_a_transformer_alone_of_a_further_family_borrows_the_rest_from_one_as_wide(
    tiny_models: TinyModels, tmp_path: Path, name: str
) -> None:
    folder = tiny_models[name]
    weights = weights_of(folder)["transformer"]
    path, wider = tmp_path / "tune.safetensors", tmp_path / "wider.safetensors"
    tensors = AUTHORS[name](weights) if name in AUTHORS else weights
    save_file({f"{PREFIX}{label}": tensor for label, tensor in tensors.items()}, path)
    residents = Residents(CPU, torch.float32, PLENTY, [folder.parent])
    single, whole = residents.model("file", str(path)), residents.model("folder", str(folder))
    draws_the_same(residents, single, whole, tmp_path, "flow-euler" if name == "sana" else "own")
    entries = ("x_embedder.weight", "patch_embed.proj.weight", "pos_embed.proj.weight", "img_in.weight")
    entry = next(n for n in entries if n in weights)
    save_file(weights | {entry: torch.cat([weights[entry]] * 2)}, wider)
    with pytest.raises(LatenttyError, match=r"without its text encoder \(.*of its size.*models get hf:"):
        read_single_file(wider, Lending([folder.parent]))


def test_the_authors_names_are_told_as_diffusers_without_a_copy(tiny_models: TinyModels, tmp_path: Path) -> None:
    """A FLUX.1 that half fills the host's memory must not be copied for the sake of its names."""
    weights = weights_of(tiny_models["flux"])["transformer"]
    path = tmp_path / "flux1-dev.safetensors"
    save_file({f"model.diffusion_model.{n}": t for n, t in flux_names.black_forest_labs(weights).items()}, path)
    residents = Residents(CPU, torch.float32, PLENTY, [tiny_models["flux"].parent])
    model = residents.model("file", str(path))
    component = model.components["transformer"]
    mapped = [weight.mapped for weight in component._weights if weight.stored_bytes]
    copied = [tensor for tensor in mapped if locate([tensor]) is None]
    assert sum(tensor.nbytes for tensor in copied) == sum(
        weights[f"norm_out.linear.{w}"].nbytes for w in ("weight", "bias")
    )
    residents.ensure([component], CancelToken(), nothing)
    placed = component.module.state_dict()
    assert placed.keys() == weights.keys()
    assert all(torch.equal(placed[name], tensor) for name, tensor in weights.items())


def as_gguf(weights: dict[str, torch.Tensor], path: Path, architecture: str = "flux") -> Path:
    """Matrices in blocks of eight bits, all else as it is."""
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in weights.items():
        values = tensor.float().numpy()
        in_blocks = values.ndim == 2 and values.shape[-1] % 32 == 0
        kind = gguf.GGMLQuantizationType.Q8_0 if in_blocks else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def in_files_of_their_own(model: Path, folder: Path) -> Path:
    """The FLUX.1 in `model` as most people keep it: a transformer, two text encoders and a VAE, each in a file."""
    weights = weights_of(model)
    levels = len(json.loads((model / "vae" / "config.json").read_text())["block_out_channels"])
    files = {
        "unet/flux1-dev": flux_names.black_forest_labs(weights["transformer"]),
        "clip/clip_l": weights["text_encoder"],
        "clip/t5xxl_fp16": weights["text_encoder_2"],
        "vae/ae": ldm_names.vae(weights["vae"], levels),
        "vae/sd3_vae": ldm_names.vae({name: one + 1 for name, one in weights["vae"].items()}, levels),
    }
    for name, tensors in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_file({label: one.contiguous().clone() for label, one in tensors.items()}, folder / f"{name}.safetensors")
    return folder / "unet" / "flux1-dev.safetensors"


def of_the_size_of(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a FLUX.1 have the configuration of the small one in `model`, without its weights."""
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    variant = Variant(id=str(folder), family="flux", pipeline="FluxPipeline", lenders=("flux",))
    monkeypatch.setattr(single_files, "variant_of", lambda *_: variant)


def draws_the_same(residents: Residents, one: Model, other: Model, folder: Path, scheduler: str = "flow-euler") -> None:
    """Equal weights; pictures may differ by how a processor adds up what lies at other addresses."""
    pictures = [draw(residents, model, folder, scheduler=scheduler).astype(int) for model in (one, other)]
    for name, component in one.components.items():
        wanted = other.components[name].module.state_dict()
        for label, tensor in component.module.state_dict().items():
            assert torch.equal(tensor, wanted[label]), f"{name} {label}"
    assert numpy.abs(pictures[0] - pictures[1]).max() <= 1


def test_parts_in_files_of_their_own_draw_what_the_folder_draws(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no diffusers folder anywhere: what lies where ComfyUI's users have it is found and put together."""
    of_the_size_of(tiny_models["flux"], tmp_path / "pack", monkeypatch)
    models = tmp_path / "ComfyUI" / "models"
    path = in_files_of_their_own(tiny_models["flux"], models)
    residents = Residents(CPU, torch.float32, PLENTY, [models])
    whole, single = residents.model("folder", str(tiny_models["flux"])), residents.model("file", str(path))
    draws_the_same(residents, single, whole, tmp_path)
    assert open_model(path, Lending([models])).problem is None
    (models / "clip" / "t5xxl_fp16.safetensors").unlink()
    with pytest.raises(
        LatenttyError, match=r"these files: T5 \(such as t5xxl_fp16.safetensors\); or a diffusers folder"
    ):
        open_model(path, Lending([models]))


@pytest.mark.parametrize("name", ["qwen-image", "flux2-klein"])
def test_a_model_is_put_together_from_loose_files(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its encoder without a head, as ComfyUI's users have it."""
    folder, pack = tiny_models[name], tmp_path / "pack"
    shutil.copytree(folder, pack, ignore=shutil.ignore_patterns("*.safetensors"))
    told = json.loads((pack / "text_encoder" / "config.json").read_text())
    flat = {key: told.get("text_config", told)[key] for key in ("hidden_size", "num_hidden_layers", "vocab_size")}
    (pack / "text_encoder" / "config.json").write_text(json.dumps(told | flat))
    index = json.loads((pack / "model_index.json").read_text())
    variant = Variant(id=str(pack), family=name, pipeline=index["_class_name"])
    monkeypatch.setattr(single_files, "variant_of", lambda *_: variant)
    weights = weights_of(folder)
    files = {
        "diffusion_models/denoiser": weights["transformer"],
        "text_encoders/qwen_encoder": {n: one for n, one in weights["text_encoder"].items() if n != "lm_head.weight"},
        "vae/flux2-vae" if name == "flux2-klein" else "vae/qwen_image_vae": weights["vae"],
    }
    for place, tensors in files.items():
        (tmp_path / "models" / place).parent.mkdir(parents=True)
        save_file({n: one.contiguous() for n, one in tensors.items()}, tmp_path / "models" / f"{place}.safetensors")
    residents = Residents(CPU, torch.float32, PLENTY, [tmp_path / "models"])
    path = tmp_path / "models" / "diffusion_models" / "denoiser.safetensors"
    whole, single = residents.model("folder", str(folder)), residents.model("file", str(path))
    draws_the_same(residents, single, whole, tmp_path)


@pytest.mark.parametrize("size", ["4b", "9b"])
def test_a_klein_is_known_by_the_names_and_sizes_of_its_parts(size: str) -> None:
    """Its transformer, which is told no guidance; its VAE, whose latents are wider than all others'; its Qwen3."""
    pack = configurations() / f"flux2-klein-{size}"
    told = {
        part: json.loads((pack / part / "config.json").read_text()) for part in ("transformer", "vae", "text_encoder")
    }
    few = {"num_layers": 2, "num_single_layers": 3}
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel.from_config(told["transformer"] | few)
        vae = AutoencoderKLFlux2.from_config(told["vae"])
        encoder = Qwen3ForCausalLM(Qwen3Config(**told["text_encoder"]))
    headers = [
        Header({name: Tensor("BF16", list(one.shape), (0, 0)) for name, one in part.state_dict().items()}, {})
        for part in (transformer, vae, encoder)
    ]
    found = variant_of(headers[0], f"flux-2-klein-base-{size}")
    assert found is not None
    assert (found.family, found.configuration, found.index) == ("flux2-klein", pack, {"is_distilled": False})
    assert found.config == few | {"joint_attention_dim": told["transformer"]["joint_attention_dim"]}
    assert loose_parts.is_vae(headers[1], told["vae"])
    assert loose_parts.takes_its_place(headers[2], told["text_encoder"])


def test_qwen_images_own_parts_are_known_by_their_real_names_and_sizes() -> None:
    """Of the VAE that its authors share under Wan's names, and of the encoder."""
    pack = configurations() / "qwen-image"
    config = json.loads((pack / "vae" / "config.json").read_text())
    with torch.device("meta"):
        module = AutoencoderKLQwenImage.from_config(config)
    named = {wan_name(name): tensor for name, tensor in module.state_dict().items()}
    converted = convert_wan_vae_to_diffusers(dict(named))
    assert {name: one.shape for name, one in converted.items()} == {n: t.shape for n, t in module.state_dict().items()}
    vae = Header({name: Tensor("BF16", list(one.shape), (0, 0)) for name, one in named.items()}, {})
    assert loose_parts.is_vae(vae, config)
    told = json.loads((pack / "text_encoder" / "config.json").read_text())
    with torch.device("meta"):
        encoder = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**told))
    shapes = {name: Tensor("BF16", list(one.shape), (0, 0)) for name, one in encoder.state_dict().items()}
    assert loose_parts.takes_its_place(Header(shapes, {}), told)


_WAN: dict[str, str] = {
    "mid_block.resnets.0": "middle.0", "mid_block.attentions.0": "middle.1", "mid_block.resnets.1": "middle.2",
    "norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6",
    "conv_shortcut": "shortcut", "norm_out": "head.0", "conv_out": "head.2", "conv_in": "conv1",
}  # fmt: skip


def wan_name(name: str) -> str:
    """What Wan's authors call a layer of its VAE, as Qwen's have kept it."""
    if "quant_conv" in name:
        return name.replace("post_quant_conv", "conv2").replace("quant_conv", "conv1")
    side, _, rest = name.partition(".")
    if found := re.match(r"up_blocks\.(\d)\.(?:resnets\.(\d)|upsamplers\.0)\.(.*)", rest):
        place = 4 * int(found[1]) + int(found[2] or 3)
        rest = f"upsamples.{place}.{found[3]}"
    rest = rest.replace("down_blocks", "downsamples")
    for ours, theirs in _WAN.items():
        rest = re.sub(rf"(^|\.){re.escape(ours)}(?=\.)", rf"\1{theirs}", rest)
    return f"{side}.{rest}"


def test_a_stable_diffusion_3_without_t5_needs_none(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its authors share it with the two CLIPs alone, in their names."""
    folder = tmp_path / "folder"
    shutil.copytree(tiny_models["sd3"], folder, ignore=shutil.ignore_patterns("*_3"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps(index | {"text_encoder_3": [None, None], "tokenizer_3": [None, None]})
    )
    weights = weights_of(folder)
    levels = len(json.loads((folder / "vae" / "config.json").read_text())["block_out_channels"])
    inside = {
        PREFIX: sd3_names.stability(weights["transformer"]),
        "text_encoders.clip_l.transformer.": ldm_names.clip(weights["text_encoder"]),
        "text_encoders.clip_g.transformer.": ldm_names.clip(weights["text_encoder_2"]),
        "first_stage_model.": ldm_names.vae(weights["vae"], levels),
    }
    path = tmp_path / "sd3_medium_incl_clips.safetensors"
    tensors = {before + name: one for before, part in inside.items() for name, one in part.items()}
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, path)
    alone = tmp_path / "diffusion_pytorch_model.safetensors"
    shutil.copy(folder / "transformer" / alone.name, alone)
    assert [identify_file(one).base for one in (path, alone)] == ["stable-diffusion-3-medium"] * 2
    variant = Variant(id=str(folder), family="stable-diffusion-3", pipeline="StableDiffusion3Pipeline", complete=True)
    monkeypatch.setattr(single_files, "variant_of", lambda *_: variant)
    residents = Residents(CPU, torch.float32, PLENTY, [tmp_path])
    whole, single = residents.model("folder", str(folder)), residents.model("file", str(path))
    draws_the_same(residents, single, whole, tmp_path)
    draws_the_same(residents, residents.model("alone", str(alone)), whole, tmp_path)
    tensors = {name: one for name, one in tensors.items() if "clip_l" not in name or "text_projection" not in name}
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, tmp_path / "no projection.safetensors")
    encoder = residents.model("other", str(tmp_path / "no projection.safetensors")).components["text_encoder"]
    residents.ensure([encoder], CancelToken(), nothing)
    projection = encoder.module.state_dict()["text_projection.weight"]
    assert torch.equal(projection, torch.eye(len(projection))), "CLIP-L is shared without"
    name = next(name for name in tensors if name.startswith("text_encoders.clip_g") and "fc1.weight" in name)
    del tensors[name]
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, tmp_path / "gap.safetensors")
    with pytest.raises(LatenttyError, match="lacks 1 weights of the text encoder"):
        residents.model("gap", str(tmp_path / "gap.safetensors"))


def in_eight_bits_with_scales(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    scaled: dict[str, torch.Tensor] = {"scaled_fp8": torch.zeros(0, dtype=torch.float8_e4m3fn)}
    for name, tensor in weights.items():
        if tensor.ndim == 2 and "embed" not in name and "shared" not in name:
            scale = tensor.abs().max() / 448
            scaled[name] = (tensor / scale).to(torch.float8_e4m3fn)
            scaled[name.removesuffix("weight") + "scale_weight"] = scale.float()
        else:
            scaled[name] = tensor
    return scaled


def llama_cpp_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A T5's encoder under the names that llama.cpp gives it."""
    layers = {
        "layer.0.layer_norm": "attn_norm", "layer.1.layer_norm": "ffn_norm",
        **{f"layer.0.SelfAttention.{one}": f"attn_{one}" for one in "qkvo"},
        "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
        "layer.1.DenseReluDense.wi": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down",
    }  # fmt: skip
    named: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        layer = name.removesuffix(".weight")
        if layer in ("shared", "encoder.final_layer_norm"):
            named["token_embd.weight" if layer == "shared" else "enc.output_norm.weight"] = tensor
        elif layer.startswith("encoder.block."):
            number, _, rest = layer.removeprefix("encoder.block.").partition(".")
            named[f"enc.blk.{number}.{layers[rest]}.weight"] = tensor
    return named


@pytest.mark.parametrize("form", ["scaled", "gguf"])
def test_a_text_encoder_of_few_bits_reads_nearly_the_same(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """T5 as most people have it: 8 bits with a scale for each layer, or a GGUF file."""
    of_the_size_of(tiny_models["flux"], tmp_path / "pack", monkeypatch)
    models = tmp_path / "models"
    path = in_files_of_their_own(tiny_models["flux"], models)
    own = models / "clip" / "t5xxl_fp16.safetensors"
    weights = load_file(own)
    own.unlink()
    if form == "gguf":
        as_gguf(llama_cpp_names(weights), models / "clip" / "t5-v1_1-xxl-encoder-Q8_0.gguf", "t5encoder")
    else:
        save_file(in_eight_bits_with_scales(weights), models / "clip" / "t5xxl_fp8_e4m3fn_scaled.safetensors")
    residents = Residents(CPU, torch.float32, PLENTY, [models])
    read = residents.model("file", str(path)).components["text_encoder_2"]
    residents.ensure([read], CancelToken(), nothing)
    for name, tensor in read.module.state_dict().items():
        wanted = weights.get(name, weights["shared.weight"]).float()
        assert (tensor.float() - wanted).abs().max() <= 0.05 * wanted.abs().max(), name


def test_a_text_encoder_in_a_gguf_file_takes_the_place_of_a_models_own(tiny_models: TinyModels, tmp_path: Path) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("folder", str(tiny_models["flux"]))
    weights = weights_of(tiny_models["flux"])["text_encoder_2"]
    path = as_gguf(llama_cpp_names(weights), tmp_path / "t5-v1_1-xxl-encoder-Q8_0.gguf", "t5encoder")
    other = residents.with_text_encoder(model, path)
    assert other.components["text_encoder"] is model.components["text_encoder"]
    read = other.components["text_encoder_2"]
    residents.ensure([read], CancelToken(), nothing)
    for name, tensor in read.module.state_dict().items():
        wanted = weights.get(name, weights["shared.weight"]).float()
        assert (tensor.float() - wanted).abs().max() <= 0.05 * wanted.abs().max(), name


def test_a_checkpoint_with_everything_inside_needs_nothing_else(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_size_of(tiny_models["flux"], tmp_path / "pack", monkeypatch)
    weights = weights_of(tiny_models["flux"])
    levels = len(json.loads((tiny_models["flux"] / "vae" / "config.json").read_text())["block_out_channels"])
    inside = {
        "model.diffusion_model.": flux_names.black_forest_labs(weights["transformer"]),
        "text_encoders.clip_l.transformer.": weights["text_encoder"],
        "text_encoders.t5xxl.transformer.": weights["text_encoder_2"],
        "vae.": ldm_names.vae(weights["vae"], levels),
    }
    path = tmp_path / "flux1-dev-all.safetensors"
    tensors = {before + name: one for before, part in inside.items() for name, one in part.items()}
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, path)
    residents = Residents(CPU, torch.float32, PLENTY, [tmp_path])
    whole, single = residents.model("folder", str(tiny_models["flux"])), residents.model("file", str(path))
    draws_the_same(residents, single, whole, tmp_path)
    (tmp_path / "unet").mkdir()
    save_file(weights["transformer"], tmp_path / "unet" / "tune.safetensors")
    alone = residents.model("alone", str(tmp_path / "unet" / "tune.safetensors"))
    draws_the_same(residents, alone, whole, tmp_path)
    assert alone.components["text_encoder_2"] is single.components["text_encoder_2"], "it lends what others lack"


@pytest.mark.parametrize("named", [dict, flux_names.black_forest_labs])
def test_a_gguf_transformer_draws_nearly_what_its_source_draws_and_stays_small(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Any
) -> None:
    lender = tiny_models["flux"]
    path = as_gguf(named(weights_of(lender)["transformer"]), tmp_path / "flux1-tiny-Q8_0.gguf")
    assert (identify_file(path).family, identify_file(path).precision) == ("flux", "Q8_0")
    residents = Residents(CPU, torch.bfloat16, PLENTY, [lender.parent])
    whole, single = residents.model("folder", str(lender)), residents.model("file", str(path))
    assert single.components["transformer"].bytes < 0.7 * whole.components["transformer"].bytes
    drawn = [draw(residents, one, tmp_path, scheduler="flow-euler") for one in (single, whole)]
    assert numpy.abs(drawn[0].astype(int) - drawn[1]).mean() < 8
    assert numpy.array_equal(drawn[0], draw(residents, single, tmp_path, scheduler="flow-euler"))
    residents.evict_all_but([])
    assert numpy.array_equal(drawn[0], draw(residents, single, tmp_path, scheduler="flow-euler")), "brought back"
    monkeypatch.setattr(single_files, "find_spec", lambda _: None)
    with pytest.raises(LatenttyError, match=r"need the package gguf.*latentty\[gguf\]"):
        read_single_file(path, Lending([lender.parent]))


@pytest.mark.parametrize("variant", sorted(place.parent.name for place in configurations().glob("*/model_index.json")))
def test_a_checkpoint_of_each_variants_size_fits_its_configuration(variant: str) -> None:
    """By names and shapes alone: weights without memory, converted by diffusers, leave nothing out."""
    pack = configurations() / variant
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        place = pack / part / "config.json"
        if not place.exists() or variant.startswith(("qwen-image", "flux2")):
            continue
        if part != "vae" and variant.startswith("stable-diffusion-3"):
            continue
        _fits(pack, part, json.loads(place.read_text()))


def _fits(pack: Path, part: str, config: dict[str, Any]) -> None:
    from diffusers.loaders import single_file_utils

    with init_empty_weights():
        if part == "unet":
            model: Any = UNet2DConditionModel.from_config(config)
            renamed = ldm_names.placed_upsamplers(ldm_names.unet(model.state_dict(), config))
            checkpoint = {f"model.diffusion_model.{name}": tensor for name, tensor in renamed.items()}
            converted = single_file_utils.convert_ldm_unet_checkpoint(checkpoint, dict(model.config))
        elif part == "vae":
            model = AutoencoderKL.from_config(config)
            renamed = ldm_names.vae(model.state_dict(), len(config["block_out_channels"]))
            checkpoint = {f"first_stage_model.{name}": tensor for name, tensor in renamed.items()}
            converted = single_file_utils.convert_ldm_vae_checkpoint(checkpoint, dict(model.config))
        elif config["model_type"] == "clip_text_model":
            kind = CLIPTextModelWithProjection if "Projection" in config["architectures"][0] else CLIPTextModel
            assert len(kind(CLIPTextConfig(**config)).state_dict()) > 100
            return
        else:
            return  # of an encoder in a file of its own
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in converted.items() if name in wanted} == wanted


def header(**shapes: list[int]) -> Header:
    named = {name.replace("__", "."): shape for name, shape in shapes.items()}
    return Header(tensors={name: Tensor("F16", shape, (0, 0)) for name, shape in named.items()}, metadata={})


FIRST = "model__diffusion_model__input_blocks__0__0__weight"
CROSS = "model__diffusion_model__input_blocks__1__1__transformer_blocks__0__attn2__to_k__weight"
XL = "conditioner__embedders__1__model__ln_final__weight"
JOINT = "joint_blocks__0__context_block__adaLN_modulation__1__weight"
FLUX = {"double_blocks__0__img_attn__qkv__weight": [9216, 3072], "img_in__weight": [3072, 64]}
KLEIN = {
    "double_stream_modulation_img__lin__weight": [1, 1], "img_in__weight": [4096, 128], "txt_in__weight": [4096, 12288]
}  # fmt: skip
GUIDED = {"guidance_in__in_layer__weight": [3072, 256]}


@pytest.mark.parametrize(
    ("shapes", "file_name", "wanted"),
    [
        ({FIRST: [320, 4, 3, 3], CROSS: [320, 768]}, "x", "stable-diffusion-1"),
        ({FIRST: [320, 9, 3, 3], CROSS: [320, 768]}, "x", "stable-diffusion-1-inpainting"),
        ({FIRST: [320, 4, 3, 3], CROSS: [320, 1024]}, "v2-1_768-ema-pruned", "stable-diffusion-2"),
        ({FIRST: [320, 4, 3, 3], CROSS: [320, 1024]}, "v2-1_512-ema-pruned", "stable-diffusion-2-base"),
        ({FIRST: [320, 4, 3, 3], CROSS: [640, 2048], XL: [1280]}, "x", "stable-diffusion-xl"),
        ({FIRST: [320, 4, 3, 3], CROSS: [640, 2048], XL: [1], "v_pred": []}, "x", "stable-diffusion-xl-v-prediction"),
        ({JOINT: [9216, 1536]}, "x", "stable-diffusion-3-medium"),
        (FLUX, "x", "flux"),
        (FLUX | GUIDED, "flux1-kontext-dev", "flux-kontext"),
        (FLUX | GUIDED | {"img_in__weight": [3072, 384]}, "x", "flux-fill"),
        ({"noise_refiner__0__attention__qkv__weight": [1, 1]}, "x", "z-image"),
        (KLEIN, "x", "flux2-klein"),
        (KLEIN | GUIDED, "not-a-klein", "flux2"),
        ({"transformer_blocks__0__img_mod__1__weight": [1, 1]}, "qwen_image_edit_2509", "qwen-image-edit-plus"),
        ({FIRST: [320, 8, 3, 3], CROSS: [320, 768]}, "instruct-pix2pix", None),
        ({"decoder__conv_in__weight": [512, 4, 3, 3]}, "vae", None),
        ({"lora_unet_x__lora_down__weight": [4, 320]}, "lora", None),
    ],
)
def test_a_checkpoint_is_known_by_weights_that_it_must_have(shapes: Any, file_name: str, wanted: str | None) -> None:
    found = variant_of(header(**shapes), file_name)
    assert (found and found.id) == wanted
    if wanted == "flux":
        assert found is not None
        assert found.config["guidance_embeds"] is False
        assert found.scheduler["use_dynamic_shifting"] is False, "without a guidance input it is schnell"
    if wanted == "qwen-image-edit-plus":
        assert found is not None
        assert found.configuration == configurations() / "qwen-image", "beside what shows it pictures"
        assert "processor" in found.index


def test_the_shipped_vocabularies_are_t5s_and_qwens() -> None:
    kinds = {"T5": T5TokenizerFast, "Qwen": Qwen2Tokenizer}
    parts = {name: shared_tokenizer("tokenizer", kind, open_clip=False) for name, kind in kinds.items()}
    read = {name: part.load() for name, part in parts.items() if part is not None}
    assert (len(read["T5"]), read["T5"]("a photo of a cat").input_ids) == (32100, [3, 9, 1202, 13, 3, 9, 1712, 1])
    assert read["Qwen"]("Hello world<|im_end|>").input_ids == [9707, 1879, 151645]
    sees = shared_tokenizer("processor", Qwen2VLProcessor, open_clip=False)
    assert sees is not None
    shown = sees.load()(text=["<|vision_start|><|image_pad|>"], images=[Image.new("RGB", (56, 56))])
    assert shown["input_ids"] == [[151652, *[151655] * 4]], "one for each 28 by 28 pixels"
    said = [{"role": "user", "content": "a cat"}]
    asked = read["Qwen"].apply_chat_template(said, tokenize=False, add_generation_prompt=True, enable_thinking=True)
    assert asked == "<|im_start|>user\na cat<|im_end|>\n<|im_start|>assistant\n"


def test_the_shipped_vocabulary_is_clips() -> None:
    from tui.library.token_counts import read_tokenizer

    tokenizer = read_tokenizer(configurations() / "clip-tokenizer")
    assert tokenizer is not None
    assert tokenizer.get_vocab_size() == 49408
    assert tokenizer.encode("a photo of a cat", add_special_tokens=False).ids == [320, 1125, 539, 320, 2368]


def test_what_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "odd.safetensors")
    with pytest.raises(LatenttyError, match="no checkpoint of a kind that we know"):
        open_model(tmp_path / "odd.safetensors", Lending())


def test_another_vae_decodes_and_the_models_own_comes_back(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder, and from a file as most people have it; nothing else is loaded twice."""
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("sd", str(tiny_models["sd"]))
    config = json.loads((tiny_models["sd"] / "vae" / "config.json").read_text())
    weights = {name: tensor + 0.05 for name, tensor in weights_of(tiny_models["sd"])["vae"].items()}
    folder, file = tmp_path / "vae", tmp_path / "vae.safetensors"
    shutil.copytree(tiny_models["sd"] / "vae", folder)
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    ldm = ldm_names.vae(weights, len(config["block_out_channels"]))
    save_file({name: tensor.contiguous() for name, tensor in ldm.items()}, file)
    plain = draw(residents, model, tmp_path)
    drawn = [draw(residents, residents.with_vae(model, path), tmp_path) for path in (folder, file)]
    assert numpy.array_equal(*drawn)
    assert not numpy.array_equal(drawn[0], plain)
    assert numpy.array_equal(draw(residents, model, tmp_path), plain)
    other = residents.with_vae(model, file)
    assert other is residents.with_vae(model, file)
    assert other.components["unet"] is model.components["unet"]
    with pytest.raises(LatenttyError, match="it holds no VAE"):
        residents.with_vae(model, next((tiny_models["sd"] / "unet").glob("*.safetensors")))
    with pytest.raises(LatenttyError, match="latents of 16 channels, this model makes 4"):
        residents.with_vae(model, tiny_models["flux"])


def test_another_text_encoder_reads_and_the_models_own_comes_back(tiny_models: TinyModels, tmp_path: Path) -> None:
    """From a folder, and from a file alone, with and without the prefix that some writers put before its names."""
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("sd", str(tiny_models["sd"]))
    own = load_file(tiny_models["sd"] / "text_encoder" / "model.safetensors")
    weights = {name: tensor + 0.05 if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    folder, file, prefixed = tmp_path / "clip", tmp_path / "clip.safetensors", tmp_path / "prefixed.safetensors"
    shutil.copytree(tiny_models["sd"] / "text_encoder", folder)
    save_file(weights, folder / "model.safetensors")
    save_file({name.removeprefix("text_model."): tensor for name, tensor in weights.items()}, file)
    save_file({f"text_model.{name.removeprefix('text_model.')}": one for name, one in weights.items()}, prefixed)
    plain = draw(residents, model, tmp_path)
    others = [residents.with_text_encoder(model, path) for path in (folder, file, prefixed)]
    drawn = [draw(residents, one, tmp_path) for one in others]
    assert numpy.array_equal(drawn[0], drawn[1])
    assert numpy.array_equal(drawn[0], drawn[2])
    assert not numpy.array_equal(drawn[0], plain)
    assert numpy.array_equal(draw(residents, model, tmp_path), plain)
    both = residents.with_text_encoder(residents.with_vae(model, tiny_models["sd"] / "vae"), file)
    assert both.components["text_encoder"] is others[1].components["text_encoder"]
    with pytest.raises(LatenttyError, match="no text encoder with weights of these names"):
        residents.with_text_encoder(model, next((tiny_models["sd"] / "unet").glob("*.safetensors")))


def test_the_t5_of_a_model_of_two_encoders_is_replaced_by_its_like(tiny_models: TinyModels, tmp_path: Path) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("flux", str(tiny_models["flux"]))
    copy = shutil.copy(tiny_models["flux"] / "text_encoder_2" / "model.safetensors", tmp_path / "t5.safetensors")
    other = residents.with_text_encoder(model, Path(copy))
    assert other.components["text_encoder"] is model.components["text_encoder"]
    assert other.components["text_encoder_2"] is not model.components["text_encoder_2"]
    drawn = [draw(residents, one, tmp_path, scheduler="flow-euler") for one in (model, other)]
    assert numpy.array_equal(*drawn)


@pytest.mark.parametrize("variant", ["stable-diffusion-1", "stable-diffusion-2"])
def test_a_controlnet_in_a_file_of_each_size_fits_its_configuration(variant: str) -> None:
    """Those of SDXL have diffusers' names whoever shares them."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    config = json.loads((configurations() / "controlnet" / variant / "config.json").read_text())
    with init_empty_weights():
        model: Any = ControlNetModel.from_config(config)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    converted = convert_controlnet_checkpoint(ldm_names.controlnet(model.state_dict(), config), dict(model.config))
    assert {name: tensor.shape for name, tensor in converted.items()} == wanted


@pytest.mark.parametrize("name", ["sd", "sdxl", "sdxl-union", "flux", "flux-union", "qwen-image", "sd3"])
def test_a_controlnet_in_a_file_is_the_one_in_its_folder(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Under the names of diffusers, and of LDM where authors have these."""
    family, joined, _ = name.partition("-union")
    folder = tiny_models[f"{family}-controlnet{joined}"]
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(next(folder.glob("*.safetensors")))
    files = [tmp_path / "own.safetensors"]
    save_file(weights, files[0])
    if family in ("sd", "sdxl") and not joined:
        files.append(tmp_path / "control_v11p_tiny.safetensors")
        ldm = ldm_names.controlnet(weights, config)
        save_file({label: one.contiguous() for label, one in ldm.items()}, files[1])
    if family not in ("sd", "sdxl"):
        assert read_controlnet(files[0]).class_name == config["_class_name"]
        monkeypatch.setattr(controlnets, "_SD3_HEAD", config["attention_head_dim"])
        told = controlnets.file_configuration(files[0])[1]
        assert told == {key: config[key] for key in told}
    else:
        with pytest.raises(LatenttyError, match="no kind that can be loaded from a file alone"):
            read_controlnet(files[0])  # it reads texts of another width
    told = controlnets.controlnet_config(folder)
    for module in (controlnets, control_file):
        monkeypatch.setattr(module, "file_configuration", lambda _: (folder, {}))
    assert [read_controlnet(path).class_name for path in files] == [told["_class_name"]] * len(files)
    residents = Residents(CPU, torch.float32, PLENTY)
    nets = [residents.controlnet(str(path)) for path in (folder, *files)]
    residents.ensure(nets, CancelToken(), nothing)
    for label, tensor in nets[0].module.state_dict().items():
        assert all(torch.equal(tensor, net.module.state_dict()[label]) for net in nets[1:]), label


def test_a_controlnet_of_the_real_size_tells_what_it_is(tmp_path: Path) -> None:
    """From its header alone: a union of SDXL as its author shares it, one of FLUX.1, and names that nobody can load."""
    union = {
        "task_embedding": [8, 320],
        "controlnet_cond_embedding.conv_in.weight": [16, 3, 3, 3],
        **{f"controlnet_cond_embedding.blocks.{n}.weight": [w, 1, 1, 1] for n, w in ((1, 32), (3, 96), (5, 256))},
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": [640, 2048],
    }
    flux = {
        "controlnet_blocks.0.weight": [3072, 3072],
        "controlnet_x_embedder.weight": [3072, 64],
        "controlnet_mode_embedder.weight": [10, 3072],
        **{f"transformer_blocks.{n}.attn.to_q.weight": [3072, 3072] for n in range(5)},
    }
    told = [controlnets.controlnet_config(of_shapes(tmp_path / "x.safetensors", shapes)) for shapes in (union, flux)]
    assert (told[0]["_class_name"], told[0]["num_control_type"]) == ("ControlNetUnionModel", 8)
    assert told[0]["conditioning_embedding_out_channels"] == [16, 32, 96, 256]
    assert (told[1]["_class_name"], told[1]["num_layers"], told[1]["num_mode"]) == ("FluxControlNetModel", 5, 10)
    with pytest.raises(LatenttyError, match="names of XLabs"):
        controlnets.controlnet_config(of_shapes(tmp_path / "x.safetensors", {"controlnet_blocks.0.weight": [1, 1]}))


def of_shapes(path: Path, shapes: dict[str, list[int]]) -> Path:
    """A sparse file whose header has these tensors: it takes no room on the disk."""
    entries, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(numpy.prod(shape))
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    head = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + end)
    return path


@pytest.mark.parametrize("name", ["sd", "flux"])
def test_a_denoiser_of_eight_bits_draws_nearly_the_same_in_less_memory(
    tiny_models: TinyModels, tmp_path: Path, name: str
) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model(name, str(tiny_models[name]))
    small = residents.in_eight_bits(model)
    denoiser = "unet" if "unet" in model.components else "transformer"
    assert small.components[denoiser].bytes < 0.9 * model.components[denoiser].bytes
    scheduler = {"flux": {"scheduler": "flow-euler"}}.get(name, {})
    drawn = [draw(residents, one, tmp_path, **scheduler) for one in (model, small)]
    assert 0 < numpy.abs(drawn[0].astype(int) - drawn[1]).mean() < 4
    residents.evict_all_but([])
    assert numpy.array_equal(drawn[1], draw(residents, small, tmp_path, **scheduler)), "brought back"
