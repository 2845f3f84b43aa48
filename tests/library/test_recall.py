"""What a picture tells is recalled, whoever wrote it; what fits nothing is told, and nothing hostile hurts."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import make_job
from tests.library.test_pictures import making_of
from tui.library.picture_texts import PictureTexts, decode_comment, encode_comment, read_texts
from tui.library.pictures import read_making, save_picture
from tui.library.recall import recall, recall_texts
from tui.library.recall.found import scheduler_called
from tui.library.xmp import xmp_texts
from tui.protocol.job import Adapter, Job
from tui.protocol.problem import LatenttyError
from tui.protocol.recall import Recalled


def told(**texts: str) -> Recalled:
    return recall_texts(PictureTexts(width=512, height=768, texts=texts))


A1111 = """masterpiece, (red:1.2) fox, <lora:style_a:0.8>
second line
Negative prompt: blurry, bad
Steps: 28, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 6.5, Seed: 3884829392, Size: 832x1216, Model hash: 67ab2fd8ec, Model: someXL_v6, VAE: sdxl_vae.safetensors, Denoising strength: 0.4, Clip skip: 2, ControlNet 0: "Module: canny, Model: x, Weight: 1", Lora hashes: "style_a: abc", Version: v1.10.1"""  # noqa: E501


def test_a1111() -> None:
    got = told(parameters=A1111)
    assert got.source == "A1111"
    assert got.fields == {
        "prompt": "masterpiece, (red:1.2) fox, <lora:style_a:0.8>\nsecond line",
        "negative_prompt": "blurry, bad",
        "steps": 28,
        "scheduler": "dpmpp-2m-sde-karras",
        "guidance_scale": 6.5,
        "seed": 3884829392,
        "width": 832,
        "height": 1216,
        "model": "someXL_v6",
        "strength": 0.4,
        "clip_skip": 2,
    }
    assert got.unmapped == {"VAE": "sdxl_vae.safetensors", "ControlNet 0": "Module: canny, Model: x, Weight: 1"}
    assert got.text == A1111


@pytest.mark.parametrize(
    ("line", "source", "guidance", "scheduler"),
    [
        (
            "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 1,"
            " Size: 896x1152, Model: flux1-dev-bnb-nf4-v2, Version: f2.0.1v1.10.1-previous-224-g900196889",
            "Forge",
            3.5,
            "euler",
        ),
        (
            "Steps: 20, Size: 1024x1024, Sampler: UniPC, Seed: 2, CFG scale: 6, App: SD.Next, Version: abc1234,"
            " Pipeline: StableDiffusionXLPipeline, Operations: txt2img, Model: juggernaut",
            "SD.Next",
            6,
            "unipc",
        ),
        ("Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 3, Size: 512x512", "A1111", 7, "dpmpp-2m-karras"),
    ],
)
def test_what_others_write_in_its_form(line: str, source: str, guidance: float, scheduler: str) -> None:
    got = told(parameters=f"a fox\nNegative prompt: bad\n{line}")
    assert got.source == source
    assert (got.fields["guidance_scale"], got.fields["scheduler"]) == (guidance, scheduler)
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("a fox", "bad")


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "3": node(
        "KSampler", seed=156680208700286, steps=20, cfg=8, sampler_name="euler_ancestral", scheduler="normal",
        denoise=1, model=["11", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
    ),
    "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=640, batch_size=1),
    "6": node("CLIPTextEncode", text=["12", 0], clip=["10", 0]),
    "7": node("CLIPTextEncode", text="text, watermark", clip=["10", 0]),
    "8": node("VAEDecode", samples=["3", 0], vae=["13", 0]),
    "10": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["11", 1]),
    "11": node("LoraLoader", lora_name="pixel.safetensors", strength_model=0.8, strength_clip=0.5, model=["4", 0]),
    "12": node("PrimitiveString", value="beautiful scenery"),
    "13": node("VAELoader", vae_name="vae-ft-mse.safetensors"),
}  # fmt: skip


def test_comfyuis_api_graph() -> None:
    got = told(prompt=json.dumps(GRAPH).replace('"batch_size": 1', '"batch_size": NaN'))
    assert got.source == "ComfyUI"
    assert got.fields == {
        "seed": 156680208700286,
        "steps": 20,
        "guidance_scale": 8,
        "scheduler": "euler-a",
        "prompt": "beautiful scenery",
        "negative_prompt": "text, watermark",
        "width": 512,
        "height": 640,
        "model": "v1-5-pruned-emaonly.safetensors",
        "adapters": [{"path": "pixel.safetensors", "weight": 0.8, "text_weight": 0.5}],
        "clip_skip": 2,
    }
    assert got.unmapped == {"VAE": "vae-ft-mse.safetensors"}


def test_comfyuis_advanced_sampler_and_flux() -> None:
    graph = {
        "1": node("SamplerCustomAdvanced", noise=["2", 0], guider=["3", 0], sampler=["4", 0], sigmas=["5", 0],
                  latent_image=["6", 0]),
        "2": node("RandomNoise", noise_seed=5),
        "3": node("BasicGuider", model=["7", 0], conditioning=["8", 0]),
        "4": node("KSamplerSelect", sampler_name="euler"),
        "5": node("BasicScheduler", scheduler="simple", steps=24, denoise=1, model=["7", 0]),
        "6": node("EmptySD3LatentImage", width=1024, height=768),
        "7": node("UNETLoader", unet_name="flux1-dev.safetensors"),
        "8": node("FluxGuidance", guidance=3.5, conditioning=["9", 0]),
        "9": node("CLIPTextEncode", text="a fox", clip=["10", 0]),
        "10": node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors"),
    }  # fmt: skip
    assert told(prompt=json.dumps(graph)).fields == {
        "seed": 5,
        "steps": 24,
        "scheduler": "euler",
        "guidance_scale": 3.5,
        "prompt": "a fox",
        "width": 1024,
        "height": 768,
        "model": "flux1-dev.safetensors",
    }


def test_comfyuis_workflow_alone() -> None:
    workflow = {
        "nodes": [
            {"id": 3, "type": "KSampler", "widgets_values": [7, "fixed", 12, 5.5, "dpmpp_2m", "karras", 0.6],
             "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 2}, {"name": "negative", "link": 3},
                        {"name": "latent_image", "link": 4}]},
            {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["sd.safetensors"], "inputs": []},
            {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a dog"], "inputs": [{"name": "clip", "link": 5}]},
            {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["bad"], "inputs": [{"name": "clip", "link": 6}]},
            {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 512, 1]},
        ],
        "links": [[1, 4, 0, 3, 0, "MODEL"], [2, 6, 0, 3, 1, "C"], [3, 7, 0, 3, 2, "C"], [4, 5, 0, 3, 3, "LATENT"],
                  [5, 4, 1, 6, 0, "CLIP"], [6, 4, 1, 7, 0, "CLIP"]],
    }  # fmt: skip
    got = told(workflow=json.dumps(workflow))
    assert got.fields == {
        "seed": 7,
        "steps": 12,
        "guidance_scale": 5.5,
        "scheduler": "dpmpp-2m-karras",
        "strength": 0.6,
        "prompt": "a dog",
        "negative_prompt": "bad",
        "width": 512,
        "height": 512,
        "model": "sd.safetensors",
    }


def test_invokeai() -> None:
    now = {
        "app_version": "5.4.0", "generation_mode": "sdxl_txt2img", "positive_prompt": "a fox, red++ (snow)1.3",
        "negative_prompt": "blurry", "width": 1024, "height": 1024, "seed": 99, "cfg_scale": 5.5, "steps": 30,
        "scheduler": "dpmpp_2m_k", "clip_skip": 1, "model": {"key": "k", "name": "Juggernaut XL", "base": "sdxl"},
        "loras": [{"model": {"name": "Pixel"}, "weight": 0.75}], "cfg_rescale_multiplier": 0.2,
    }  # fmt: skip
    got = told(invokeai_metadata=json.dumps(now))
    assert got.source == "InvokeAI"
    assert got.fields["prompt"] == "a fox, (red:1.21) (snow:1.3)"
    assert got.fields["scheduler"] == "dpmpp-2m-karras"
    assert got.fields["clip_skip"] == 2
    assert got.fields["model"] == "Juggernaut XL"
    assert got.fields["adapters"] == [{"path": "Pixel", "weight": 0.75}]
    assert got.unmapped == {"cfg_rescale_multiplier": "0.2"}
    once = {"model_weights": "stable-diffusion-1.5", "image": {"prompt": [{"prompt": "a cat [ugly]", "weight": 1}],
            "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms", "seed": 3, "width": 512, "height": 512}}  # fmt: skip
    got = told(**{"sd-metadata": json.dumps(once)})
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("a cat", "ugly")
    assert got.unmapped == {"sampler": "k_lms"}, "we have none that does the same"


def test_novelai() -> None:
    comment = {"steps": 28, "height": 1216, "width": 832, "scale": 5.0, "seed": 1234567890, "n_samples": 1,
               "sampler": "k_euler_ancestral", "noise_schedule": "native", "uc": "lowres, {bad}",
               "prompt": "1girl, {{smile}}, [hat], 1.3::fox::", "cfg_rescale": 0.1}  # fmt: skip
    got = told(Software="NovelAI", Comment=json.dumps(comment), Source="NovelAI Diffusion V4")
    assert got.source == "NovelAI"
    assert got.fields["prompt"] == "1girl, (smile:1.103), (hat:0.9524), (fox:1.3)"
    assert got.fields["negative_prompt"] == "lowres, (bad:1.05)"
    assert got.fields["scheduler"] == "euler-a"
    assert got.unmapped == {"Source": "NovelAI Diffusion V4", "cfg_rescale": "0.1"}


def test_fooocus() -> None:
    scheme = {"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "performance": "Speed",
              "loras": [["offset", 0.1, "abc"]], "negative_prompt": "", "prompt": "a fox", "guidance_scale": 4,
              "resolution": "(896, 1152)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "77",
              "steps": 30, "metadata_scheme": "fooocus", "version": "Fooocus v2.5.5", "clip_skip": 2}  # fmt: skip
    got = told(parameters=json.dumps(scheme), fooocus_scheme="fooocus")
    assert got.source == "Fooocus"
    assert got.fields["seed"] == 77
    assert (got.fields["width"], got.fields["height"]) == (896, 1152)
    assert got.fields["scheduler"] == "dpmpp-2m-sde-karras"
    assert got.unmapped == {"adm_guidance": "(1.5, 0.8, 0.3)", "performance": "Speed"}


def test_dgenerate() -> None:
    script = """#! /usr/bin/env dgenerate --file
