# ruff: noqa: E501 - texts as they were written
"""Texts as other programs write them, of several versions each: made here after pictures that these programs wrote."""

import json
from typing import Any

import pytest

from tui.library.picture_texts import PictureTexts
from tui.library.recall import recall_texts
from tui.protocol.recall import Recalled


def told(**texts: str) -> Recalled:
    return recall_texts(PictureTexts(width=512, height=768, texts=texts))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


PARAMETERS = {
    "hashes": (
        "photo of a heron\nNegative prompt: monochrome\nSteps: 15, Sampler: UniPC, CFG scale: 5, Seed: 235284042, Size: "
        '512x400, Model hash: c0d1, Model: realistic, Hashes: {"vae": "c6a5", "model": "c0d1"}, Version: v1.6.0',
        "A1111",
        {"prompt": "photo of a heron", "steps": 15, "model": "realistic", "width": 512, "height": 400},
        {},
    ),
    "the second pass": (
        "a cabin in the woods\nNegative prompt: (worst quality:1.4), cartoon\nSteps: 25, Sampler: DPM++ 2M, Schedule "
        "type: Karras, CFG scale: 6, Seed: 777, Size: 512x768, Model: v1-5, Denoising strength: 0.45, Clip skip: 1, "
        'ADetailer model: face.pt, ADetailer prompt: "a face, smiling: yes", Hires upscale: 2, Hires upscaler: Latent',
        "A1111",
        {"prompt": "a cabin in the woods", "negative_prompt": "(worst quality:1.4), cartoon", "clip_skip": 1},
        {"Denoising strength": "0.45", "ADetailer prompt": "a face, smiling: yes", "Hires upscaler": "Latent"},
    ),
    "templates": (
        "a red fox\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, "
        "Version: v1.9.4\nTemplate: a {red|blue} fox\nNegative Template: bad",
        "A1111",
        {"prompt": "a red fox", "negative_prompt": "bad", "steps": 20, "seed": 1},
        {"Template": "a {red|blue} fox", "Negative Template": "bad"},
    ),
    "a site's": (
        "an old fisherman, warm light\nSteps: 20, CFG scale: 3.5, Sampler: Undefined, Seed: 12, Size: 832x1216, Clip "
        'skip: 1, Created Date: 2024-09-01T00:00:00.000Z, Civitai resources: [{"type":"checkpoint","modelVersionId":6,'
        '"modelName":"FLUX"},{"type":"lora","weight":0.8}], Civitai metadata: {}',
        "A1111",
        {"prompt": "an old fisherman, warm light", "guidance_scale": 3.5, "width": 832, "height": 1216},
        {
            "Civitai resources": '[{"type":"checkpoint","modelVersionId":6,"modelName":"FLUX"},{"type":"lora","weight":0.8}]'
        },
    ),
    "forge": (
        'A man in "neon".\n\n<lora:style-FLUX:0.95>\n<lora:- vanta_black V2.0:0.55>\nSteps: 20, Sampler: Euler, '
        "Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 3045329758, Size: 832x1216, Model hash: "
        '06f9, Model: flux_dev, Lora hashes: "style-FLUX: de92, - vanta_black V2.0: 5d8c", Version: f2.0.1v1.10.1-previous'
        "-561-g82eb, Module 1: clip_l, Module 2: ae",
        "Forge",
        {"guidance_scale": 3.5, "model": "flux_dev", "scheduler": "euler", "seed": 3045329758},
        {"Module 1": "clip_l", "Module 2": "ae"},
    ),
    "sd.next": (
        "girl, ponytail, line art\nNegative prompt: low quality\nSteps: 20, Size: 1312x1408, Seed: 1561296656, CFG "
        "scale: 6, CFG rescale: 0.7, Model: hassakuXL, Model hash: 8474, App: SD.Next, Version: 8b73cb6, Pipeline: "
        "StableDiffusionXLPipeline, Operations: txt2img, LoRA networks: outline_xl",
        "SD.Next",
        {"steps": 20, "width": 1312, "height": 1408, "guidance_scale": 6, "model": "hassakuXL"},
        {"CFG rescale": "0.7", "LoRA networks": "outline_xl"},
    ),
    "sd.next in several lines": (
        "a lake\nNegative prompt: haze\nSteps: 10, Size: 256x256, Sampler: DPM++ SDE, Seed: 666,\nCFG scale: 15.7, CFG "
        "end: 0.3, App: SD.Next, Parser: a1111, Model: SDXL_17",
        "SD.Next",
        {"steps": 10, "seed": 666, "guidance_scale": 15.7, "model": "SDXL_17"},
        {"CFG end": "0.3", "sampler": "DPM++ SDE"},
    ),
}


