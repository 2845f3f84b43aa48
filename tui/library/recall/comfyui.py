"""ComfyUI: the API graph in `prompt`, or the editor's `workflow`, read from the sampler backwards.

Nodes are recognised by what they are connected to, not by their names alone, so that custom samplers work too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.library.recall.found import Found
from tui.library.recall.lora_stacks import loras_of
from tui.library.recall.workflow import MAX_NODES, nodes_of_workflow

MAX_DEPTH: Final = 64

Node = dict[str, Any]
"""`class_type` and `inputs`; an input that is a list of two names a node and one of its outputs."""

MAX_LEFT: Final = 40
"""Kinds of nodes of which is told what fits no field."""

_EMBEDDING: Final = re.compile(r"\bembedding:([\w.-]+?)(?:\.(?:pt|bin|safetensors))?(?![\w.-])")
"""How an embedding is called, which has its bare name in our prompts."""
_DIMENSIONS: Final = re.compile(r"\s*(?P<width>\d+)\s*x\s*(?P<height>\d+)")
_ENCODERS: Final = (("text_l", "clip_l"), ("text_g", "clip_g", "t5xxl"))
"""The texts of the first and the second text encoder."""
_TEXT_INPUTS: Final = ("text", "prompt", "string", "value", "populated_text", "wildcard_text")
_PROMPTS_INPUTS: Final = ("text", "prompt", "populated_text", "wildcard_text")
"""The same, where a node is not known to be a text encoder."""
_VALUES: Final = (
    *("seed", "noise_seed", "value", "int", "float", "number", "Number", "text", "Text", "string", "STRING", "String"),
    *("populated_text", "wildcard_text", "prompt", "multiline_text", "positive", "negative"),
)
"""The inputs of nodes that stand for one value."""
_BUNDLES: Final = ("pipe", "base_ctx", "sdxl_tuple")
"""The inputs through which a node is given all that others hold, of Easy-Use, rgthree and Efficiency."""
_SIZES: Final = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
_PRINTED_SIZES: Final = ("dimensions", "resolution")
_OF_THE_EDITOR: Final = frozenset(
    {"control_after_generate", "filename_prefix", "upload", "choose file to upload", "batch_size"}
)
"""Inputs that say nothing about the picture."""
_NOT_OF_THE_MAKING: Final = frozenset({"Note", "MarkdownNote", "SaveImage", "PreviewImage", "SaveAnimatedWEBP"})
_USUAL: Final = frozenset({("denoise", 1), ("add_noise", "enable"), ("start_at_step", 0), ("end_at_step", 10000)})
"""Values that a job has without being told."""


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
        nodes = {name: node for name, node in (_object(text) or {}).items() if _is_node(node)}
        if nodes:
            return nodes
    for text in _candidates(texts, "workflow"):
        workflow = _object(text)
        if workflow and isinstance(workflow.get("nodes"), list):
            return nodes_of_workflow(workflow)
    return None


def _is_node(node: object) -> bool:
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict) and isinstance(node.get("class_type"), str)


def _candidates(texts: Mapping[str, str], name: str) -> Iterator[str]:
    """PNG has chunks of that name; WEBP has it in EXIF tags, after the name and a colon; sites, as the only text."""
    if name in texts:
        yield texts[name]
    for text in texts.values():
        if text[: len(name) + 1].lower() == f"{name}:":
            yield text[len(name) + 1 :]
        elif text.lstrip().startswith("{"):
            both = _object(text) or {}  # both graphs, or the one
            one = both.get(name, both)
            yield one if isinstance(one, str) else json.dumps(one)


def _object(text: str) -> dict[str, Any] | None:
    try:
        # ComfyUI writes NaN where a node was changed
        value = json.loads(text.strip("\0 \n"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and len(value) <= MAX_NODES else None


def _bundle(inputs: dict[str, Any]) -> object:
    """The link through which a node is given what it has no input for."""
    return next((inputs[name] for name in _BUNDLES if name in inputs), None)


def _samples(inputs: dict[str, Any]) -> bool:
    """Whether a node with these inputs is a sampler, or tells one that follows what to do."""
    if {"guider", "sigmas"} <= inputs.keys():
        return True
    fed = "positive" in inputs or ("sampler_name" in inputs and any(name in inputs for name in _BUNDLES))
    return fed and bool({"seed", "noise_seed"} & inputs.keys())


class _Reader:
    def __init__(self, nodes: dict[str, Node], found: Found) -> None:
        self._nodes = nodes
        self._found = found
        self._told: set[tuple[int, str]] = set()
        """The inputs that fields of a job were made of, by the node's inputs and their name."""
        self._values = 0
        """How many nodes were asked for theirs; a few that join each other's texts stand for any number."""

    def read(self) -> None:
        sampler = self._sampler()
        if sampler is None:
            self._found.leave("graph", "no sampler was found in it")
        else:
            inputs = sampler["inputs"]
            self._settings(inputs)
            self._prompts(inputs)
            self._size(inputs)
            self._model(inputs)
        self._rest()

    def _sampler(self) -> Node | None:
        """The sampler; of several, the one that comes first in the making, from an empty latent."""
        candidates = [node for node in self._nodes.values() if _samples(node["inputs"])]
        plain = [node for node in candidates if self._empty(node["inputs"]) is not None]
        return next(iter(plain or candidates), None)

    # ---- values ------------------------------------------------------------------------------------------------

    def _node(self, link: object) -> Node | None:
        if isinstance(link, list) and len(link) == 2:
            return self._nodes.get(str(link[0]))
        return None

    def _take(self, inputs: dict[str, Any], *names: str, depth: int = 0) -> object:
        """The first of `names` that is among `inputs`: as it is, or what the node that gives it holds."""
        name = next((one for one in names if one in inputs), "")
        self._told.add((id(inputs), name))
        return self._value(inputs.get(name), depth, name)

    def _value(self, value: object, depth: int, name: str) -> object:
        """`value`, or what the node holds that it is a link to; of a node that holds many values, the one so called."""
        node = self._bundled(self._node(value), name)
        if node is None or depth > MAX_DEPTH or self._values > MAX_NODES:
            return None if isinstance(value, list) else value
        self._values += 1
        given = node["inputs"]
        if {"string_a", "string_b"} <= given.keys():  # two texts as one
            parts = [self._take(given, name, depth=depth + 1) for name in ("string_a", "string_b")]
            return str(self._take(given, "delimiter", depth=depth + 1) or "").join(
                part for part in parts if isinstance(part, str)
            )
        return self._take(given, *((name,) if name in given else _VALUES), depth=depth + 1)

    def _bundled(self, node: Node | None, *names: str) -> Node | None:
        """`node`, or the one before it that gave it one of `names` among all that it hands on."""
        for _ in range(MAX_DEPTH):
            if node is None or any(name in node["inputs"] for name in names):
                break
            bundle = _bundle(node["inputs"])
            if bundle is None:
                break
            node = self._node(bundle)
        return node

    def _upwards(self, link: object, side: str = "", seen: set[str] | None = None, depth: int = 0) -> Iterator[Node]:
        """The nodes that `link` depends on, nearest first, along one `side` where a node has both."""
        seen = set() if seen is None else seen
        node = self._node(link)
        if node is None or depth > MAX_DEPTH or (isinstance(link, list) and str(link[0]) in seen):
            return
        assert isinstance(link, list)
        seen.add(str(link[0]))
        yield node
        if node["class_type"] == "ConditioningZeroOut" and side:
            return  # what it is given says only how long it is
        given = node["inputs"]
        both = {"positive", "negative"} <= given.keys() and side
        for name, value in given.items():
            if not (both and name in ("positive", "negative") and name != side):
                yield from self._upwards(value, side, seen, depth + 1)

    # ---- what they mean ----------------------------------------------------------------------------------------

    def _settings(self, inputs: dict[str, Any]) -> None:
        found = self._found
        places = [inputs]
        for name in ("guider", "sigmas", "sampler", "noise"):  # the advanced sampler has these as nodes
            node = self._node(inputs.get(name))
            places += [node["inputs"]] if node else []

        def take(*names: str) -> object:
            held = next((one for one in places if any(name in one for name in names)), {})
            return self._take(held, *names)

        found.whole("seed", take("seed", "noise_seed"))
        found.whole("steps", take("steps"))
        found.number("guidance_scale", take("cfg", "cfg_conds"))
        sampler, schedule = take("sampler_name"), take("scheduler")
        if isinstance(sampler, str):
            found.scheduler(sampler.removeprefix("sample_"), schedule if isinstance(schedule, str) else "")
        denoise = take("denoise")
        if isinstance(denoise, int | float) and denoise < 1:
            found.number("strength", denoise)

    def _prompts(self, inputs: dict[str, Any]) -> None:
        bundle = _bundle(inputs)
        positive, negative = inputs.get("positive", bundle), inputs.get("negative", bundle)
        guider = self._node(inputs.get("guider"))
        if guider is not None:
            given = guider["inputs"]
            positive = next((given[name] for name in ("positive", "cond1", "conditioning") if name in given), None)
            negative = given.get("negative")
        for side, link in (("positive", positive), ("negative", negative)):
            field = "prompt" if side == "positive" else "negative_prompt"
            texts = list(dict.fromkeys(self._texts(link, side)))
            for name, text in zip((field, f"{field}_2"), texts[0] if texts else (), strict=False):
                self._found.text(name, _EMBEDDING.sub(r"\1", text))
            if len(texts) > 1:
                self._found.leave(f"{field}, further texts", " | ".join(text for both in texts[1:] for text in both))
        for node in self._upwards(positive, "positive"):
            if "guidance" in node["inputs"]:
                self._found.number("guidance_scale", self._take(node["inputs"], "guidance"))

    def _texts(self, link: object, side: str) -> Iterator[tuple[str, ...]]:
        """The texts that a conditioning is made of, nearest first; two where each encoder has its own."""
        for node in self._upwards(link, side):
            given = node["inputs"]
            held = self._take(given, side) if {"positive", "negative"} <= given.keys() else None
            if isinstance(held, str) and held.strip():  # a loader that has both
                yield (held,)
            if "loras" in given:  # its text is their tags
                continue
            encodes = "clip" in given or "Encode" in str(node.get("class_type", ""))
            texts = [self._text(given, *names) for names in _ENCODERS]
            texts += [self._text(given, name) for name in (_TEXT_INPUTS if encodes else _PROMPTS_INPUTS)]
            if any(texts):
                yield tuple(dict.fromkeys(text for text in texts if text))

    def _text(self, inputs: dict[str, Any], *names: str) -> str:
        text = self._take(inputs, *names) if any(name in inputs for name in names) else None
        return text if isinstance(text, str) and text.strip() else ""

    def _empty(self, inputs: dict[str, Any]) -> Node | None:
        """The empty latent that a sampler begins with, or the loader that makes one."""
        names = ("latent_image", "latent", "image_to_latent")
        node = self._node(next((inputs[name] for name in names if name in inputs), _bundle(inputs)))
        sizes = [name for pair in _SIZES for name in pair]
        node = self._bundled(node, "latent", "samples", *_PRINTED_SIZES, *sizes)
        if node is not None and "latent" in node["inputs"]:  # one that hands on what it was given
            node = self._node(node["inputs"]["latent"])
        if node is None or "samples" in node["inputs"]:  # what makes another latent larger has a size, too
            return None
        given = node["inputs"]
        sized = any(name in given for name in _PRINTED_SIZES) or any(set(pair) <= given.keys() for pair in _SIZES)
        return node if sized else None

    def _size(self, inputs: dict[str, Any]) -> None:
        node = self._empty(inputs)
        if node is None:
            return
        given = node["inputs"]
        for printed in _PRINTED_SIZES:
            match = _DIMENSIONS.match(str(given.get(printed, "")))
            self._told.add((id(given), printed))
            if match is not None:
                self._told |= {(id(given), name) for pair in _SIZES for name in pair}
                given = match.groupdict()
                break
        pair = next((pair for pair in _SIZES if set(pair) <= given.keys()), ())
        for name, theirs in zip(("width", "height"), pair, strict=False):
            self._found.whole(name, self._take(given, theirs))

    def _model(self, inputs: dict[str, Any]) -> None:
        guider = self._node(inputs.get("guider"))
        link = inputs.get("model", guider["inputs"].get("model") if guider else None)
        for node in self._upwards(_bundle(inputs) if link is None else link):
            given = node["inputs"]
            for name in ("ckpt_name", "unet_name", "base_ckpt_name"):
                if name in given and "model" not in self._found.fields:
                    self._found.text("model", self._take(given, name))
            loras, told = loras_of(given)
            self._told |= {(id(given), name) for name in told}
            for lora in loras:
                weights = (self._value(one, 0, "strength") for one in (lora.weight, lora.text_weight))
                self._found.adapter(self._value(lora.name, 0, "lora_name"), *weights)
            for name in ("clip_skip", "base_clip_skip"):
                if isinstance(given.get(name), int) and given[name] < 0:
                    self._found.whole("clip_skip", -given[name])
                    self._told.add((id(given), name))
        for node in self._nodes.values():
            if isinstance(node["inputs"].get("stop_at_clip_layer"), int):
                self._found.whole("clip_skip", -node["inputs"]["stop_at_clip_layer"])
                self._told.add((id(node["inputs"]), "stop_at_clip_layer"))

    def _rest(self) -> None:
        """What else the nodes were told, by their kinds; a list of hundreds would help nobody."""
        names: dict[str, int] = {}
        for node in self._nodes.values():
            given = node["inputs"]
            kind = str(node.get("class_type", "")) or "node"
            kind = "VAE" if kind == "VAELoader" else kind
            loras, of_loras = loras_of(given)
            switched_off = frozenset(() if loras else of_loras)
            left = {
                name: value
                for name, value in given.items()
                if isinstance(value, str | int | float)
                and value not in ("", "default", "disable", "None", "Baked VAE", "CHOOSE")
                and name not in _OF_THE_EDITOR | switched_off
                and (id(given), name) not in self._told
                and (name, value) not in _USUAL
            }
            if not left or kind in _NOT_OF_THE_MAKING or len(names) >= MAX_LEFT:
                continue
            number = names[kind] = names.get(kind, 0) + 1
            told = next(iter(left.values())) if len(left) == 1 else ", ".join(f"{n} {v}" for n, v in left.items())
            self._found.leave(kind if number == 1 else f"{kind} {number}", told)
