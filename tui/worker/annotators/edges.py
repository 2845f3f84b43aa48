"""Annotators by image processing alone: the classic operators, without a model."""

import cv2
import numpy
from PIL import Image, ImageFilter, ImageOps

Pixels = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.uint8]]


def _grey(picture: Image.Image) -> Pixels:
    return numpy.asarray(picture.convert("L"))


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels).convert("RGB")


def invert(picture: Image.Image) -> Image.Image:
    """Black for white: a drawing on paper becomes what line ControlNets expect."""
    return ImageOps.invert(picture)


def canny(picture: Image.Image) -> Image.Image:
    """Thin white edges on black (Canny 1986), with the thresholds 100 and 200 that ControlNets were trained on."""
    return _image(cv2.Canny(_grey(picture), 100, 200).astype(numpy.uint8))


def _gradient(picture: Image.Image) -> Pixels:
    """The strength of edges, from 0 to 255, largest over the colours."""
    smooth = cv2.bilateralFilter(numpy.asarray(picture), 7, 40, 7)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(across, down).max(axis=2)
    top = float(numpy.percentile(strength, 99.5)) or 1.0
    scaled: Pixels = numpy.clip(strength / top * 255, 0, 255).astype(numpy.uint8)
    return scaled


def soft_edge(picture: Image.Image) -> Image.Image:
    """Soft white edges on black: smoothed gradients, in the place of a network such as HED."""
    return _image(cv2.GaussianBlur(_gradient(picture), (0, 0), 1.2).astype(numpy.uint8))


def scribble(picture: Image.Image) -> Image.Image:
    """Coarse white strokes on black, as if drawn by hand."""
    strong = cv2.GaussianBlur(_gradient(picture), (0, 0), 3.0)
    strokes = numpy.where(strong > max(float(strong.mean()) * 2, 40.0), 255, 0).astype(numpy.uint8)
    return _image(cv2.dilate(strokes, numpy.ones((3, 3), numpy.uint8)).astype(numpy.uint8))


def line_art(picture: Image.Image) -> Image.Image:
    """White lines on black: what is darker than its surroundings."""
    grey = _grey(picture).astype(numpy.float32)
    darker = numpy.clip(cv2.GaussianBlur(grey, (0, 0), 6.0) - grey, 0, None)
    strong = darker[darker > 8]
    scale = max(float(numpy.median(strong)), 16.0) if strong.size else 16.0
    return _image(numpy.clip(darker / scale * 127, 0, 255).astype(numpy.uint8))


def blur(picture: Image.Image) -> Image.Image:
    """The picture without its details, for tile and blur ControlNets."""
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 64))
