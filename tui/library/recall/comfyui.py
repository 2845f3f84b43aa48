"""ComfyUI: the API graph in `prompt`, or the editor's `workflow`, read from the sampler backwards.

Nodes are recognised by what they are connected to, not by their names alone, so that custom samplers work too.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.library.recall.found import Found

MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 64

Node = dict[str, Any]
"""`class_type` and `inputs`; an input that is a list of two names a node and one of its outputs."""

_TEXT_INPUTS: Final = (
    *("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "string", "value"),
    *("populated_text", "wildcard_text"),
)
_VALUES: Final = (
    *("seed", "noise_seed", "value", "int", "float", "number", "Number", "text", "string", "STRING", "String"),
    *("populated_text", "wildcard_text", "prompt", "multiline_text"),
)
"""The inputs of nodes that stand for one value."""
_LORA_TYPES: Final = ("LoraLoader", "LoraLoaderModelOnly", "Power Lora Loader (rgthree)")
_WIDGETS: Final[dict[str, tuple[str, ...]]] = {
    "KSampler": ("seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler",
        "start_at_step", "end_at_step", "return_with_leftover_noise",
    ),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UnetLoaderGGUF": ("unet_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "VAELoader": ("vae_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "FluxGuidance": ("guidance",),
    "RandomNoise": ("noise_seed", "control_after_generate"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
}  # fmt: skip
"""What the values of a workflow's node are, in their order; the API graph names them itself."""


def read_comfyui(texts: Mapping[str, str], found: Found) -> str:
    """Fill `found` from ComfyUI's graphs; "" when the file has none."""
    graph = _graph(texts)
    if graph is None:
        return ""
    reader = _Reader(graph, found)
    reader.read()
    return "ComfyUI"


def _graph(texts: Mapping[str, str]) -> dict[str, Node] | None:
    for text in _candidates(texts, "prompt"):
        graph = _object(text)
        if graph and all(isinstance(node, dict) for node in graph.values()):
            nodes = {name: node for name, node in graph.items() if isinstance(node.get("inputs"), dict)}
            if nodes and any(isinstance(node.get("class_type"), str) for node in nodes.values()):
                return nodes
    for text in _candidates(texts, "workflow"):
        workflow = _object(text)
        if workflow and isinstance(workflow.get("nodes"), list):
            return _from_workflow(workflow)
    return None


def _candidates(texts: Mapping[str, str], name: str) -> Iterator[str]:
    """PNG has chunks of that name; WEBP has it in EXIF tags, after the name and a colon."""
    if name in texts:
        yield texts[name]
    for text in texts.values():
        if text[: len(name) + 1].lower() == f"{name}:":
            yield text[len(name) + 1 :]
        elif text.lstrip().startswith("{") and name in (both := _object(text) or {}):  # both graphs in one text
            yield both[name] if isinstance(both[name], str) else json.dumps(both[name])


