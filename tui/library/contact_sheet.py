"""A contact sheet: pictures side by side on white, each with its label, as one PNG."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tui.library.export import free_name
from tui.library.folders import make_folder
from tui.library.picture_bounds import check_claims
from tui.library.pictures import write_problem
from tui.library.plain_text import plain
from tui.protocol.problem import LatenttyError, bad_request

GAP: Final = 12
LINE: Final = 22
LETTERS: Final = 15
EDGE: Final = 512
"""Pixels along the longer side of a picture on the sheet, at most."""

MAX_SIDE: Final = 16_000
"""Pixels along a side of the sheet; above it the pictures are made smaller."""


def write_contact_sheet(
    pictures: list[Path | None], path: Path, columns: int, labels: list[str], title: str = ""
) -> Path:
    """Draw `pictures` in rows of `columns` to a free name at `path`; its name. A None leaves its place empty.

    Raises:
        LatenttyError: there is nothing to draw, a picture cannot be read, or the file cannot be written.
    """
    path = path.expanduser()
    if not path.is_absolute() or not any(pictures):
        raise bad_request("A contact sheet needs pictures and an absolute path.", "Begin the path with / or ~.")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    edge = min(EDGE, MAX_SIDE // columns - GAP, MAX_SIDE // rows - GAP - LINE)
    sheet = _draw([_small(one, edge) for one in pictures], columns, rows, labels, title)
    goal = free_name(path.with_suffix(".png"))
    temporary = goal.with_name(f".{goal.stem[-80:]}.part")
    try:
        make_folder(goal.parent)
        sheet.save(temporary, format="PNG")
        temporary.rename(goal)
    except OSError as error:
        raise LatenttyError(write_problem(error, goal.parent)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return goal


def _draw(images: list[Image.Image | None], columns: int, rows: int, labels: list[str], title: str) -> Image.Image:
    width = max(image.width for image in images if image is not None)
    height = max(image.height for image in images if image is not None)
    top = GAP + (LINE if title else 0)
    size = (GAP + columns * (width + GAP), top + rows * (height + LINE + GAP))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    if title:
        pen.text((GAP, GAP // 2), _cut(plain(title), font, size[0] - 2 * GAP), "black", font)
    for place, image in enumerate(images):
        left, upper = GAP + place % columns * (width + GAP), top + place // columns * (height + LINE + GAP)
        if image is not None:
            sheet.paste(image, (left + (width - image.width) // 2, upper + (height - image.height) // 2))
        if place < len(labels):
            pen.text((left, upper + height + 2), _cut(plain(labels[place]), font, width), "black", font)
    return sheet


def _small(path: Path | None, edge: int) -> Image.Image | None:
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            check_claims(image, path)
            image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=3.0)
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise bad_request(f"The picture {path} cannot be read: {error}.", "Leave it out.") from None


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """`text`, its end cut off where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
