"""Measures what a finished model does beside drawing prompts: img2img, inpainting, its ControlNet and its LoRA."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import diffusers
import msgspec
import numpy as np
import numpy.typing as npt
import torch
from msgspec import Struct
from PIL import Image, ImageDraw
from rich.console import Console

from tui.bundled.training.catalogue import Catalogue, read_catalogue
from tui.bundled.training.measures import Bytes
from tui.bundled.training.painter import load_pipeline
from tui.bundled.training.sheets import labelled_sheet
from tui.bundled.training.sprites import decode_sprite, read_sprite_files
from tui.library.folders import make_folder
from tui.protocol.problem import LatenttyError, Problem

FILE: Final = "abilities.json"

STRENGTHS: Final = (0.2, 0.3, 0.5, 0.7, 0.9)

INPAINTED: Final = ("a snowman on grass", "a red mushroom on grass", "a robot on grass")

PIXELATED: Final = (
    "a smiley on a blue background, pixel art",
    "a mushroom in a forest, pixel art",
    "a heart on a yellow background, pixel art",
)

BLOCK: Final = 16
"""Pixels along a side of what pixel art draws in one colour."""

NEAR: Final = 4
"""Pixels that an edge may be away from where it was drawn."""


class Abilities(Struct, frozen=True, kw_only=True):
    """How well each works; decibels are of the peak signal to the noise, more is more alike."""

    img2img: dict[float, float]
    """By strength, how like the picture it began with, in decibels."""
    kept_outside_mask: float
    """How like the picture is outside the inpainted mask, in decibels."""
    kept_inside_mask: float
    """The same inside it; low, as something else is drawn there."""
    edges_with_control: float | None = None
    """The share of drawn edges that the picture has too, 0 to 1."""
    edges_without_control: float | None = None
    """The same with the ControlNet at weight 0."""
    block_variation: dict[float, float] | None = None
    """By the LoRA's weight, the deviation of colours inside blocks, 0 to 255."""


def measure_abilities(
    model: Path, data: Path, out: Path, control: Path | None, lora: Path | None, device: str, console: Console
) -> Abilities:
    """Measure `model`, and `control` and `lora` with it where given; into `out` what was drawn, and the figures.

    Raises:
        LatenttyError: a model cannot be loaded, `data` holds no data, or `out` cannot be written.
    """
    studio = _Studio(load_pipeline(model, device), out)
    try:
        make_folder(out)
        with console.status("img2img and inpainting"):
            likeness, (outside, inside) = studio.img2img(), studio.inpaint()
        followed: tuple[float, float] | tuple[None, None] = (None, None)
        if control is not None:
            with console.status("the ControlNet"):
                followed = studio.follow_edges(control, _frog(data))
        variation = None
        if lora is not None:
            with console.status("the LoRA"):
                variation = studio.pixelate(lora)
        abilities = Abilities(
            img2img=likeness,
            kept_outside_mask=outside,
            kept_inside_mask=inside,
            edges_with_control=followed[0],
            edges_without_control=followed[1],
            block_variation=variation,
        )
        told = msgspec.json.format(msgspec.json.encode(abilities))
        (out / FILE).write_bytes(told)
    except OSError as error:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"The abilities cannot be measured: {error}.", hint="Look at the paths.")
        ) from None
    console.print(told.decode())
    return abilities


