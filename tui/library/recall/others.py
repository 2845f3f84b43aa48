"""InvokeAI, NovelAI, Fooocus and dgenerate: each has a form of its own."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from tui.library.prompt.emphasis import escaped
from tui.library.recall.a1111 import is_parameters, read_a1111
from tui.library.recall.found import Found, listed, number_or

MAX_OPTIONS: Final = 2_000
MAX_SIZE: Final = 64
"""Letters in which a picture's size is told."""


def json_object(text: str) -> dict[str, Any] | None:
    """`text` as a JSON object, if it is one."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# ---- InvokeAI ------------------------------------------------------------------------------------------------------

_INVOKE_WHOLE: Final = {"seed": "seed", "steps": "steps", "width": "width", "height": "height"}
_INVOKE_SILENT: Final = frozenset(
    {"app_version", "generation_mode", "rand_device", "canvas_v2_metadata", "ref_images", "seamless_x", "seamless_y"}
)


def read_invokeai(texts: Mapping[str, str], found: Found) -> str:
    """InvokeAI since 3.0 (`invokeai_metadata`), 2.x (`sd-metadata`), and its first form, a command line (`Dream`)."""
    told = json_object(texts.get("invokeai_metadata", ""))
    if told is not None:
        _invoke_now(told, found)
        return "InvokeAI"
    told = json_object(texts.get("sd-metadata", ""))
    if told is not None and isinstance(told.get("image"), dict):
        _invoke_once(told, found)
        return "InvokeAI"
    if "Dream" in texts:
        return _dream(texts["Dream"], found)
    return ""


_DREAM_LONG: Final = ("-cf", "-ft", "-tm", "-embiggen")
"""Options of one dash and several letters; others have their value after the first."""
_DREAM: Final = {"s": "steps", "S": "seed", "W": "width", "H": "height"}


def _dream(line: str, found: Found) -> str:
    """The command `"prompt" -s50 -S 7 -W512 -C7.5 -Ak_lms`, each option with its value at once or after a space."""
    try:
        words = shlex.split(line)[:MAX_OPTIONS]
    except ValueError:
        return ""
    prompt = words.pop(0) if words and not words[0].startswith("-") else ""
    _dream_prompt(prompt, found)
    while words:
        word = words.pop(0)
        whole = word.startswith("--") or word in _DREAM_LONG
        name, value = (word, "") if whole else (word[:2], word[2:])
        while words and not re.match(r"-[A-Za-z-]", words[0]):
            value = f"{value} {words.pop(0)}".strip()
        match name:
            case "-C":
                found.number("guidance_scale", value)
            case "-A":
                found.scheduler(value)
            case "-f":
                found.number("strength", value)
            case _ if name[1:] in _DREAM:
                found.whole(_DREAM[name[1:]], value)
            case _:
                found.leave(name, value or "on")
    return "InvokeAI"


def _dream_prompt(prompt: str, found: Found) -> None:
    """What stands in square brackets is the negative prompt."""
    found.text("prompt", _of_compel(re.sub(r"\[[^\[\]]*\]", "", prompt).strip()))
    found.text("negative_prompt", " ".join(re.findall(r"\[([^\[\]]*)\]", prompt)))


def _invoke_now(told: dict[str, Any], found: Found) -> None:
    found.text("prompt", _of_compel(told.pop("positive_prompt", "")))
    found.text("negative_prompt", _of_compel(told.pop("negative_prompt", "")))
    for theirs, ours in (("positive_style_prompt", "prompt_2"), ("negative_style_prompt", "negative_prompt_2")):
        style = told.pop(theirs, "")
        if style and style != found.fields.get(ours.removesuffix("_2")):
            found.text(ours, _of_compel(style))
    for theirs, ours in _INVOKE_WHOLE.items():
        found.whole(ours, told.pop(theirs, None))
    found.number("guidance_scale", told.pop("cfg_scale", told.pop("guidance", None)))
    found.number("strength", told.pop("strength", None))
    skipped = told.pop("clip_skip", None)
    if isinstance(skipped, int) and skipped > 0:
        found.whole("clip_skip", skipped + 1)
    scheduler = told.pop("scheduler", "")
    if isinstance(scheduler, str) and scheduler:
        found.scheduler(scheduler)
    found.text("model", _name_of(told.pop("model", None)))
    for lora in listed(told.pop("loras", None)):
        if isinstance(lora, dict):
            found.adapter(_name_of(lora.get("model") or lora.get("lora")), lora.get("weight", 1.0))
    for name, value in told.items():
        if name not in _INVOKE_SILENT and value not in (None, [], {}):
            found.leave(name, _name_of(value) or json.dumps(value))


def _invoke_once(told: dict[str, Any], found: Found) -> None:
    image = told["image"]
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = " ".join(str(one.get("prompt", "")) for one in prompt if isinstance(one, dict))
    if isinstance(prompt, str):
        _dream_prompt(prompt, found)
    for theirs, ours in _INVOKE_WHOLE.items():
        found.whole(ours, image.get(theirs))
    found.number("guidance_scale", image.get("cfg_scale"))
    found.scheduler(str(image.get("sampler", "")))
    found.text("model", told.get("model_weights"))
    for name in ("type", "threshold", "perlin", "postprocessing", "variations", "seamless", "hires_fix"):
        found.leave(name, image.get(name) if image.get(name) not in (False, 0) else None)


def _of_compel(prompt: object) -> str:
    """InvokeAI's weights behind a word or a bracket, `(word)1.2` and `word++`, as ours."""
    if not isinstance(prompt, str):
        return ""
    text = re.sub(r"\(([^()]*)\)(\d+\.?\d*|\.\d+)", r"(\1:\2)", prompt)
    signs = re.compile(r"(?P<what>\([^()]*\)|[\w'-]*\w)(?P<signs>\++|-{2,}|-(?=[\s,.)]|$))")
    return signs.sub(_signed, text)