@pytest.mark.parametrize(("text", "source", "fields", "unmapped"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(text: str, source: str, fields: dict[str, Any], unmapped: dict[str, str]) -> None:
    got = told(parameters=text)
    assert got.source == source
    assert {name: got.fields.get(name) for name in fields} == fields
    assert {name: got.unmapped.get(name) for name in unmapped} == unmapped
    assert not [name for name in got.unmapped if not name[0].isalpha() or '"' in name], "no broken piece of a value"


SAMPLER: dict[str, Any] = {
    "seed": 280823642470253, "steps": 20, "cfg": 8, "sampler_name": "dpmpp_2m", "scheduler": "normal", "denoise": 0.87
}  # fmt: skip


def test_comfyuis_picture_to_picture() -> None:
    graph = {
        "3": node("KSampler", **SAMPLER, model=["14", 0], positive=["6", 0], negative=["7", 0], latent_image=["12", 0]),
        "6": node("CLIPTextEncode", text="a woman with wings", clip=["14", 1]),
        "7": node("CLIPTextEncode", text="watermark", clip=["14", 1]),
        "10": node("LoadImage", image="example.png"),
        "12": node("VAEEncode", pixels=["10", 0], vae=["14", 2]),
        "14": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly.ckpt"),
    }
    got = told(prompt=json.dumps(graph))
    assert (got.fields["strength"], got.fields["scheduler"], got.fields["seed"]) == (0.87, "dpmpp-2m", SAMPLER["seed"])
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("a woman with wings", "watermark")


def test_comfyuis_two_passes_begin_with_the_first() -> None:
    """Areas of the picture with texts of their own, a second sampler over a larger latent, two models."""
    graph = {
        "24": node("KSampler", seed=2, steps=14, cfg=7, sampler_name="dpmpp_2m", scheduler="simple", denoise=0.5,
                   model=["46", 0], positive=["26", 0], negative=["7", 0], latent_image=["22", 0]),
        "22": node("LatentUpscale", upscale_method="nearest-exact", width=1088, height=1920, samples=["3", 0]),
        "3": node("KSampler", seed=335608130539327, steps=13, cfg=8.5, sampler_name="euler", scheduler="normal",
                  denoise=1, model=["45", 0], positive=["19", 0], negative=["7", 0], latent_image=["5", 0]),
        "5": node("EmptyLatentImage", width=704, height=1280, batch_size=1),
        "6": node("CLIPTextEncode", text="a landscape", clip=["44", 0]),
        "7": node("CLIPTextEncode", text="hands, text", clip=["44", 0]),
        "13": node("CLIPTextEncode", text="evening sky", clip=["44", 0]),
        "11": node("ConditioningSetArea", width=704, height=384, x=0, y=512, strength=1, conditioning=["13", 0]),
        "19": node("ConditioningCombine", conditioning_1=["11", 0], conditioning_2=["6", 0]),
        "26": node("CLIPTextEncode", text="a realistic landscape", clip=["47", 0]),
        "44": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["45", 1]),
        "45": node("CheckpointLoaderSimple", ckpt_name="Anything.ckpt"),
        "46": node("CheckpointLoaderSimple", ckpt_name="Orange.safetensors"),
        "47": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["46", 1]),
    }  # fmt: skip
    got = told(prompt=json.dumps(graph))
    assert got.fields["model"] == "Anything.ckpt"
    assert (got.fields["width"], got.fields["height"], got.fields["clip_skip"]) == (704, 1280, 2)
    assert got.fields["prompt"] == "evening sky"
    assert got.unmapped["prompt, further texts"] == "a landscape"


