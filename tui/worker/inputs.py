"""Pictures and masks that a job begins with, brought to its size."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from tui.library.picture_bounds import opened
from tui.protocol.job import Edges, Job
from tui.protocol.problem import LatenttyError, Problem


@dataclass(frozen=True)
class Canvas:
    """What an inpainting works on: white of `mask` is drawn anew, black of it is kept."""

    picture: Image.Image
    mask: Image.Image


def open_picture(path: str) -> Image.Image:
    """The picture at `path`, upright, in RGB; transparent parts are white.

    Raises:
        LatenttyError: it is gone, no picture, or too large.
    """
    try:
        with opened(Path(path)) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                layered = upright.convert("RGBA")
                white = Image.new("RGBA", layered.size, "white")
                return Image.alpha_composite(white, layered).convert("RGB")
            return upright.convert("RGB")
    except FileNotFoundError:
        raise LatenttyError(
            Problem(code="bad_request", cause=f"The picture {path} is gone.", hint="Bring it back, or choose another.")
        ) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unusable(path, str(error)) from None


def fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """`picture` at `width` × `height`: scaled to cover it, and cropped evenly where the aspect ratio differs."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def canvas(job: Job) -> Canvas:
    """The picture and the mask of an inpaint or outpaint job, at the job's size.

    Raises:
        LatenttyError: one of them cannot be opened.
    """
    if job.mode == "outpaint":
        return _grown(open_picture(job.image), job.grow, job)
    picture = fitted(open_picture(job.image), job.width, job.height)
    mask = fitted(open_picture(job.mask), job.width, job.height).convert("L")
    return Canvas(picture, _softened(mask, job.mask_blur))


def _grown(picture: Image.Image, grow: Edges, job: Job) -> Canvas:
    """`picture` scaled into the middle of a canvas of the job's size that is `grow` larger on each side.

    The new edges begin as the old border stretched outwards, which draws better than a flat colour.
    """
    inner_width = max(job.width - grow.left - grow.right, 8)
    inner_height = max(job.height - grow.top - grow.bottom, 8)
    inner = fitted(picture, inner_width, inner_height)
    whole = _stretched(inner, grow, job.width, job.height)
    mask = Image.new("L", whole.size, 255)
    overlap = min(job.mask_blur, inner_width // 4, inner_height // 4)
    kept = (
        grow.left + (overlap if grow.left else 0),
        grow.top + (overlap if grow.top else 0),
        grow.left + inner_width - (overlap if grow.right else 0),
        grow.top + inner_height - (overlap if grow.bottom else 0),
    )
    mask.paste(0, kept)
    return Canvas(whole, _softened(mask, overlap))


def _stretched(inner: Image.Image, grow: Edges, width: int, height: int) -> Image.Image:
    """`inner` at its place, its outermost pixels drawn out to the edges."""
    right, bottom = grow.left + inner.width, grow.top + inner.height
    whole = Image.new("RGB", (width, height))
    whole.paste(inner, (grow.left, grow.top))
    for source, place in (
        ((grow.left, grow.top, grow.left + 1, bottom), (0, grow.top, grow.left, bottom)),
        ((right - 1, grow.top, right, bottom), (right, grow.top, width, bottom)),
        ((0, grow.top, width, grow.top + 1), (0, 0, width, grow.top)),
        ((0, bottom - 1, width, bottom), (0, bottom, width, height)),
    ):
        size = (place[2] - place[0], place[3] - place[1])
        if min(size) > 0:
            whole.paste(whole.crop(source).resize(size), place)
    return whole


def _softened(mask: Image.Image, blur: int) -> Image.Image:
    return mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask


def kept_outside(drawn: Image.Image, canvas: Canvas) -> Image.Image:
    """`drawn` where the mask is white, the old picture where it is black, blended where it is grey."""
    return Image.composite(drawn, canvas.picture, canvas.mask)


def _unusable(path: str, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="bad_request",
            cause=f"The picture {Path(path).name} cannot be used: {why}.",
            hint="Choose another one.",
        )
    )
