"""A model file is known from its header alone, whoever wrote it and whatever it is called."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.library import model_files as files
from tests.library.model_files import gguf, write_safetensors
from tui.library.addons import bundled_addons
from tui.library.controlnets import read_controlnet
from tui.library.gguf_header import read_gguf_header
from tui.library.identify import identify_file, identify_folder
from tui.library.lending import Lending
from tui.library.paths import bundled_models
from tui.library.single_files import open_model
from tui.protocol.problem import LatenttyError

CONTROL_LDM = {
    "control_model.input_blocks.0.0.weight": [8, 4, 3, 3],
    "control_model.zero_convs.0.0.weight": [8, 8, 1, 1],
}
CONTROL_FLUX = {
    "controlnet_blocks.0.weight": [8, 8],
    "controlnet_x_embedder.weight": [8, 64],
    "x_embedder.weight": [8, 64],
    "transformer_blocks.0.attn.to_q.weight": [8, 8],
    "single_transformer_blocks.0.attn.to_q.weight": [8, 8],
}
CONTROL_XLABS = files.FLUX | {"controlnet_blocks.0.weight": [8, 8], "input_hint_block.0.weight": [16, 3, 3, 3]}
CONTROL_QWEN = {"controlnet_blocks.0.weight": [8, 8], "transformer_blocks.0.img_mod.1.weight": [8, 8]}
ANIMA_LOKR = {f"diffusion_model.blocks.0.cross_attn.k_proj.lokr_w{n}": [8, 8] for n in (1, 2)}
KLEIN = {name: [8, 8] for name in ("double_stream_modulation_img.lin.weight", "img_in.weight", "txt_in.weight")}
IP_XLABS = {
    "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": [8, 8],
    "ip_adapter_proj_model.proj.weight": [8, 8],
}
IP_ADAPTER = {"image_proj.proj.weight": [8, 8], "ip_adapter.1.to_k_ip.weight": [8, 768]}
T2I = {"body.0.block1.weight": [8, 8, 3, 3], "body.0.block2.weight": [8, 8, 3, 3], "conv_in.weight": [8, 8, 3, 3]}
ESRGAN = {"model.0.weight": [8, 3, 3, 3], "model.1.sub.0.RDB1.conv1.0.weight": [8, 8, 3, 3]}
VAE = {
    "encoder.conv_in.weight": [8, 3, 3, 3],
    "decoder.conv_in.weight": [8, 4, 3, 3],
    "quant_conv.weight": [8, 8, 1, 1],
}
CLIP = {"text_model.encoder.layers.0.self_attn.k_proj.weight": [8, 8], "text_model.final_layer_norm.weight": [8]}
T5 = {"encoder.block.0.layer.0.SelfAttention.k.weight": [8, 8], "shared.weight": [8, 8]}
LUMINA = {
    "model.diffusion_model.noise_refiner.0.attention.qkv.weight": [8, 8],
    "model.diffusion_model.layers.0.adaLN_modulation.1.weight": [8, 8],
}
UNET_XL = {
    "conv_in.weight": [8, 4, 3, 3],
    "conv_out.weight": [4, 8, 3, 3],
    "add_embedding.linear_1.weight": [8, 2816],
    "down_blocks.0.resnets.0.conv1.weight": [8, 8, 3, 3],
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": [8, 2048],
}
XLABS = {
    "double_blocks.0.processor.proj_lora1.down.weight": [16, 3072],
    "double_blocks.0.processor.proj_lora1.up.weight": [3072, 16],
}
QWEN_LOKR = {"lycoris_transformer_blocks_59_attn_to_k.lokr_w1": [8, 8]}
SD3_LORA = {"transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": [4, 2432]}
KREA_LORA = {"lora_unet_blocks_0_attn_wk.lora_down.weight": [32, 6144]}
WAN = {"blocks.0.cross_attn.norm_k.weight": [8], "patch_embedding.weight": [8, 4, 1, 2, 2]}


@pytest.mark.parametrize(
    ("shapes", "kind", "family"),
    [
        (files.SD1, "checkpoint", "stable-diffusion"),
        (files.SDXL, "checkpoint", "stable-diffusion-xl"),
        (files.FLUX, "checkpoint", "flux"),
        (UNET_XL, "checkpoint", "stable-diffusion-xl"),
        (LUMINA, "checkpoint", "lumina-2"),
        ({"double_layers.0.attn.w1q.weight": [8, 8], "cond_seq_linear.weight": [8, 8]}, "checkpoint", "auraflow"),
        ({"blocks.0.mlp.inverted_conv.conv.weight": [8, 8, 1, 1], "x.weight": [8, 8]}, "checkpoint", "sana"),
        (files.KOHYA, "lora", "stable-diffusion"),
        (files.KOHYA_XL, "lora", "stable-diffusion-xl"),
        (files.KOHYA_FLUX, "lora", "flux"),
        (files.FLUX_LORA, "lora", "flux"),
        (files.LOHA, "lora", "stable-diffusion"),
        (XLABS, "lora", "flux"),
        (QWEN_LOKR, "lora", "qwen-image"),
        (SD3_LORA, "lora", "stable-diffusion-3"),
        (KREA_LORA, "lora", "krea-2"),
        ({"emb_params": [4, 768]}, "embedding", "stable-diffusion"),
        ({"clip_g": [4, 1280], "clip_l": [4, 768]}, "embedding", "stable-diffusion-xl"),
        (CONTROL_LDM, "controlnet", ""),
        (CONTROL_FLUX, "controlnet", ""),
        (CONTROL_XLABS, "controlnet", ""),
        (CONTROL_QWEN, "controlnet", ""),
        (ANIMA_LOKR, "lora", ""),
        (IP_ADAPTER, "ip-adapter", "stable-diffusion"),
        (IP_XLABS, "ip-adapter", ""),
        (T2I, "t2i-adapter", ""),
        (ESRGAN, "upscaler", ""),
        (VAE, "vae", ""),
        (CLIP, "text encoder", ""),
        (T5, "text encoder", ""),
        (WAN, "checkpoint", ""),
        ({"something.else": [4, 4], "and.more": [4, 4]}, "unknown", ""),
    ],
)
def test_each_kind_is_known_by_the_names_of_its_weights(
    tmp_path: Path, shapes: dict[str, list[int]], kind: str, family: str
) -> None:
    found = identify_file(write_safetensors(tmp_path / "renamed.safetensors", shapes))
    assert (found.kind, found.family, found.precision) == (kind, family, "F16")
    assert (found.problem is not None) == (shapes in (WAN, ANIMA_LOKR) or kind == "unknown")


@pytest.mark.parametrize("shapes", [CONTROL_FLUX, CONTROL_QWEN, KLEIN, {"task_embedding": []}], ids=str)
def test_weights_of_known_names_and_odd_shapes_end_no_search(tmp_path: Path, shapes: dict[str, list[int]]) -> None:
    """Whatever they are taken for, or not, nothing but a message comes of it."""
    scalars: dict[str, list[int]] = {name: [] for name in shapes}
    control = CONTROL_LDM | {"controlnet_cond_embedding.conv_in.weight": [1], "x.attn2.to_k.weight": [1, 2048]}
    for number, more in enumerate((control, {"z": [2]})):
        path = write_safetensors(tmp_path / f"{number}.safetensors", more | scalars)
        assert identify_file(path).path == str(path)
        with suppress(LatenttyError):
            read_controlnet(path)
        with suppress(LatenttyError):
            open_model(path, Lending([tmp_path]))


UNET = "model.diffusion_model.input_blocks.0.0.weight"
KOLORS = UNET_XL | {"encoder_hid_proj.weight": [2048, 4096]}
CONTROL_LORA = {"img_in.lora_A.weight": [128, 128], "img_in.lora_B.weight": [3072, 128]}


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        (WAN, "Wan video"),
        ({"patchify_proj.weight": [8, 8], "transformer_blocks.27.scale_shift_table": [6, 8]}, "LTX"),
        ({"double_blocks.0.img_attn.qkv.weight": [8, 8], "txt_in.individual_token_refiner.b": [8, 8]}, "Hunyuan"),
        ({"net.blocks.0.self_attn.q_proj.weight": [8, 8], "net.x_embedder.proj.1.weight": [8, 68]}, "Cosmos"),
        ({"blocks.0.mlp.fc1.weight": [8, 8], "blocks.0.cross_attn.q_linear.weight": [8, 8]}, "PixArt.*folder"),
        ({"cfg_embedder.mlp.0.weight": [8, 8], "blocks.0.mlp.inverted_conv.conv.weight": [8, 8]}, "Sprint.*folder"),
        ({"double_stream_blocks.0.block.adaLN_modulation.1.bias": [8], "x.weight": [8, 8]}, "HiDream"),
        (KOLORS, "Kolors"),
        (files.SDXL | {"edm_mean": [4]}, "Playground"),
        (files.SD1 | {UNET: [8, 8, 3, 3]}, "InstructPix2Pix"),
        (files.FLUX | {"img_in.weight": [32, 128]}, "FLUX.1 Canny or Depth.*ControlNet"),
        (CONTROL_LORA, "control LoRA of FLUX.1.*ControlNet"),
        ({f"transformer.x_embedder.{side}.weight": [128, 128] for side in ("lora_A", "lora_B")}, "control LoRA"),
    ],
)
def test_what_cannot_be_drawn_with_is_called_by_its_name(
    tmp_path: Path, shapes: dict[str, list[int]], told: str
) -> None:
    found = identify_file(write_safetensors(tmp_path / "renamed.safetensors", shapes))
    assert found.kind in ("checkpoint", "lora")
    assert re.search(told, str(found.problem))


@pytest.mark.parametrize("mark", [{"v_pred": []}, {"ztsnr": []}, {"modelspec.prediction_type": "v"}])
def test_an_sdxl_for_v_prediction_is_known_by_its_marks(tmp_path: Path, mark: dict[str, Any]) -> None:
    """NoobAI's empty tensors, and what kohya writes down."""
    told = mark if "modelspec.prediction_type" in mark else {}
    path = write_safetensors(tmp_path / "x.safetensors", files.SDXL | ({} if told else mark), told)
    assert identify_file(path).base == "stable-diffusion-xl-v-prediction"