def test_comfyuis_conditionings_that_carry_both_sides_are_followed_on_one() -> None:
    """As ControlNets, editors and inpainting models have them; what has no field is told by its node."""
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="cosxl_edit.safetensors"),
        "6": node("CLIPTextEncode", text="oil embedding:brush.pt", clip=["1", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "9": node("ControlNetApplyAdvanced", strength=0.4, positive=["6", 0], negative=["7", 0], control_net=["10", 0]),
        "10": node("ControlNetLoader", control_net_name="canny.safetensors"),
        "11": node("ControlNetApplyAdvanced", strength=0.8, positive=["9", 0], negative=["9", 1], control_net=["10", 0]),
        "3": node("KSampler", **SAMPLER | {"sampler_name": "sample_dpmpp_2m"}, model=["1", 0], positive=["11", 0],
                  negative=["11", 1], latent_image=["12", 0]),
        "12": node("VAEEncode", pixels=["13", 0], vae=["1", 2]),
        "13": node("LoadImage", image="mountains.png", upload="image"),
    }  # fmt: skip
    got = told(prompt=json.dumps(graph))
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("oil brush", "blurry")
    assert got.fields["scheduler"] == "dpmpp-2m"
    assert got.unmapped == {
        "ControlNetApplyAdvanced": "0.4", "ControlNetApplyAdvanced 2": "0.8", "ControlNetLoader": "canny.safetensors",
        "LoadImage": "mountains.png",
    }  # fmt: skip
    graph["7"] = node("ConditioningZeroOut", conditioning=["6", 0])
    graph["6"] = node("CLIPTextEncodeSDXL", width=1024, height=1024, text_g="a fox", text_l="ink", clip=["1", 1])
    got = told(prompt=json.dumps(graph))
    assert (got.fields["prompt"], got.fields["prompt_2"]) == ("ink", "a fox")
    assert "negative_prompt" not in got.fields
    graph["4"] = node("DualCFGGuider", cfg_conds=5.0, cfg_cond2_negative=1.5, model=["1", 0], cond1=["11", 0],
                      cond2=["11", 1], negative=["7", 0])  # fmt: skip
    graph["3"] = node("SamplerCustomAdvanced", guider=["4", 0], sigmas=["5", 0], latent_image=["12", 0])
    graph["5"] = node("BasicScheduler", steps=9, scheduler="simple", denoise=1.0, model=["1", 0])
    got = told(prompt=json.dumps(graph))
    assert (got.fields["prompt"], got.fields["guidance_scale"], got.fields["steps"]) == ("ink", 5.0, 9)
    assert got.unmapped["DualCFGGuider"] == "1.5"


def test_comfyuis_graph_as_sites_and_nodes_of_others_write_it() -> None:
    """The one text of the file, beside what is no node; a text from a box of its own; a size in words."""
    graph: dict[str, Any] = {
        "resource-stack": node("CheckpointLoaderSimple", ckpt_name="urn:air:sdxl:checkpoint:civitai:8@2"),
        "6": node("smZ CLIPTextEncode", text=["9", 0], text_g="", text_l="", clip=["resource-stack", 1]),
        "7": node("Power Prompt (rgthree)", prompt="blurry"),
        "8": node("SDXL Empty Latent Image (rgthree)", dimensions="1216 x 832   (landscape)"),
        "9": node("DF_Text_Box", Text="a heron"),
        "3": node("KSampler", **SAMPLER | {"denoise": 1}, model=["resource-stack", 0], positive=["6", 0],
                  negative=["7", 0], latent_image=["8", 0]),
        "extra": {"airs": []},
        "extraMetadata": "{}",
    }  # fmt: skip
    got = told(exif=json.dumps(graph))
    assert got.source == "ComfyUI"
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("a heron", "blurry")
    assert (got.fields["width"], got.fields["height"]) == (1216, 832)


def test_texts_that_join_each_other_over_and_over_end() -> None:
    graph: dict[str, Any] = {
        f"{n}": node("Join", string_a=[f"{n + 1}", 0], string_b=[f"{n + 1}", 0], delimiter=[f"{n}", 0])
        for n in range(60)
    }
    graph["e"] = node("CLIPTextEncode", text=["0", 0], clip=["1", 0])
    graph["s"] = node("KSampler", **SAMPLER, positive=["e", 0], negative=["e", 0], latent_image=["1", 0])
    assert told(prompt=json.dumps(graph)).fields["seed"] == SAMPLER["seed"]


def test_a_plain_json() -> None:
    ruined = {"Prompt": "a heron", "Negative": "blurry", "steps": 30, "cfg": 8, "width": 1024, "height": 768, "seed": 7,
              "sampler_name": "dpmpp_2m_sde_gpu", "scheduler": "karras", "base_model_name": "wai.safetensors",
              "base_model_hash": "BE", "loras": [], "denoise": None, "software": "RuinedFooocus"}  # fmt: skip
    got = told(parameters=json.dumps(ruined))
    assert (got.source, got.fields["scheduler"], got.fields["model"]) == (
        "RuinedFooocus",
        "dpmpp-2m-sde-karras",
        "wai.safetensors",
    )
    assert (got.fields["negative_prompt"], got.fields["guidance_scale"], got.fields["height"]) == ("blurry", 8, 768)
    space = {"prompt": "a heron", "negative_prompt": "", "resolution": "832 x 1216", "guidance_scale": 5.5,
             "num_inference_steps": 24, "seed": 4, "sampler": "DPM++ 2M Karras", "Model": "WAI"}  # fmt: skip
    got = told(parameters=json.dumps(space))
    assert got.fields == {
        "prompt": "a heron", "width": 832, "height": 1216, "scheduler": "dpmpp-2m-karras", "guidance_scale": 5.5,
        "steps": 24, "seed": 4, "model": "WAI",
    }  # fmt: skip


def test_comfyuis_loaders_that_hold_the_prompts() -> None:
    """A loader with everything in it, a joined text, a wildcard that was filled, and both graphs in one EXIF text."""
    loader = node("Efficient Loader", ckpt_name="realistic.safetensors", positive=["8", 0], negative="lowres",
                  empty_latent_width=512, empty_latent_height=768, lora_name="None")  # fmt: skip
    graph = {
        "1": node("KSampler (Efficient)", **SAMPLER, model=["2", 0], positive=["2", 1], negative=["2", 2],
                  latent_image=["2", 3]),
        "2": loader,
        "8": node("StringConcatenate", string_a="a fox", string_b=["9", 0], delimiter=", "),
        "9": node("ImpactWildcardProcessor", wildcard_text="__weather__", populated_text="rain", mode="populate"),
    }  # fmt: skip
    got = told(exif=json.dumps({"prompt": graph, "workflow": {"nodes": []}}))
    assert got.source == "ComfyUI"
    assert (got.fields["prompt"], got.fields["negative_prompt"]) == ("a fox, rain", "lowres")
    assert got.fields["model"] == "realistic.safetensors"


NONE = {"lora_name_3": "None", "lora_wt_3": 1, "model_str_3": 1, "clip_str_3": 1}
STACKS = {
    "rgthree's Power Lora Loader": (
        {
            "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
            "lora_1": {"on": True, "lora": "ink.safetensors", "strength": 0.7},
            "lora_2": {"on": False, "lora": "off.safetensors", "strength": 1},
            "lora_3": {"on": True, "lora": "face.safetensors", "strength": 0.4, "strengthTwo": 0.2},
            "➕ Add Lora": "",
        },
        [("ink.safetensors", 0.7, None), ("face.safetensors", 0.4, 0.2)],
    ),
    "rgthree's Lora Loader Stack": (
        {"lora_01": "ink.safetensors", "strength_01": 0.7, "lora_02": "None", "strength_02": 1},
        [("ink.safetensors", 0.7, None)],
    ),
    "Efficiency's, simple": (
        {"input_mode": "simple", "lora_count": 1, "lora_name_1": "ink", "lora_wt_1": 0.7, "model_str_1": 0.1,
         "clip_str_1": 0.1, "lora_name_2": "past the count", "lora_wt_2": 1, **NONE},
        [("ink", 0.7, None)],
    ),
    "Efficiency's, advanced": (
        {"input_mode": "advanced", "lora_count": 3, "lora_name_1": "ink", "lora_wt_1": 0.7, "model_str_1": 0.5,
         "clip_str_1": 0.1, **NONE},
        [("ink", 0.5, 0.1)],
    ),
    "Comfyroll's": (
        {"switch_1": "Off", "lora_name_1": "off", "model_weight_1": 1, "clip_weight_1": 1,
         "switch_2": "On", "lora_name_2": "ink", "model_weight_2": 0.96, "clip_weight_2": 1.02},
        [("ink", 0.96, 1.02)],
    ),
    "Easy-Use's": (
        {"toggle": True, "mode": "simple", "num_loras": 1, "lora_1_name": "ink", "lora_1_strength": 0.8,
         "lora_1_model_strength": 1, "lora_1_clip_strength": 1, "lora_2_name": "past", "lora_2_strength": 1},
        [("ink", 0.8, None)],
    ),
    "Easy-Use's, switched off": ({"toggle": False, "mode": "simple", "num_loras": 1, "lora_1_name": "ink"}, []),
    "the LoRA Manager's": (
        {"text": "<lora:ink:0.50> <lora:off:1>", "loras": {"__value__": [
            {"name": "ink", "strength": "0.50", "active": True, "clipStrength": "0.25"},
            {"name": "off", "strength": 1, "active": False}]}},
        [("ink", 0.5, 0.25)],
    ),
    "the LoRA Manager's text": ({"text": "<lora:a/ink:0.5:0.2>", "loras": []}, [("a/ink", 0.5, 0.2)]),
    "pysssss's": (
        {"lora_name": {"content": "ink.safetensors", "image": None}, "strength_model": 0.6, "strength_clip": 0.6},
        [("ink.safetensors", 0.6, None)],
    ),
}  # fmt: skip
"""The inputs of one node each, as their authors' programs write them, and the LoRAs that it switches on."""


@pytest.mark.parametrize(("inputs", "loras"), STACKS.values(), ids=STACKS)
def test_comfyuis_stacks_of_loras(inputs: dict[str, Any], loras: list[tuple[str, float, float | None]]) -> None:
    """A stack hangs on the loader that applies it; its tags are no prompt."""
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="real.safetensors"),
        "2": node("Stack", **inputs),
        "3": node("CR Apply LoRA Stack", model=["1", 0], clip=["1", 1], lora_stack=["2", 0]),
        "4": node("CLIPTextEncode", text="a pier", clip=["3", 1]),
        "5": node("KSampler", **SAMPLER, model=["3", 0], positive=["4", 0], negative=["4", 0], latent_image=["6", 0]),
        "6": node("EmptyLatentImage", width=512, height=640, batch_size=1),
    }
    got = told(prompt=json.dumps(graph))
    assert (got.fields["prompt"], got.fields["model"]) == ("a pier", "real.safetensors")
    found = [(one["path"], one["weight"], one.get("text_weight")) for one in got.fields.get("adapters", [])]
    assert found == loras
    assert got.unmapped == {}