def _object(text: str) -> dict[str, Any] | None:
    try:
        # ComfyUI writes NaN where a node was changed
        value = json.loads(text.strip("\0 \n"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and len(value) <= MAX_NODES else None


def _from_workflow(workflow: dict[str, Any]) -> dict[str, Node]:
    """The editor's graph in the API's form, as far as its nodes are known."""
    links = {
        link[0]: [str(link[1]), link[2]]
        for link in workflow.get("links", [])
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[0], int)
    }
    nodes: dict[str, Node] = {}
    for node in workflow["nodes"][:MAX_NODES]:
        if not isinstance(node, dict) or node.get("mode") in (2, 4):  # muted, bypassed
            continue
        kind = str(node.get("type", ""))
        inputs: dict[str, Any] = {}
        for entry in node.get("inputs") or []:
            if isinstance(entry, dict) and entry.get("link") in links:
                inputs[str(entry.get("name"))] = links[entry["link"]]
        values = node.get("widgets_values")
        if isinstance(values, dict):
            inputs = values | inputs
        elif isinstance(values, list):
            named = dict(zip(_WIDGETS.get(kind, ("text",) if len(values) == 1 else ()), values, strict=False))
            inputs = named | inputs
        nodes[str(node.get("id"))] = {"class_type": kind, "inputs": inputs}
    return nodes


class _Reader:
    def __init__(self, nodes: dict[str, Node], found: Found) -> None:
        self._nodes = nodes
        self._found = found

    def read(self) -> None:
        sampler = self._sampler()
        if sampler is None:
            self._found.leave("graph", "no sampler was found in it")
            return
        inputs = sampler["inputs"]
        self._settings(inputs)
        self._prompts(inputs)
        self._size(inputs)
        self._model(inputs)
        self._rest()

    def _sampler(self) -> Node | None:
        """The sampler; of several, the one that comes first in the making, from an empty latent."""
        candidates = [
            node
            for node in self._nodes.values()
            if ("positive" in node["inputs"] and {"seed", "noise_seed"} & node["inputs"].keys())
            or {"guider", "sigmas"} <= node["inputs"].keys()
        ]
        plain = [node for node in candidates if self._empty(node["inputs"]) is not None]
        return next(iter(plain or candidates), None)

    def _node(self, link: object) -> Node | None:
        if isinstance(link, list) and len(link) == 2:
            return self._nodes.get(str(link[0]))
        return None

    def _value(self, value: object, depth: int = 0) -> object:
        """A value as it is, or what the node that gives it holds."""
        node = self._node(value)
        if node is None or depth > MAX_DEPTH:
            return None if isinstance(value, list) else value
        if {"string_a", "string_b"} <= node["inputs"].keys():  # two texts as one
            parts = [self._value(node["inputs"][name], depth + 1) for name in ("string_a", "string_b")]
            return str(node["inputs"].get("delimiter", "")).join(part for part in parts if isinstance(part, str))
        for name in _VALUES:
            if name in node["inputs"]:
                return self._value(node["inputs"][name], depth + 1)
        return None

    def _settings(self, inputs: dict[str, Any]) -> None:
        found = self._found
        gathered = dict(inputs)
        for name in ("guider", "sigmas", "sampler", "noise"):  # the advanced sampler has these as nodes
            node = self._node(inputs.get(name))
            gathered = (node["inputs"] if node else {}) | gathered
        found.whole("seed", self._value(gathered.get("seed", gathered.get("noise_seed"))))
        found.whole("steps", self._value(gathered.get("steps")))
        found.number("guidance_scale", self._value(gathered.get("cfg")))
        sampler, schedule = self._value(gathered.get("sampler_name")), self._value(gathered.get("scheduler"))
        if isinstance(sampler, str):
            found.scheduler(sampler, schedule if isinstance(schedule, str) else "")
        denoise = self._value(gathered.get("denoise"))
        if isinstance(denoise, int | float) and denoise < 1:
            found.number("strength", denoise)

    def _prompts(self, inputs: dict[str, Any]) -> None:
        positive, negative = inputs.get("positive"), inputs.get("negative")
        guider = self._node(inputs.get("guider"))
        if guider is not None:
            positive = guider["inputs"].get("positive", guider["inputs"].get("conditioning"))
            negative = guider["inputs"].get("negative")
        for field, link in (("prompt", positive), ("negative_prompt", negative)):
            texts = list(dict.fromkeys(self._texts(link, set(), field.removesuffix("prompt").strip("_") or "positive")))
            if texts:
                self._found.text(field, texts[0])
            if len(texts) > 1:
                self._found.leave(f"{field}, further texts", " | ".join(texts[1:]))
        for node in self._upwards(positive, set()):
            if node["class_type"] == "FluxGuidance" or "guidance" in node["inputs"]:
                self._found.number("guidance_scale", self._value(node["inputs"].get("guidance")))

    def _texts(self, link: object, seen: set[str], side: str) -> Iterator[str]:
        """The texts that a conditioning is made of, nearest first; loaders that hold both have one on each `side`."""
        for node in self._upwards(link, seen):
            held = self._value(node["inputs"].get(side)) if {"positive", "negative"} <= node["inputs"].keys() else None
            if isinstance(held, str) and held.strip():
                yield held
            if "clip" in node["inputs"] or "Encode" in str(node.get("class_type", "")):
                for name in _TEXT_INPUTS:
                    text = self._value(node["inputs"].get(name)) if name in node["inputs"] else None
                    if isinstance(text, str) and text.strip():
                        yield text

    def _upwards(self, link: object, seen: set[str], depth: int = 0) -> Iterator[Node]:
        node = self._node(link)
        if node is None or depth > MAX_DEPTH or (isinstance(link, list) and str(link[0]) in seen):
            return
        assert isinstance(link, list)
        seen.add(str(link[0]))
        yield node
        for value in node["inputs"].values():
            yield from self._upwards(value, seen, depth + 1)

    def _empty(self, inputs: dict[str, Any]) -> Node | None:
        """The empty latent that a sampler begins with."""
        link = inputs.get("latent_image", inputs.get("latent"))
        node = self._node(link)
        # what makes another latent larger has them, too
        if node is not None and {"width", "height"} <= node["inputs"].keys() and "samples" not in node["inputs"]:
            return node
        return None

    def _size(self, inputs: dict[str, Any]) -> None:
        node = self._empty(inputs)
        if node is None:
            return
        for name in ("width", "height"):
            self._found.whole(name, self._value(node["inputs"][name]))

    def _model(self, inputs: dict[str, Any]) -> None:
        guider = self._node(inputs.get("guider"))
        link = inputs.get("model", guider["inputs"].get("model") if guider else None)
        for node in self._upwards(link, set()):
            given = node["inputs"]
            for name in ("ckpt_name", "unet_name"):
                if name in given and "model" not in self._found.fields:
                    self._found.text("model", self._value(given[name]))
            if isinstance(given.get("lora_name"), str):
                weight = given.get("strength_model", 1.0)
                self._found.adapter(given["lora_name"], weight, given.get("strength_clip", weight))
            for name, value in given.items():  # rgthree's loader: several in one node
                if name.lower().startswith("lora_") and isinstance(value, dict) and value.get("on"):
                    self._found.adapter(value.get("lora"), value.get("strength", 1.0), value.get("strengthTwo"))

    def _rest(self) -> None:
        for node in self._nodes.values():
            given = node["inputs"]
            if isinstance(given.get("stop_at_clip_layer"), int):
                self._found.whole("clip_skip", -given["stop_at_clip_layer"])
            if isinstance(given.get("vae_name"), str):
                self._found.leave("VAE", given["vae_name"])
            for name in ("control_net_name", "upscale_model", "model_name", "style_model_name", "ipadapter_file"):
                if isinstance(given.get(name), str):
                    self._found.leave(str(node.get("class_type", name)), given[name])