@pytest.mark.parametrize(
    ("further", "told"),
    [
        ("double_blocks.0.img_attn.qkv.weight.quant_state.bitsandbytes__nf4", "NF4"),
        ("transformer_blocks.0.qkv_proj.wscales", "SVDQuant"),
        ("double_blocks.0.img_attn.qkv.weight_scale_2", "NVFP4"),
    ],
)
def test_packed_weights_are_told_with_what_helps(tmp_path: Path, further: str, told: str) -> None:
    path = write_safetensors(tmp_path / "flux1-dev.safetensors", files.FLUX | {further: [8]})
    found = identify_file(path)
    assert (found.kind, found.family) == ("checkpoint", "flux")
    with pytest.raises(LatenttyError) as refused:
        open_model(path, Lending())
    for problem in (found.problem, refused.value.problem):
        assert told in str(problem)
        assert "GGUF" in str(problem)


def test_what_the_trainer_wrote_down_is_told(tmp_path: Path) -> None:
    told = {
        "ss_base_model_version": "sd_v1",
        "ss_tag_frequency": json.dumps({"a": {"fox": 3, "snow": 9}, "b": {"fox": 8, "\x1b[31mred": 1}}),
        "modelspec.title": "Foxes\x1b]0;x\x07",
    }
    path = write_safetensors(tmp_path / "fox.safetensors", files.KOHYA, told)
    (tmp_path / "fox.preview.png").write_bytes(b"")
    found = identify_file(path)
    assert found.trigger_words == ["fox", "snow", "[31mred"]
    assert (found.base, found.title, found.preview) == ("sd_v1", "Foxes]0;x", str(tmp_path / "fox.preview.png"))
    (tmp_path / "fox.civitai.info").write_text(json.dumps({"trainedWords": ["vulpes"]}))
    assert identify_file(path).trigger_words == ["vulpes"]