LOADER = {
    "vae_name": "Baked VAE", "clip_skip": -2, "lora_name": "ink", "lora_model_strength": 0.4, "lora_clip_strength": 0.4,
    "positive": "a pier, <b>", "negative": "rain", "empty_latent_width": 768, "empty_latent_height": 512,
}  # fmt: skip
SET = {"steps": 25, "cfg": 6, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1}
BUNDLED = {
    "Efficiency's": {
        "1": node("Efficient Loader", ckpt_name="real", **LOADER, batch_size=1),
        "2": node("KSampler (Efficient)", **SET, seed=7, model=["1", 0], positive=["1", 1], negative=["1", 2],
                  latent_image=["1", 3], preview_method="auto"),
    },
    "Efficiency's for SDXL": {
        "1": node("Eff. Loader SDXL", base_ckpt_name="real", base_clip_skip=-2, refiner_ckpt_name="None",
                  **LOADER | {"clip_skip": None}),
        "2": node("KSampler SDXL (Eff.)", **SET, noise_seed=7, sdxl_tuple=["1", 0], latent_image=["1", 1]),
    },
    "Easy-Use's": {
        "1": node("easy fullLoader", ckpt_name="real", resolution="768 x 512", config_name="Default",
                  **LOADER | {"empty_latent_width": 1, "positive": ["4", 0]}),
        "2": node("easy preSampling", **SET, seed=["5", 0], pipe=["1", 0]),
        "3": node("easy kSampler", pipe=["2", 0], image_output="Preview", link_id=0, save_prefix="ComfyUI"),
        "4": node("easy positive", positive="a pier, <b>"),
        "5": node("easy seed", seed=7),
    },
    "rgthree's": {
        "1": node("CheckpointLoaderSimple", ckpt_name="real"),
        "8": node("LoraLoader", lora_name="ink", strength_model=0.4, strength_clip=0.4, model=["1", 0], clip=["9", 0]),
        "9": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["1", 1]),
        "2": node("Context (rgthree)", model=["8", 0], clip=["8", 1], latent=["5", 0], seed=["6", 0]),
        "3": node("CLIPTextEncode", text="a pier, <b>", clip=["2", 2]),
        "4": node("CLIPTextEncode", text="rain", clip=["2", 2]),
        "5": node("EmptyLatentImage", width=768, height=512, batch_size=1),
        "6": node("Seed (rgthree)", seed=7),
        "7": node("Context (rgthree)", base_ctx=["2", 0], positive=["3", 0], negative=["4", 0]),
        "10": node("KSampler", **SET, seed=["7", 8], model=["7", 1], positive=["7", 4], negative=["7", 5],
                   latent_image=["7", 6]),
    },
}  # fmt: skip


