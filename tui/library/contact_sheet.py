"""A contact sheet: pictures side by side on white, each with its label, as one PNG."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tui.library.export import free_name
from tui.library.folders import make_folder
from tui.library.paths import expanded
from tui.library.picture_bounds import opened
from tui.library.pictures import write_problem
from tui.library.plain_text import plain
from tui.protocol.problem import LatenttyError, bad_request

GAP: Final = 12
LINE: Final = 22
LETTERS: Final = 15
EDGE: Final = 512
"""Pixels along the longer side of a picture on the sheet, at most."""

FONTS: Final = ("NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf")
"""Looked for where the box keeps its fonts."""

NO_LETTER: Final = "\U0010fffe"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

MAX_SIDE: Final = 16_000
"""Pixels along a side of the sheet; above it the pictures are made smaller."""


def write_contact_sheet(
    pictures: list[Path | None], path: Path, columns: int, labels: list[str], title: str = ""
) -> Path:
    """Draw `pictures` in rows of `columns` to a free name at `path`; its name. A None leaves its place empty.

    Raises:
        LatenttyError: there is nothing to draw, a picture cannot be read, or the file cannot be written.
    """
    path = expanded(path)
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
    pen = ImageDraw.Draw(sheet)
    if title:
        told, font = drawable(plain(title))
        pen.text((GAP, GAP // 2), _cut(told, font, size[0] - 2 * GAP), "black", font)
    for place, image in enumerate(images):
        left, upper = GAP + place % columns * (width + GAP), top + place // columns * (height + LINE + GAP)
        if image is not None:
            sheet.paste(image, (left + (width - image.width) // 2, upper + (height - image.height) // 2))
        if place < len(labels):
            told, font = drawable(plain(labels[place]))
            pen.text((left, upper + height + 2), _cut(told, font, width), "black", font)
    return sheet


@cache
def _fonts() -> list[Font]:
    """The font that comes with Pillow, which knows Latin letters, and those of the box that know more."""
    found: list[Font] = [ImageFont.load_default(LETTERS)]
    for name in FONTS:
        try:
            found.append(ImageFont.truetype(name, LETTERS))
        except OSError:
            continue  # not installed
    return found


def drawable(text: str) -> tuple[str, Font]:
    """`text` as a font can draw it, and that font; letters that even the best font lacks are question marks."""
    _, best = min(((sum(not has(font, one) for one in text), -place) for place, font in enumerate(_fonts())))
    font = _fonts()[-best]
    return "".join(one if has(font, one) else "?" for one in text), font


@lru_cache(maxsize=4096)
def has(font: Font, letter: str) -> bool:
    """Whether `font` has a picture of `letter`, not just its mark for letters that it does not know."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))


def _small(path: Path | None, edge: int) -> Image.Image | None:
    if path is None:
        return None
    try:
        with opened(path) as image:
            image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=3.0)
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise bad_request(f"The picture {path} cannot be read: {error}.", "Leave it out.") from None


def _cut(text: str, font: Font, width: float) -> str:
    """`text`, its end cut off where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