#! dgenerate 5.0.0

stabilityai/stable-diffusion-xl-base-1.0
--model-type sdxl
--inference-steps 25
--guidance-scales 6
--seeds 70141255
--scheduler "DPMSolverMultistepScheduler;use-karras-sigmas=true"
--loras "pixel-art.safetensors;scale=0.7"
--output-size 1024x768
--prompts "a (red) fox; bad art"
"""
    got = told(DgenerateConfig=script)
    assert got.source == "dgenerate"
    assert got.fields == {
        "model": "stabilityai/stable-diffusion-xl-base-1.0",
        "steps": 25,
        "guidance_scale": 6,
        "seed": 70141255,
        "scheduler": "dpmpp-2m-karras",
        "adapters": [{"path": "pixel-art.safetensors", "weight": 0.7}],
        "width": 1024,
        "height": 768,
        "prompt": r"a \(red\) fox",
        "negative_prompt": "bad art",
    }
    assert got.unmapped == {"--model-type": "sdxl"}


def test_what_is_out_of_range_is_told_and_not_taken() -> None:
    got = told(parameters="x\nSteps: 5000, Sampler: Euler, CFG scale: 7, Seed: -1, Size: 513x512")
    assert got.fields.keys() == {"prompt", "scheduler", "guidance_scale", "height"}
    assert got.unmapped == {"steps": "5000", "seed": "-1", "width": "513"}


@pytest.mark.parametrize(
    ("sampler", "schedule", "wanted"),
    [
        ("DPM++ 2M Karras", "", ("dpmpp-2m-karras", "")),
        ("dpmpp_2m", "karras", ("dpmpp-2m-karras", "")),
        ("Euler a", "Automatic", ("euler-a", "")),
        ("euler_simple", "", ("euler", "")),
        ("LCM", "SGM Uniform", ("lcm", "")),
        ("DPM++ 2M", "Align Your Steps", ("dpmpp-2m", "Align Your Steps")),
        ("euler_ancestral_karras", "", ("euler-a", "karras")),
        ("Euler Ancestral Karras", "", ("euler-a", "karras")),
        ("Restart", "", ("", "")),
    ],
)
def test_samplers_are_known_by_every_programs_names(sampler: str, schedule: str, wanted: tuple[str, str]) -> None:
    """What is told of the schedule is told where we have the sampler with its own alone."""
    assert scheduler_called(sampler, schedule) == wanted


PROMPTS = st.text(max_size=200)


@settings(max_examples=30, deadline=None)
@given(prompt=PROMPTS, negative=PROMPTS, seed=st.integers(0, 2**63 - 1), suffix=st.sampled_from(["png", "jpg", "webp"]))
def test_our_own_pictures_are_recalled_whole(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, negative: str, seed: int, suffix: str
) -> None:
    """In every format that we write, whatever the prompt is."""
    job = make_job(
        prompt=prompt, negative_prompt=negative, seed=seed, adapters=[Adapter(path="x", weight=0.5)], clip_skip=2
    )
    path = tmp_path_factory.mktemp("p") / f"x.{suffix}"
    making = msgspec.structs.replace(making_of(), job=job, seed=seed)
    save_picture(Image.new("RGB", (64, 64)), path, making)
    assert read_making(path) == making
    got = recall(path)
    assert got.source == "Latentty"
    assert got.unmapped == {}
    again = msgspec.convert(
        {"id": job.id, "width": 64, "height": 64, "steps": 1, "guidance_scale": 1, "scheduler": "own"} | got.fields, Job
    )
    assert again == job


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_others_find_their_parameters_in_every_format(tmp_path: Path, suffix: str) -> None:
    making = making_of(prompt="ein Füchslein 狐", negative_prompt="böse")
    save_picture(Image.new("RGB", (64, 64)), tmp_path / f"x.{suffix}", making)
    texts = read_texts(tmp_path / f"x.{suffix}").texts
    parameters = texts["parameters" if suffix == "png" else "exif"]
    assert parameters.startswith("ein Füchslein 狐\nNegative prompt: böse\nSteps: 2, ")
    assert told(parameters=parameters).fields["prompt"] == "ein Füchslein 狐"


DRAW_THINGS = (
    '{"c": "a lighthouse & gulls", "uc": "blurry", "seed": 5, "steps": 20, "scale": 4.5, "sampler": "DPM++ 2M Karras", '
    '"model": "sd_xl_base_1.0_f16.ckpt", "size": "1024x768", "strength": 1, "seed_mode": "Scale Alike", "shift": 3, '
    '"v2": {"loras": [{"file": "ink.ckpt", "weight": 0.6}]}}'
)


def xmp(text: str, *, alternatives: bool) -> bytes:
    """`text` as XMP's user comment, bare or among alternatives by language, as programs write it."""
    inside = f'<rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt>' if alternatives else text
    return (
        '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}"?><x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:exif="e" '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:RDF><rdf:Description rdf:about="">'
        f"<exif:UserComment>{inside}</exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>\n"
    ).encode()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_xmp_is_read_in_every_format(tmp_path: Path, suffix: str) -> None:
    """Draw Things tells all in it; PNG has it as a text, the others as it is."""
    packet = xmp(escape(DRAW_THINGS), alternatives=suffix in ("png", "avif"))
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    more: dict[str, Any] = {"pnginfo": info} if suffix == "png" else {"xmp": packet}
    Image.new("RGB", (64, 64)).save(tmp_path / f"x.{suffix}", **more)
    got = recall(tmp_path / f"x.{suffix}")
    assert got.source == "Draw Things"
    assert got.fields == {
        "prompt": "a lighthouse & gulls",
        "negative_prompt": "blurry",
        "width": 1024,
        "height": 768,
        "seed": 5,
        "steps": 20,
        "guidance_scale": 4.5,
        "model": "sd_xl_base_1.0_f16.ckpt",
        "scheduler": "dpmpp-2m-karras",
        "adapters": [{"path": "ink.ckpt", "weight": 0.6}],
    }
    assert got.unmapped == {"shift": "3"}


