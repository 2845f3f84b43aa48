"""Pictures become bytes on the GPU: a quarter of the data crosses the bus, and the host converts nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from tui.worker.conditioning import replaced


@contextmanager
def finished_on_device(pipeline: Any) -> Iterator[None]:
    """While inside, pictures that lie on a GPU are made bytes there: the same bytes that diffusers makes."""
    processor: Any = getattr(pipeline, "image_processor", None)
    if type(processor) is not VaeImageProcessor or not processor.config.do_normalize:
        yield
        return
    usual = processor.postprocess

    def postprocess(image: Any, output_type: str = "pil", do_denormalize: list[bool] | None = None) -> Any:
        plain = do_denormalize is None or all(do_denormalize)
        if not (isinstance(image, torch.Tensor) and image.is_cuda and output_type == "pil" and plain):
            return usual(image, output_type=output_type, do_denormalize=do_denormalize)
        return pictures(image)

    with replaced(processor, "postprocess", postprocess):
        yield


def without_idle_alpha(picture: Image.Image) -> Image.Image:
    """`picture`, without its transparency where it is opaque everywhere: some families always draw four channels."""
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] == 255:
        return picture.convert("RGB")
    return picture


def pictures(decoded: torch.Tensor) -> list[Image.Image]:
    """The pictures of `decoded`, (n, 3 or 4, h, w) from -1 to 1, rounded as diffusers rounds them."""
    levels = (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float()
    shades = (levels * 255).round().to(torch.uint8).cpu().numpy()
    return [Image.fromarray(one.squeeze()) for one in shades]