class _Studio:
    """The model's parts, in whatever pipeline is needed."""

    def __init__(self, pipeline: Any, out: Path) -> None:
        self._pipeline = pipeline
        self._out = out
        self._house = self._draw(pipeline, "a house on a blue background", 4, guidance=5)

    def img2img(self) -> dict[float, float]:
        """How like the house is what is made of it, by strength."""
        pipeline = self._view(diffusers.StableDiffusionImg2ImgPipeline)
        drawn = [
            self._draw(pipeline, "a castle at sunset", 1, image=self._house, strength=strength)
            for strength in STRENGTHS
        ]
        self._save("img2img", [self._house, *drawn], ["begun with", *(f"strength {one}" for one in STRENGTHS)])
        return {strength: _likeness(one, self._house) for strength, one in zip(STRENGTHS, drawn, strict=True)}

    def inpaint(self) -> tuple[float, float]:
        """How like the picture stays outside the mask and inside it."""
        cat = self._draw(self._pipeline, "a cat on grass", 8, guidance=5)
        mask = Image.new("L", cat.size, 0)
        ImageDraw.Draw(mask).rectangle((60, 60, 200, 240), fill=255)
        pipeline = self._view(diffusers.StableDiffusionInpaintPipeline)
        size = {"height": cat.height, "width": cat.width}
        drawn = [
            self._draw(pipeline, prompt, seed, image=cat, mask_image=mask, strength=1.0, **size)
            for seed, prompt in enumerate(INPAINTED, 1)
        ]
        self._save("inpaint", [cat, mask.convert("RGB"), *drawn], ["begun with", "mask", *INPAINTED])
        kept = np.asarray(mask) < 128
        return (
            float(np.mean([_likeness(one, cat, kept) for one in drawn])),
            float(np.mean([_likeness(one, cat, ~kept) for one in drawn])),
        )

    def follow_edges(self, control: Path, frog: Image.Image) -> tuple[float, float]:
        """The share of drawn edges that pictures have with the ControlNet and with its weight at 0."""
        net = diffusers.ControlNetModel.from_pretrained(control, local_files_only=True).to(self._pipeline.device)
        pipeline = self._view(diffusers.StableDiffusionControlNetPipeline, controlnet=net)
        tasks = (
            (_house_lines(), ("a house on grass", "a house on a pink background")),
            (_umbrella_lines(), ("a red mushroom in a forest", "a purple umbrella on a white background")),
            (_edges(frog, 60, 140), ("a frog on a yellow background", "a panda in the snow")),
            (_edges(self._house, 40, 100), ("a castle at night", "a house on a red background")),
        )
        pictures, labels, shares = [], [], []
        for lines, prompts in tasks:
            pictures.append(lines)
            labels.append("edges")
            for seed, prompt in enumerate(prompts):
                both = [
                    self._draw(pipeline, prompt, seed, guidance=5, image=lines, controlnet_conditioning_scale=weight)
                    for weight in (1.0, 0.0)
                ]
                pictures += both[:1]
                labels.append(prompt)
                shares.append([_followed(lines, one) for one in both])
        self._save("control", pictures, labels)
        with_control, without = np.mean(shares, 0).tolist()
        return with_control, without

    def pixelate(self, lora: Path) -> dict[float, float]:
        """How much colours vary inside blocks, by the LoRA's weight."""
        self._pipeline.load_lora_weights(lora, weight_name="pytorch_lora_weights.safetensors", local_files_only=True)
        names = self._pipeline.get_active_adapters()
        found, pictures, labels = {}, [], []
        for weight in (0.0, 0.5, 1.0):
            self._pipeline.set_adapters(names, [weight] * len(names))
            drawn = [self._draw(self._pipeline, prompt, seed, guidance=4) for seed, prompt in enumerate(PIXELATED)]
            found[weight] = float(np.mean([_block_variation(np.asarray(one)) for one in drawn]))
            pictures += drawn
            labels += [f"weight {weight}"] * len(drawn)
        self._pipeline.unload_lora_weights()
        self._save("lora", pictures, labels)
        return found

    def _view(self, kind: Any, **parts: Any) -> Any:
        pipeline = kind(**self._pipeline.components, **parts, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _draw(self, pipeline: Any, prompt: str, seed: int, guidance: float = 6, **more: Any) -> Image.Image:
        generator = torch.Generator().manual_seed(seed)
        result = pipeline(prompt, num_inference_steps=20, guidance_scale=guidance, generator=generator, **more)
        image: Image.Image = result.images[0]
        return image

    def _save(self, name: str, pictures: Sequence[Image.Image], labels: Sequence[str]) -> None:
        sheet = labelled_sheet([np.asarray(one.convert("RGB")) for one in pictures], labels, 6, 192)
        sheet.save(self._out / f"{name}.png")


def _frog(data: Path) -> Image.Image:
    """The true drawing of a frog on white."""
    catalogue = read_catalogue(data)
    sprite = Image.fromarray(decode_sprite(read_sprite_files(data, catalogue)[_drawing(catalogue, "frog")]))
    canvas = Image.new("RGB", (256, 256), "white")
    sprite = sprite.resize((190, 190))
    canvas.paste(sprite, (33, 33), sprite)
    return canvas


def _drawing(catalogue: Catalogue, name: str) -> int:
    return next(
        place
        for place, drawing in enumerate(catalogue.drawings)
        if drawing.look == "noto" and catalogue.subjects[drawing.subject].names[0] == name
    )


def _house_lines() -> Image.Image:
    lines = Image.new("RGB", (256, 256))
    pen = ImageDraw.Draw(lines)
    pen.polygon([(60, 130), (128, 60), (196, 130)], outline="white", width=3)
    pen.rectangle((75, 130, 181, 215), outline="white", width=3)
    pen.rectangle((112, 165, 144, 215), outline="white", width=3)
    return lines


def _umbrella_lines() -> Image.Image:
    lines = Image.new("RGB", (256, 256))
    pen = ImageDraw.Draw(lines)
    pen.arc((50, 50, 206, 206), 180, 360, fill="white", width=3)
    pen.line((50, 128, 206, 128), fill="white", width=3)
    pen.rectangle((108, 128, 148, 216), outline="white", width=3)
    return lines


def _edges(picture: Image.Image, low: int, high: int) -> Image.Image:
    return Image.fromarray(cv2.Canny(np.asarray(picture.convert("L")), low, high)).convert("RGB")


def _followed(lines: Image.Image, picture: Image.Image) -> float:
    """The share of `lines` that have an edge of `picture` near them, 0 to 1."""
    reach = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    near = cv2.dilate(np.asarray(_edges(picture, 40, 100).convert("L")), reach) > 0
    drawn = np.asarray(lines.convert("L")) > 128
    return float((near & drawn).sum() / drawn.sum())


def _likeness(one: Image.Image, other: Image.Image, where: npt.NDArray[np.bool_] | None = None) -> float:
    """The peak signal-to-noise ratio of two pictures, of the pixels `where` only if given, in decibels."""
    squares = (np.asarray(one, float) - np.asarray(other, float)) ** 2
    error = squares.mean() if where is None else squares[where].mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def _block_variation(picture: Bytes) -> float:
    """The mean deviation of the colours inside blocks, 0 to 255."""
    height, width, _ = picture.shape
    blocks = picture.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).astype(float)
    return float(blocks.std((1, 3)).mean())
