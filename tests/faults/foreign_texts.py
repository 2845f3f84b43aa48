"""What the programs that recall knows write into their pictures, one of each form."""

import json
from typing import Any

from tests.library.test_recall import DRAW_THINGS, GRAPH
from tests.library.test_recall_of_others import BUNDLED, PARAMETERS

WORKFLOW: dict[str, Any] = {
    "nodes": [
        {"id": 3, "type": "KSampler", "widgets_values": [7, "fixed", 12, 5.5, "dpmpp_2m", "karras", 0.6],
         "inputs": [{"name": "positive", "link": 2}, {"name": "latent_image", "link": 4, "widget": {"name": "x"}}]},
        {"id": 4, "type": "Power Lora Loader (rgthree)", "widgets_values": [{}, {"lora": "a", "strength": 1}]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a dog"], "inputs": [{"name": "clip", "link": 5}]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": {"width": 512, "height": 512}, "mode": 0},
    ],
    "links": [[2, 6, 0, 3, 1, "C"], [4, 5, 0, 3, 3, "LATENT"], [5, 4, 1, 6, 0, "CLIP"]],
}  # fmt: skip
INVOKE: dict[str, Any] = {
    "generation_mode": "sdxl_txt2img", "positive_prompt": "a fox, red++ (snow)1.3", "negative_prompt": "blurry",
    "width": 1024, "height": 1024, "seed": 99, "cfg_scale": 5.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1,
    "model": {"key": "k", "name": "XL"}, "loras": [{"model": {"name": "Pixel"}, "weight": 0.75}], "controlnets": [],
}  # fmt: skip
INVOKE_2: dict[str, Any] = {
    "model_weights": "deliberate", "image": {"prompt": [{"prompt": "a pond [skinny]", "weight": 1.0}], "steps": 50,
    "cfg_scale": 5, "seed": 3, "height": 768, "width": 512, "sampler": "k_heun", "postprocessing": [{"type": "x"}]},
}  # fmt: skip
NOVELAI: dict[str, Any] = {
    "prompt": "{{smile}}, 1.3::fox::", "steps": 23, "height": 1216, "width": 832, "scale": 5, "seed": 4, "uc": "bad",
    "noise_schedule": "karras", "sampler": "k_dpmpp_2m", "strength": 0.4, "v4_prompt": {"caption": {
    "base_caption": "2girls", "char_captions": [{"char_caption": "girl", "centers": [{"x": 0.2}]}]}},
}  # fmt: skip
FOOOCUS: dict[str, Any] = {
    "base_model": "jugger", "clip_skip": 2, "guidance_scale": 4, "lora_combined_1": "offset : 0.1", "prompt": "a field",
    "loras": [["offset", 0.1, "4852"]], "metadata_scheme": "fooocus", "resolution": "(512, 512)", "seed": "127",
    "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "steps": 30, "full_prompt": ["a field"], "styles": "[]",
}  # fmt: skip
SWARM: dict[str, Any] = {
    "prompt": "a head", "model": "flux", "seed": 20, "steps": 25, "cfgscale": 1.0, "width": 512, "sampler": "euler",
    "scheduler": "normal", "fluxguidancescale": 3.5, "loras": ["pixel"], "loraweights": ["0.7"], "used": ["Jaw"],
}  # fmt: skip
DGENERATE = """#! dgenerate 5.0.0
org/name
--model-type sdxl --inference-steps 25
--scheduler "DPMSolverMultistepScheduler;use-karras-sigmas=true"
--loras "pixel-art.safetensors;scale=0.7" --output-size 1024x768 --prompts "a (red) fox; bad art"
"""

TEXTS: tuple[dict[str, str], ...] = (
    *({"parameters": text} for text, *_ in PARAMETERS.values()),
    *({"prompt": json.dumps(graph)} for graph in (GRAPH, *BUNDLED.values())),
    {"workflow": json.dumps(WORKFLOW)},
    {"comment": json.dumps({"prompt": GRAPH, "workflow": WORKFLOW})},
    {"invokeai_metadata": json.dumps(INVOKE)},
    {"sd-metadata": json.dumps(INVOKE_2), "Dream": "x"},
    {"Dream": '"a pond [skinny]" -s 50 -S298 -W512 -H 768 -C5.0 -A k_euler_a -U 4 0.9'},
    {"Software": "NovelAI", "Comment": json.dumps(NOVELAI), "Source": "Stable Diffusion 1D4"},
    {"parameters": json.dumps({"Software": "NovelAI", "Comment": json.dumps(NOVELAI)})},
    {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"},
    {"parameters": json.dumps({"sui_image_params": SWARM})},
    {"DgenerateConfig": DGENERATE},
    {"exif": DRAW_THINGS},
    {
        "parameters": json.dumps(
            {"prompt": "a fox", "steps": 5, "seed": 1, "sampler": "Euler", "loras": [{"name": "x"}]}
        )
    },
)