@pytest.mark.parametrize(
    "packet",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x><UserComment>&a;&a;</UserComment></x>',
        "<x>" * 200_000,
        "<x><UserComment>never closed",
        "no XML",
        "",
    ],
)
def test_a_hostile_packet_of_xmp_tells_nothing(packet: str) -> None:
    assert xmp_texts(packet) == {}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HEAD = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
BOMB = zlib.compress(bytes(64 << 20), 9)


@pytest.mark.parametrize(
    ("data", "told_as"),
    [
        (HEAD + chunk(b"zTXt", b"parameters\0\0" + BOMB), "grows beyond"),
        (HEAD + chunk(b"iTXt", b"parameters\0\1\0\0\0" + BOMB), "grows beyond"),
        (HEAD + chunk(b"zTXt", b"parameters\0\0nonsense"), "inflated"),
        (HEAD + struct.pack(">I", 9_000_000) + b"tEXt" + bytes(9_000_100), "text of 9000000 bytes"),
        (b"\x89PNG\r\n\x1a\n", "no header"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 1 << 31) + b"IHDR", "cut off"),
        (b"", "no PNG, JPEG, WEBP or AVIF"),
        (b"GIF89a", "no PNG, JPEG, WEBP or AVIF"),
    ],
)
def test_a_hostile_picture_gives_a_message(tmp_path: Path, data: bytes, told_as: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(LatenttyError, match=told_as):
        recall(path)


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "[" * 100_000, '{"a":' * 50_000, "\x1b]0;x\x07", '{"3": {"class_type": "KSampler"}}', "NaN"]
)
@pytest.mark.parametrize("name", ["prompt", "workflow", "invokeai_metadata", "Comment", "parameters", "latentty"])
def test_a_hostile_text_is_nothing_or_text(name: str, text: str) -> None:
    assert told(**{name: text}).source in ("", "ComfyUI", "InvokeAI")


def test_a_graph_that_leads_in_circles_ends() -> None:
    loop = {str(n): node("CLIPTextEncode", text=[str((n + 1) % 9), 0], clip=[str((n + 2) % 9), 0]) for n in range(9)}
    loop["s"] = node("KSampler", seed=1, positive=["0", 0], negative=["1", 0], latent_image=["s", 0], model=["s", 0])
    assert told(prompt=json.dumps(loop)).fields == {"seed": 1}


@given(st.binary(max_size=60))
def test_any_bytes_are_a_comment(data: bytes) -> None:
    assert isinstance(decode_comment(data), str)
    assert decode_comment(b"UNICODE\0" + "ein Fuchs".encode("utf-16-le")) == "ein Fuchs"
    assert decode_comment(encode_comment("a fox, 狐")) == "a fox, 狐"


def test_latin_letters_and_late_chunks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    info = PngInfo()
    info.add(b"tEXt", b"parameters\0" + "Füchslein\nSteps: 5, Seed: 1, CFG scale: 3".encode("latin-1"), after_idat=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    assert recall(path).fields["prompt"] == "Füchslein"