def _signed(match: re.Match[str]) -> str:
    factor = 1.1 if match["signs"][0] == "+" else 0.9
    what = match["what"].strip("()")
    return f"({what}:{factor ** len(match['signs']):.4g})"


def _name_of(model: object) -> str:
    if isinstance(model, str):
        return model
    if isinstance(model, dict):
        for name in ("name", "model_name", "key"):
            if isinstance(model.get(name), str):
                return str(model[name])
    return ""


# ---- NovelAI -------------------------------------------------------------------------------------------------------

_NOVEL_SILENT: Final = frozenset(
    {
        "n_samples",
        "request_type",
        "signed_hash",
        "legacy",
        "lora_unet_weights",
        "lora_clip_weights",
        "version",
        "sm",
        "sm_dyn",
        "extra_passthrough_testing",
    }
)


def read_novelai(texts: Mapping[str, str], found: Found) -> str:
    """NovelAI: a JSON in `Comment`, and braces for weights."""
    told = json_object(texts.get("Comment", "") or texts.get("comment", ""))
    if told is None or not ("NovelAI" in texts.get("Software", "") or {"uc", "sampler"} <= told.keys()):
        return ""
    base, characters = _captions(told.pop("v4_prompt", None))
    negative, avoided = _captions(told.pop("v4_negative_prompt", None))
    found.text("prompt", _of_novelai(told.pop("prompt", None) or base or texts.get("Description", "")))
    found.text("negative_prompt", _of_novelai(told.pop("uc", "") or negative))
    found.leave("characters", " | ".join(characters))
    found.leave("characters, negative", " | ".join(avoided))
    for name in ("seed", "steps", "width", "height"):
        found.whole(name, told.pop(name, None))
    found.number("guidance_scale", told.pop("scale", None))
    found.number("strength", told.pop("strength", None))
    found.scheduler(str(told.pop("sampler", "")), str(told.pop("noise_schedule", "") or ""))
    found.leave("Source", texts.get("Source", ""))
    for name, value in told.items():
        if name not in _NOVEL_SILENT and value not in (None, False, 0, 0.0, 1.0, [], {}):
            found.leave(name, value if isinstance(value, str) else json.dumps(value))
    return "NovelAI"