@pytest.mark.parametrize("graph", BUNDLED.values(), ids=BUNDLED)
def test_comfyuis_nodes_that_hand_everything_on_in_one(graph: dict[str, Any]) -> None:
    got = told(prompt=json.dumps(graph))
    assert {name: value for name, value in got.fields.items() if name != "adapters"} == {
        "prompt": "a pier, <b>", "negative_prompt": "rain", "seed": 7, "steps": 25, "guidance_scale": 6,
        "scheduler": "dpmpp-2m-karras", "width": 768, "height": 512, "model": "real", "clip_skip": 2,
    }  # fmt: skip
    assert got.fields["adapters"] == [{"path": "ink", "weight": 0.4}]


def test_stable_diffusion_cpp_names_a_transformer_and_two_guidances() -> None:
    line = (
        "Steps: 20, CFG scale: 1.000000, Guidance: 3.500000, Eta: inf, Seed: 42, Size: 512x768, Model: , RNG: cuda,"
        " Sampler: euler discrete, TE: qwen.safetensors, Unet: {}, Version: stable-diffusion.cpp,"
        ' SDCPP: {{"seed":42,"models":{{"model":""}}}}'
    )
    got = told(parameters=f"a cat\n{line.format('flux2-dev-Q4_K_S.gguf')}")
    assert (got.source, got.fields["scheduler"], got.fields["model"]) == (
        "stable-diffusion.cpp", "euler", "flux2-dev-Q4_K_S.gguf"
    )  # fmt: skip
    assert (got.fields["guidance_scale"], got.fields["width"], got.fields["height"]) == (3.5, 512, 768)
    assert told(parameters=f"a cat\n{line.format('z_image_turbo.gguf')}").fields["guidance_scale"] == 1.0


