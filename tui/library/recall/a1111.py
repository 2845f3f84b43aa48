"""The `parameters` text of A1111, Forge, SD.Next and all that write it: prompt, negative prompt, a line of settings.

Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `parse_generation_parameters`.
"""

import json
import re
from typing import Final

from tui.library.recall.found import Found, number_of

_PARAMETER = re.compile(
    r"\s*(?P<name>[\w \-/:]+?):\s*"
    r'(?P<value>"(?:\\.|[^\\"])*"|[\[{].*?[\]}](?=\s*$|,\s*[A-Z][\w \-/]*:)|[^,]*)(?:,|$)'
)
_SETTINGS = re.compile(r"\s*Steps:\s*\d+")
_TEMPLATES = re.compile(r"(?P<name>Template|Negative Template):\s*(?P<value>.*)")
"""What the extension dynamic-prompts writes behind the settings."""
_SIZE = re.compile(r"(?P<width>\d+)\s*[x×]\s*(?P<height>\d+)")
CPP: Final = "stable-diffusion.cpp"
NEGATIVE: Final = "Negative prompt:"

_SILENT: Final = frozenset(
    {
        *("Version", "App", "Backend", "Parser", "User", "Model hash", "VAE hash", "Lora hashes", "TI", "TI hashes"),
        *("Hashes", "Created Date", "Civitai metadata", "Operations", "Pipeline", "SDCPP"),
    }
)
"""What is told and means nothing to a job."""


def is_parameters(text: str) -> bool:
    """Whether `text` is of this form."""
    return re.search(r"(?:^|\n)\s*Steps:\s*\d+", text) is not None or "\nNegative prompt:" in text


def read_a1111(text: str, found: Found) -> str:
    """Fill `found` from `text`; the program that wrote it."""
    prompt, negative, line, behind = _parts(text)
    found.text("prompt", prompt)
    found.text("negative_prompt", negative)
    told = {match["name"].strip(): _unquoted(match["value"].strip()) for match in _PARAMETER.finditer(line)}
    sampler, schedule = told.pop("Sampler", ""), told.pop("Schedule type", told.pop("Schedule", ""))
    if sampler:
        found.scheduler(sampler, schedule)
    if _program(told) == CPP:
        _of_cpp(told, found)
    _size(told, found)
    if any(name.startswith("Hires") for name in told):  # it is then of the second pass, over a larger picture
        found.leave("Denoising strength", told.pop("Denoising strength", ""))
    for name, value in told.items():
        _take(name, value, found)
    for name, value in behind.items():
        found.leave(name, value)
    return _program(told)


def _parts(text: str) -> tuple[str, str, str, dict[str, str]]:
    """Prompt, negative prompt, the line of settings, and what stands behind it."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    line, behind = "", []
    at = next((number for number in range(len(lines) - 1, -1, -1) if _SETTINGS.match(lines[number])), None)
    if at is not None:
        line, behind, lines = lines[at], lines[at + 1 :], lines[:at]
    elif len(_PARAMETER.findall(lines[-1])) >= 3:
        line = lines.pop()
    prompt: list[str] = []
    negative: list[str] | None = None
    for one in lines:
        if negative is None and one.strip().startswith(NEGATIVE):
            negative = [one.strip()[len(NEGATIVE) :].strip()]
        elif negative is not None:
            negative.append(one)
        else:
            prompt.append(one)
    return "\n".join(prompt).strip(), "\n".join(negative or []).strip(), *_told_in(line, behind)


def _told_in(line: str, behind: list[str]) -> tuple[str, dict[str, str]]:
    """The settings, which may go on in further lines, and the templates behind them."""
    templates: dict[str, str] = {}
    name = ""
    for one in behind:
        if match := _TEMPLATES.match(one):
            name = match["name"]
            templates[name] = match["value"]
        elif name:
            templates[name] += f"\n{one}"
        else:
            line += f" {one.strip()}"
    return line, templates


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _size(told: dict[str, str], found: Found) -> None:
    match = _SIZE.fullmatch(told.pop("Size", "").strip())
    if match:
        found.whole("width", match["width"])
        found.whole("height", match["height"])
    else:
        found.whole("width", told.pop("Size-1", None))
        found.whole("height", told.pop("Size-2", None))


def _take(name: str, value: str, found: Found) -> None:
    match name:
        case "Steps":
            found.whole("steps", value, name)
        case "CFG scale" | "CFG Scale" | "Distilled CFG Scale" | "Guidance scale":
            _guidance(name, value, found)
        case "Seed":
            found.whole("seed", value, name)
        case "Model":
            found.text("model", value)
        case "Clip skip" | "CLIP skip":
            found.whole("clip_skip", value, name)
        case "Denoising strength" | "Denoise strength":
            found.number("strength", value, name)
        case "Mask blur":
            found.whole("mask_blur", value, name)
        case "VAE":
            found.leave(name, "" if value in ("Automatic", "None") else value)
        case "Second prompt":
            found.text("prompt_2", value)
        case "Second negative":
            found.text("negative_prompt_2", value)
        case _ if name in _SILENT:
            pass
        case _:
            found.leave(name, value)


def _guidance(name: str, value: str, found: Found) -> None:
    """Forge tells two of FLUX.1; the distilled one is what the model is told."""
    if name == "Distilled CFG Scale" and found.fields.get("guidance_scale") not in (None, 1, 1.0):
        found.leave(name, value)
    elif name != "Distilled CFG Scale" and "guidance_scale" in found.fields:
        found.leave(name, value if value not in ("1", "1.0") else "")
    else:
        found.number("guidance_scale", value, name)


def _of_cpp(told: dict[str, str], found: Found) -> None:
    """What stable-diffusion.cpp says in its own way: a transformer beside the model, and a second guidance.

    That one is always there, and FLUX.1 dev and FLUX.2 dev alone are told it.
    """
    unet, guidance = told.pop("Unet", ""), told.pop("Guidance", "")
    told["Model"] = told.get("Model") or unet
    if re.search(r"flux(?!.*(?:klein|schnell))", told["Model"].lower()) and number_of(told.get("CFG scale")) == 1:
        told["CFG scale"] = guidance
    else:
        found.leave("Guidance", guidance)


def _program(told: dict[str, str]) -> str:
    version = told.get("Version", "")
    if "SD.Next" in told.get("App", "") or "SD.Next" in version:
        return "SD.Next"
    if version.startswith("Latentty"):
        return "Latentty"
    if version.startswith(CPP):
        return CPP
    if version.startswith("ComfyUI"):
        return "ComfyUI"
    if re.match(r"f\d|forge|neo|classic", version, re.IGNORECASE):
        return "Forge"
    return "A1111"