def test_damaged_and_dangerous_files_are_listed_with_the_reason(tmp_path: Path) -> None:
    whole = write_safetensors(tmp_path / "whole.safetensors", files.SD1).read_bytes()
    cut, pickle = tmp_path / "cut.safetensors", tmp_path / "model.safetensors"
    cut.write_bytes(whole[:-10])
    pickle.write_bytes(b"PK\x03\x04" + bytes(400))
    (tmp_path / "old.ckpt").write_bytes(bytes(5000))
    reasons = [str(identify_file(path).problem) for path in (cut, pickle, tmp_path / "old.ckpt", tmp_path / "no.gguf")]
    for word, reason in zip(("damaged", "pickle", "pickle", "read"), reasons, strict=True):
        assert word in reason


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-lfs"),
        ("a.safetensors", b"<!DOCTYPE html><html>" * 300, "web page"),
        ("a.safetensors", gguf(files.FLUX, "flux"), "must be called .gguf"),
        ("a.ckpt", None, "call it .safetensors"),
        ("a.ckpt", b"\x80\x02" * 3000, "pickle"),
        ("a.safetensors", b"", "cut off"),
    ],
)
def test_what_a_renamed_or_wrong_file_really_is_is_told(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    whole = write_safetensors(tmp_path / "whole.safetensors", files.SD1).read_bytes()
    (tmp_path / name).write_bytes(whole if content is None else content)
    assert told in str(identify_file(tmp_path / name).problem)


def test_diffusers_folders_are_known(tmp_path: Path) -> None:
    model = identify_folder(bundled_models() / "emoji-tiny")
    assert model is not None
    assert (model.kind, model.family, model.form) == ("checkpoint", "stable-diffusion", "folder")
    assert model.parameters * 2 <= model.bytes <= model.parameters * 4
    (tmp_path / "config.json").write_text("{}")
    assert identify_folder(tmp_path) is None


@pytest.mark.parametrize(
    ("shapes", "architecture", "kind"),
    [(files.FLUX, "flux", "checkpoint"), ({"enc.blk.0.attn_k.weight": [8, 32]}, "t5encoder", "text encoder")],
)
def test_gguf_files_are_known(tmp_path: Path, shapes: dict[str, list[int]], architecture: str, kind: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(shapes, architecture, 8))
    found = identify_file(path)
    assert (found.kind, found.precision, found.problem) == (kind, "Q8_0", None)
    assert read_gguf_header(path).metadata == {"general.architecture": architecture, "general.alignment": "32"}


@pytest.mark.parametrize("alignment", ["0", "-32", "²", "9" * 5000, "", "1048577"])
def test_an_alignment_that_cannot_be_is_damage(tmp_path: Path, alignment: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(files.FLUX, "flux", alignment=alignment))
    with pytest.raises(LatenttyError, match="alignment") as caught:
        read_gguf_header(path)
    assert caught.value.problem.code == "model_damaged"


@given(st.data())
def test_no_damage_to_a_gguf_header_gets_past_it_as_anything_but_damage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(gguf(files.FLUX, "flux"))
    place = data.draw(st.integers(0, 400))
    whole[place : place + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        header = read_gguf_header(path)
    except LatenttyError as error:
        assert error.problem.code == "model_damaged"  # noqa: PT017 - damage may as well leave a header whole
    else:
        assert header.bytes <= path.stat().st_size


def test_a_lora_for_a_unet_of_an_unknown_width_is_not_taken_for_one_of_a_transformer() -> None:
    loras = [file for file in bundled_addons() if file.kind == "lora"]
    assert loras
    assert {file.family for file in loras} == {""}, "the bundled model is as wide as no other"