def editors_node(number: int, kind: str, values: list[Any], inputs: str = "", outputs: str = "", **more: Any) -> Any:
    """A node of ComfyUI's editor; `inputs` are names, types and links: "model MODEL 3, clip CLIP 4"."""
    entries = [one.split() for one in inputs.split(", ") if one]
    told = [{"name": name, "type": of, "link": int(link) if link != "-" else None} for name, of, link in entries]
    given = [{"name": of, "type": of} for of in outputs.split()]
    return {"id": number, "type": kind, "widgets_values": values, "inputs": told, "outputs": given} | more


EDITORS_SAMPLER = editors_node(
    1, "KSampler", [7, "fixed", 12, 5.5, "euler", "normal", 1.0],
    "model MODEL 1, positive CONDITIONING 2, negative CONDITIONING 3, latent_image LATENT 4", "LATENT",
)  # fmt: skip


def test_comfyuis_bypassed_nodes_hand_on_what_they_were_given_and_muted_ones_nothing() -> None:
    nodes = [
        EDITORS_SAMPLER,
        editors_node(2, "LoraLoader", ["off", 1, 1], "model MODEL 5, clip CLIP 6", "MODEL CLIP", mode=4),
        editors_node(3, "Reroute", [], "in * 7", "*"),
        editors_node(4, "CheckpointLoaderSimple", ["base.safetensors"], "", "MODEL CLIP VAE"),
        editors_node(5, "CLIPTextEncode", ["a fox"], "clip CLIP 8", "CONDITIONING"),
        editors_node(6, "CLIPTextEncode", ["not this"], "clip CLIP 9", "CONDITIONING", mode=2),
        editors_node(7, "Combine", [], "one IMAGE -, two CONDITIONING 10", "CONDITIONING", mode=4),
        editors_node(8, "GetNode", ["size"], "", "LATENT"),
        editors_node(9, "SetNode", ["size"], "LATENT LATENT 11", "*"),
        editors_node(10, "EmptyLatentImage", [640, 448, 1], "width INT 12", "LATENT"),
        editors_node(11, "PrimitiveNode", [768, "fixed"], "", "INT"),
    ]
    ends = [(2, 0, 1), (7, 0, 1), (6, 0, 1), (8, 0, 1), (3, 0, 2), (4, 1, 2), (4, 0, 3), (2, 1, 5), (4, 1, 6)]
    ends += [(5, 0, 7), (10, 0, 9), (11, 0, 10)]
    links = [[number, *end, 0, "*"] for number, end in enumerate(ends, 1)]
    fields = told(workflow=json.dumps({"nodes": nodes, "links": links})).fields
    assert fields == {
        "seed": 7, "steps": 12, "guidance_scale": 5.5, "scheduler": "euler",
        "prompt": "a fox", "model": "base.safetensors", "width": 768, "height": 448,
    }  # fmt: skip


def test_comfyuis_subgraphs_hold_the_nodes_and_their_places_the_values() -> None:
    inner = [
        EDITORS_SAMPLER,
        editors_node(2, "UNETLoader", ["inner.safetensors", "default"], "unet_name COMBO 11", "MODEL"),
        editors_node(3, "CLIPTextEncode", [""], "text STRING 12", "CONDITIONING"),
        editors_node(4, "EmptyLatentImage", [512, 512, 1], "", "LATENT"),
    ]
    ends = [(2, 0), (3, 0), (-10, 2), (4, 0)]
    links = [{"id": n, "origin_id": one, "origin_slot": slot} for n, (one, slot) in enumerate(ends, 1)]
    links += [{"id": 11 + n, "origin_id": -10, "origin_slot": n} for n in (0, 1)]
    made = {"nodes": inner, "links": links, "id": "made", "outputs": [{"name": "LATENT", "linkIds": [1]}]}
    made["inputs"] = [{"name": name} for name in ("unet_name", "text", "negative")]
    place = editors_node(
        5, "made", ["outer.safetensors", "a crown", 99], "unet_name COMBO -, text STRING -, negative CONDITIONING 1",
        properties={"proxyWidgets": [["-1", "unet_name"], ["-1", "text"], ["1", "seed"]]},
    )  # fmt: skip
    nodes = [place, editors_node(6, "CLIPTextEncode", ["blurry"], "", "CONDITIONING")]
    workflow = {"nodes": nodes, "links": [[1, 6, 0, 5, 2, "*"]], "definitions": {"subgraphs": [made]}}
    fields = told(workflow=json.dumps(workflow)).fields
    assert (fields["model"], fields["prompt"], fields["seed"]) == ("outer.safetensors", "a crown", 99)
    assert (fields["negative_prompt"], fields["width"]) == ("blurry", 512)
    made["nodes"] = [editors_node(1, "made", [])]  # a subgraph in itself
    assert told(workflow=json.dumps(workflow)).unmapped["graph"] == "no sampler was found in it"