def _captions(told: object) -> tuple[str, list[str]]:
    """What its fourth model is told: of the whole picture, and of each character."""
    caption = told.get("caption") if isinstance(told, dict) else None
    if not isinstance(caption, dict):
        return "", []
    listed = caption.get("char_captions")
    texts = [one.get("char_caption") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return str(caption.get("base_caption") or ""), [text for text in texts if isinstance(text, str) and text]


def _of_novelai(prompt: object) -> str:
    """Its weights as ours: `{word}` is 1.05 times as strong, `[word]` divided by it, `1.3::word::` as said."""
    if not isinstance(prompt, str):
        return ""
    text = prompt.replace("(", r"\(").replace(")", r"\)")
    text = re.sub(r"(-?\d+\.?\d*)::(.*?)::", r"(\2:\1)", text, flags=re.DOTALL)
    for _ in range(24):
        before = text
        text = re.sub(r"(\{+)([^{}\[\]]*)(\}+)", lambda m: _braced(m, 1.05), text, count=1)
        text = re.sub(r"(\[+)([^{}\[\]]*)(\]+)", lambda m: _braced(m, 1 / 1.05), text, count=1)
        if text == before:
            break
    return re.sub(r"(?<!\\)([{}\[\]])", r"\\\1", text)


def _braced(match: re.Match[str], factor: float) -> str:
    depth = min(len(match[1]), len(match[3]))
    return match[1][depth:] + f"({match[2]}:{factor**depth:.4g})" + match[3][depth:]


# ---- Fooocus -------------------------------------------------------------------------------------------------------

_FOOOCUS_SILENT: Final = frozenset(
    {"version", "metadata_scheme", "base_model_hash", "full_prompt", "full_negative_prompt", "created_by"}
)


def read_fooocus(texts: Mapping[str, str], found: Found) -> str:
    """Fooocus: a JSON in `parameters`, or A1111's form with its name in another chunk."""
    for name in ("parameters", "exif", "comment", "Comment"):
        told = json_object(texts.get(name, ""))
        if told is not None and ({"base_model", "performance"} & told.keys() or "fooocus_scheme" in texts):
            _fooocus(told, found)
            return "Fooocus"
    if "fooocus_scheme" in texts and is_parameters(texts.get("parameters", "")):
        read_a1111(texts["parameters"], found)
        return "Fooocus"
    return ""


def _fooocus(told: dict[str, Any], found: Found) -> None:
    found.text("prompt", told.pop("prompt", ""))
    found.text("negative_prompt", told.pop("negative_prompt", ""))
    for name in ("seed", "steps", "clip_skip"):
        found.whole(name, told.pop(name, None))
    found.number("guidance_scale", told.pop("guidance_scale", None))
    match = re.search(r"(\d+)\D+(\d+)", str(told.pop("resolution", ""))[:MAX_SIZE])
    if match:
        found.whole("width", match[1])
        found.whole("height", match[2])
    found.scheduler(str(told.pop("sampler", "")), str(told.pop("scheduler", "")))
    found.text("model", told.pop("base_model", ""))
    pairs = [lora for lora in listed(told.pop("loras", None)) if isinstance(lora, list) and len(lora) >= 2]
    for lora in pairs:
        found.adapter(lora[0], lora[1])
    for name in [name for name in told if name.startswith("lora_combined_")]:
        title, _, weight = str(told.pop(name)).rpartition(" : ")
        if not pairs:  # or it is the same once more
            found.adapter(title, weight)
    for name, value in told.items():
        if name not in _FOOOCUS_SILENT and value not in (None, "None", "", [], "[]", "Default (model)"):
            found.leave(name, value if isinstance(value, str) else json.dumps(value))


# ---- whoever writes a plain JSON ------------------------------------------------------------------------------------

_PLAIN_TEXT: Final = {"prompt": "prompt", "negative_prompt": "negative_prompt", "negative": "negative_prompt"}
_PLAIN_WHOLE: Final = {
    "steps": "steps", "num_inference_steps": "steps", "seed": "seed", "width": "width", "height": "height",
    "clip_skip": "clip_skip",
}  # fmt: skip
_PLAIN_NUMBER: Final = {"cfg": "guidance_scale", "guidance_scale": "guidance_scale", "denoise": "strength"}
_PLAIN_MODEL: Final = ("model", "base_model_name")


def read_plain_json(texts: Mapping[str, str], found: Found) -> str:
    """RuinedFooocus, demonstrations on Hugging Face and others: an object of settings by their usual names."""
    for name in ("parameters", "exif", "comment", "Comment"):
        told = {key.lower(): value for key, value in (json_object(texts.get(name, "")) or {}).items()}
        if "prompt" in told and {"steps", "num_inference_steps"} & told.keys():
            _plain(told, found)
            return str(told.get("software") or "a plain JSON")
    return ""


def _plain(told: dict[str, Any], found: Found) -> None:
    if match := re.search(r"(\d+)\D+(\d+)", str(told.get("resolution", ""))[:MAX_SIZE]):
        found.whole("width", match[1])
        found.whole("height", match[2])
    sampler = told.get("sampler_name") or told.get("sampler")
    if isinstance(sampler, str):
        found.scheduler(sampler, str(told.get("scheduler") or ""))
    for name, value in told.items():
        if name in _PLAIN_TEXT:
            found.text(_PLAIN_TEXT[name], value)
        elif name in _PLAIN_WHOLE:
            found.whole(_PLAIN_WHOLE[name], value)
        elif name in _PLAIN_NUMBER:
            found.number(_PLAIN_NUMBER[name], value)
        elif name in _PLAIN_MODEL:
            found.text("model", value)
        elif name not in ("software", "resolution", "sampler", "sampler_name", "scheduler") and "hash" not in name:
            found.leave(name, json.dumps(value) if value and not isinstance(value, str) else value)


# ---- Draw Things ---------------------------------------------------------------------------------------------------

_DRAW_THINGS_SILENT: Final = frozenset({"v2", "lora", "seed_mode", "profile"})


def read_draw_things(texts: Mapping[str, str], found: Found) -> str:
    """Draw Things: a JSON in XMP's user comment, whose prompts are `c` and `uc`."""
    told = json_object(texts.get("exif", ""))
    if told is None or not isinstance(told.get("c"), str) or not {"steps", "sampler"} <= told.keys():
        return ""
    found.text("prompt", told.pop("c"))
    found.text("negative_prompt", told.pop("uc", ""))
    if match := re.fullmatch(r"(\d+)x(\d+)", str(told.pop("size", ""))[:MAX_SIZE]):
        found.whole("width", match[1])
        found.whole("height", match[2])
    for name in ("seed", "steps"):
        found.whole(name, told.pop(name, None))
    found.number("guidance_scale", told.pop("scale", None))
    strength = told.pop("strength", 1)
    if strength != 1:
        found.number("strength", strength)
    found.text("model", told.pop("model", ""))
    found.scheduler(str(told.pop("sampler")))
    more = told.get("v2")
    for lora in listed(told.get("lora") or (more.get("loras") if isinstance(more, dict) else None)):
        if isinstance(lora, dict):
            found.adapter(lora.get("model") or lora.get("file"), lora.get("weight", 1.0))
    for name, value in told.items():
        if name not in _DRAW_THINGS_SILENT:
            found.leave(name, value if isinstance(value, str) else json.dumps(value) if value else None)
    return "Draw Things"


# ---- SwarmUI -------------------------------------------------------------------------------------------------------

_SWARM_SILENT: Final = frozenset(
    {
        *("swarm_version", "date", "generation_time", "aspectratio", "imageformat", "nopreviews", "wildcardseed"),
        *("original_prompt", "images", "seamlesstileable", "vae", "automaticvae"),
    }
)


def read_swarm(texts: Mapping[str, str], found: Found) -> str:
    """SwarmUI: a JSON with `sui_image_params` in `parameters`."""
    for name in ("parameters", "exif", "comment"):
        told = json_object(texts.get(name, ""))
        params = told.get("sui_image_params") if told is not None else None
        if isinstance(params, dict):
            _swarm(dict(params), found)
            return "SwarmUI"
    return ""


def _swarm(told: dict[str, Any], found: Found) -> None:
    found.text("prompt", told.pop("prompt", ""))
    found.text("negative_prompt", told.pop("negativeprompt", ""))
    for name in ("seed", "steps", "width", "height"):
        found.whole(name, told.pop(name, None))
    scale = told.pop("cfgscale", None)
    found.number("guidance_scale", told.pop("fluxguidancescale", scale))
    found.text("model", told.pop("model", ""))
    sampler = told.pop("sampler", "")
    if sampler:
        found.scheduler(str(sampler), str(told.pop("scheduler", "")))
    found.number("strength", told.pop("initimagecreativity", None))
    weights = told.pop("loraweights", None)
    for number, lora in enumerate(listed(told.pop("loras", None))):
        found.adapter(lora, weights[number] if isinstance(weights, list) and number < len(weights) else 1.0)
    for name, value in told.items():
        if name not in _SWARM_SILENT and value not in (None, "", [], False):
            found.leave(name, value if isinstance(value, str) else json.dumps(value))


# ---- dgenerate -----------------------------------------------------------------------------------------------------

_DGENERATE: Final = {
    "--prompts": "prompts", "-p": "prompts", "--seeds": "seed", "-se": "seed", "--inference-steps": "steps",
    "-ifs": "steps", "--guidance-scales": "guidance", "-gs": "guidance", "--output-size": "size", "-s": "size",
    "--scheduler": "scheduler", "--schedulers": "scheduler", "-sch": "scheduler", "--loras": "loras", "-lra": "loras",
    "--clip-skips": "clip", "-cs": "clip", "--image-seed-strengths": "strength", "-iss": "strength",
    "--second-prompts": "second", "--sdxl-second-prompts": "second",
}  # fmt: skip


def read_dgenerate(texts: Mapping[str, str], found: Found) -> str:
    """dgenerate: a script of its own in `DgenerateConfig`, or in a JPEG's comment."""
    script = texts.get("DgenerateConfig", "") or texts.get("exif", "")
    if not ("DgenerateConfig" in texts or re.match(r"#!\s*dgenerate", script)):
        return ""
    lines = [
        line
        for line in script.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith(("#", "\\"))
    ]
    options = " ".join(re.sub(r"\s*\n\s*(?=-)", " ", "\n".join(lines)).splitlines())
    try:
        words = shlex.split(options, comments=False)[:MAX_OPTIONS]
    except ValueError as error:
        found.leave("script", f"{options} ({error})")
        return "dgenerate"
    _options(words, found)
    return "dgenerate"


def _options(words: list[str], found: Found) -> None:
    if words and not words[0].startswith("-"):
        found.text("model", words.pop(0))
    place = 0
    while place < len(words):
        option, values = words[place], []
        place += 1
        while place < len(words) and not re.match(r"--?[a-zA-Z]", words[place]):
            values.append(words[place])
            place += 1
        _option(option, values, found)


def _option(option: str, values: list[str], found: Found) -> None:
    first = values[0] if values else ""
    match _DGENERATE.get(option):
        case "prompts" | "second" as which:
            prompt, _, negative = first.partition(";")
            suffix = "_2" if which == "second" else ""
            found.text(f"prompt{suffix}", escaped(prompt.strip()))
            found.text(f"negative_prompt{suffix}", escaped(negative.strip()))
        case "seed" | "steps" as field:
            found.whole(field, first)
        case "guidance":
            found.number("guidance_scale", first)
        case "strength":
            found.number("strength", first)
        case "clip":
            found.whole("clip_skip", number_or(first, 0) + 1)
        case "scheduler":
            _dgenerate_scheduler(first, found)
        case "size":
            width, _, height = first.partition("x")
            found.whole("width", width)
            found.whole("height", height or width)
        case "loras":
            for lora in values:
                name, *details = lora.split(";")
                scale = next((one.split("=", 1)[1] for one in details if one.strip().startswith("scale=")), "1")
                found.adapter(name, scale)
        case _:
            found.leave(option, " ".join(values) or "on")
    for further in values[1:] if _DGENERATE.get(option) not in (None, "loras") else []:
        found.leave(f"{option}, further", further)


def _dgenerate_scheduler(written: str, found: Found) -> None:
    name, *further = written.split(";")
    karras = any(one.replace("_", "-").lower() == "use-karras-sigmas=true" for one in further)
    found.scheduler(name, "karras" if karras else "")