def test_comfyuis_workflow_names_its_values_in_the_order_of_its_inputs() -> None:
    """As later editors write it; rgthree's loader has its LoRAs among the values."""
    names = ["seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"]
    sampler = [{"name": "model", "link": 1}, {"name": "positive", "link": 2}, *(
        {"name": name, "widget": {"name": name}, "link": None} for name in names)]  # fmt: skip
    lora = {"on": True, "lora": "ink.safetensors", "strength": 0.7, "strengthTwo": None}
    nodes = [
        {"id": 1, "type": "Power Lora Loader (rgthree)", "inputs": [{"name": "model", "link": 3}],
         "widgets_values": [{}, {"type": "PowerLoraLoaderHeaderWidget"}, lora, {}, ""]},
        {"id": 2, "type": "CLIPTextEncode", "inputs": [], "widgets_values": ["a pier"]},
        {"id": 3, "type": "A sampler", "inputs": sampler,
         "widgets_values": [9, "fixed", 20, 7, "euler", "normal", 1]},
        {"id": 4, "type": "CheckpointLoaderSimple", "inputs": [], "widgets_values": ["real.safetensors"]},
        {"id": 5, "type": "easy imageSize", "inputs": [], "widgets_values": ["Width: 64"]},
    ]  # fmt: skip
    links = [[1, 1, 0, 3, 0, "MODEL"], [2, 2, 0, 3, 1, "CONDITIONING"], [3, 4, 0, 1, 0, "MODEL"]]
    got = told(workflow=json.dumps({"nodes": nodes, "links": links}))
    assert got.fields == {
        "seed": 9, "steps": 20, "guidance_scale": 7, "scheduler": "euler", "prompt": "a pier",
        "model": "real.safetensors", "adapters": [{"path": "ink.safetensors", "weight": 0.7}],
    }  # fmt: skip


def test_invokeais_four_forms() -> None:
    third = {
        "app_version": "3.3.0post3", "generation_mode": "txt2img", "positive_prompt": "landscape",
        "negative_prompt": "low quality", "width": 768, "height": 432, "seed": 356120443, "rand_device": "cpu",
        "cfg_scale": 7.5, "steps": 50, "scheduler": "dpmpp_2m_sde_k", "clip_skip": 0, "model": {"model_name": "amixx",
        "base_model": "sd-1", "model_type": "main"}, "controlnets": [], "ipAdapters": [], "t2iAdapters": [],
        "loras": [{"lora": {"model_name": "detail", "base_model": "sd-1"}, "weight": 0.6}],
        "vae": {"model_name": "sd-vae-ft-mse", "base_model": "sd-1"},
    }  # fmt: skip
    got = told(invokeai_metadata=json.dumps(third))
    assert (got.fields["model"], got.fields["scheduler"]) == ("amixx", "dpmpp-2m-sde-karras")
    assert got.fields["adapters"] == [{"path": "detail", "weight": 0.6}]
    assert got.unmapped == {"vae": "sd-vae-ft-mse"}
    fifth = {
        "generation_mode": "flux_txt2img", "positive_prompt": "a boat", "width": 1024, "height": 1024, "seed": 8,
        "steps": 28, "guidance": 4, "scheduler": "euler", "model": {"key": "a", "hash": "blake3:1", "name": "FLUX Dev",
        "base": "flux", "type": "main"}, "vae": {"name": "FLUX.1-schnell_ae"}, "app_version": "5.6.0",
        "t5_encoder": {"name": "t5_bnb_int8"}, "clip_embed_model": {"name": "clip-vit-large"},
    }  # fmt: skip
    got = told(invokeai_metadata=json.dumps(fifth))
    assert (got.fields["guidance_scale"], got.fields["model"], got.fields["scheduler"]) == (4, "FLUX Dev", "euler")
    second = {
        "model": "stable diffusion", "model_weights": "deliberate", "model_hash": "56d1", "app_version": "2.3.0",
        "image": {"prompt": [{"prompt": "a pond (imperfect skin) [rendering, skinny]", "weight": 1.0}], "steps": 50,
        "cfg_scale": 5, "threshold": 0, "perlin": 0, "height": 768, "width": 512, "seed": 2980747362, "seamless": False,
        "hires_fix": False, "type": "txt2img", "variations": [], "sampler": "k_heun",
        "postprocessing": [{"type": "codeformer", "strength": 0.9}]},
    }  # fmt: skip
    got = told(**{"sd-metadata": json.dumps(second)}, Dream="not looked at")
    assert (got.fields["negative_prompt"], got.fields["scheduler"]) == ("rendering, skinny", "heun")
    got = told(
        Dream='"a pond [rendering, skinny]" -s 50 -S2980747362 -W512 -H 768 -C5.0 -A k_euler_a -cf 0.7 -U 4 0.9 -G0.9'
    )
    assert got.source == "InvokeAI"
    assert got.fields == {
        "prompt": "a pond", "negative_prompt": "rendering, skinny", "steps": 50, "seed": 2980747362, "width": 512,
        "height": 768, "guidance_scale": 5, "scheduler": "euler-a",
    }  # fmt: skip
    assert got.unmapped == {"-cf": "0.7", "-U": "4 0.9", "-G": "0.9"}


def test_novelais_first_and_fourth_models() -> None:
    first = {"steps": 50, "sampler": "k_euler_ancestral", "seed": 2253955223, "strength": 0.4, "noise": 0.0, "scale": 10.0,
             "uc": "lowres, bad anatomy"}  # fmt: skip
    got = told(
        Software="NovelAI", Description="cat, space, icon", Comment=json.dumps(first), Source="Stable Diffusion 1D4"
    )
    assert (got.fields["prompt"], got.fields["guidance_scale"], got.fields["seed"]) == (
        "cat, space, icon",
        10,
        2253955223,
    )
    fourth = {
        "prompt": "2girls, outdoor", "steps": 23, "height": 1216, "width": 832, "scale": 5, "uncond_scale": 0, "seed": 4,
        "n_samples": 1, "noise_schedule": "karras", "sampler": "k_dpmpp_2m", "uc": "worst quality", "request_type":
        "PromptGenerateRequest", "v4_prompt": {"caption": {"base_caption": "2girls, outdoor", "char_captions":
        [{"char_caption": "girl, red hair", "centers": [{"x": 0.2, "y": 0.5}]}, {"char_caption": "girl, blue hair"}]},
        "use_coords": True, "use_order": True}, "v4_negative_prompt": {"caption": {"base_caption": "worst quality",
        "char_captions": [{"char_caption": ""}]}}, "signed_hash": "x",
    }  # fmt: skip
    got = told(Software="NovelAI", Comment=json.dumps(fourth))
    assert (got.fields["prompt"], got.fields["scheduler"]) == ("2girls, outdoor", "dpmpp-2m-karras")
    assert got.unmapped == {"characters": "girl, red hair | girl, blue hair"}


def test_fooocus_tells_a_lora_twice_and_means_it_once() -> None:
    scheme = {
        "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "base_model_hash": "aeb7", "clip_skip": 2,
        "full_prompt": ["cinematic still a field"], "guidance_scale": 4, "lora_combined_1": "offset_1.0 : 0.1",
        "loras": [["offset_1.0", 0.1, "4852"]], "metadata_scheme": "fooocus", "negative_prompt": "", "prompt": "a field",
        "performance": "Speed", "resolution": "(512, 512)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
        "seed": "127589946317439009", "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)",
    }  # fmt: skip
    got = told(parameters=json.dumps(scheme), fooocus_scheme="fooocus")
    assert got.fields["adapters"] == [{"path": "offset_1.0", "weight": 0.1}]
    assert got.fields["seed"] == 127589946317439009
    older = scheme | {"loras": [], "lora_combined_1": "offset_1.0 : 0.1"}
    assert told(parameters=json.dumps(older)).fields["adapters"] == [{"path": "offset_1.0", "weight": 0.1}]
    in_its_other_form = "a field\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 7, Size: 512x512, CFG scale: 4, Version: Fooocus v2.5.5"
    got = told(parameters=in_its_other_form, fooocus_scheme="a1111")
    assert (got.source, got.fields["scheduler"]) == ("Fooocus", "dpmpp-2m-sde-karras")


def test_swarmui() -> None:
    params = {
        "prompt": "a headshot", "model": "Flux/flux1-dev-fp8", "seed": 2042464333, "steps": 25, "cfgscale": 1.0,
        "aspectratio": "Custom", "width": 512, "height": 768, "sampler": "euler", "scheduler": "normal", "vae": "ae.sft",
        "negativeprompt": "", "swarm_version": "0.9.1.1", "fluxguidancescale": 3.5, "loras": ["pixel"],
        "loraweights": ["0.7"], "used_wildcards": ["Jaw Lines"],
    }  # fmt: skip
    got = told(parameters=json.dumps({"sui_image_params": params}))
    assert got.source == "SwarmUI"
    assert (got.fields["guidance_scale"], got.fields["scheduler"], got.fields["width"]) == (3.5, "euler", 512)
    assert got.fields["adapters"] == [{"path": "pixel", "weight": 0.7}]
    assert got.unmapped == {"used_wildcards": '["Jaw Lines"]'}
