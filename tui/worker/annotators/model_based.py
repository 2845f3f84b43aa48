"""Annotators that look through a transformers model, which the user keeps in one of the model folders."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy
import torch
import transformers
from PIL import Image, ImageDraw

from tui.library.annotators import DEPTH, PEOPLE, POSE, SEGMENTATION, find_seer
from tui.worker.annotators.ade20k import COLOURS

Pixels = numpy.ndarray[tuple[int, ...], numpy.dtype[Any]]


def depth(picture: Image.Image, folders: Sequence[Path]) -> Image.Image:
    """Near is white, far is black."""
    far_to_near = _depth_map(picture, folders)
    return Image.fromarray((far_to_near * 255).round().astype(numpy.uint8)).convert("RGB")


def normal(picture: Image.Image, folders: Sequence[Path]) -> Image.Image:
    """Surface normals as colours, from the slopes of the depth."""
    near = _depth_map(picture, folders)
    down, across = numpy.gradient(near)
    flat = numpy.full_like(near, 2.0 / max(near.shape))
    vectors = numpy.stack([-across, down, flat], axis=-1)
    vectors /= numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    return Image.fromarray(((vectors * 0.5 + 0.5) * 255).round().astype(numpy.uint8))


def segmentation(picture: Image.Image, folders: Sequence[Path]) -> Image.Image:
    """Each kind of thing in a colour of its own."""
    model, processor = _load(str(find_seer(SEGMENTATION, folders)), "AutoModelForSemanticSegmentation")
    with torch.inference_mode():
        found = model(**processor(images=picture, return_tensors="pt"))
    size = [(picture.height, picture.width)]
    (labels,) = processor.post_process_semantic_segmentation(found, target_sizes=size)
    return Image.fromarray(COLOURS[labels.numpy() % len(COLOURS)])


def pose(picture: Image.Image, folders: Sequence[Path]) -> Image.Image:
    """The joints and limbs of every person, as coloured lines on black."""
    detector, boxes_of = _load(str(find_seer(PEOPLE, folders)), "AutoModelForObjectDetection")
    with torch.inference_mode():
        seen = detector(**boxes_of(images=picture, return_tensors="pt"))
    size = [(picture.height, picture.width)]
    (objects,) = boxes_of.post_process_object_detection(seen, threshold=0.3, target_sizes=size)
    boxes = objects["boxes"][objects["labels"] == 0]
    image = Image.new("RGB", picture.size)
    if not len(boxes):
        return image
    corners = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).numpy()
    model, processor = _load(str(find_seer(POSE, folders)), "VitPoseForPoseEstimation")
    with torch.inference_mode():
        found = model(**processor(picture, boxes=[corners], return_tensors="pt"))
    (people,) = processor.post_process_pose_estimation(found, boxes=[corners])
    for person in people:
        _draw_person(image, person["keypoints"].numpy(), person["scores"].numpy())
    return image


def _depth_map(picture: Image.Image, folders: Sequence[Path]) -> Pixels:
    """Depth from 0 (far) to 1 (near), at the picture's size."""
    model, processor = _load(str(find_seer(DEPTH, folders)), "AutoModelForDepthEstimation")
    with torch.inference_mode():
        found = model(**processor(images=picture, return_tensors="pt"))
    size = [(picture.height, picture.width)]
    (told,) = processor.post_process_depth_estimation(found, target_sizes=size)
    values = told["predicted_depth"].float().numpy()
    low, high = values.min(), values.max()
    scaled: Pixels = (values - low) / max(high - low, 1e-6)
    return scaled


@lru_cache(maxsize=2)
def _load(path: str, kind: str) -> tuple[Any, Any]:
    """A model and its processor, on the CPU, where they compete with no pipeline for memory."""
    model = getattr(transformers, kind).from_pretrained(
        path, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True, backend="pil")
    return model.eval(), processor


OPENPOSE: Final = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose's 18 joints as COCO's key points; its neck lies between the shoulders."""

LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Pairs of OpenPose's joints."""

SEEN: Final = 0.3
"""Confidence above which a joint is drawn."""


def _draw_person(image: Image.Image, points: Pixels, scores: Pixels) -> None:
    """One person as OpenPose draws it: each limb and joint in its own colour, around the circle of hues."""
    draw = ImageDraw.Draw(image)
    width = max(image.size) // 128 + 1
    joints = [_joint(number, points, scores) for number in OPENPOSE]
    for number, (start, end) in enumerate(LIMBS):
        one, other = joints[start], joints[end]
        if one is not None and other is not None:
            draw.line((*one, *other), fill=_hue(number, 0.6), width=width)
    for number, joint in enumerate(joints):
        if joint is not None:
            draw.circle(joint, width, fill=_hue(number, 1.0))


def _joint(number: int | None, points: Pixels, scores: Pixels) -> tuple[float, float] | None:
    used = [number] if number is not None else [5, 6]
    if min(float(scores[one]) for one in used) < SEEN:
        return None
    middle = points[used].mean(axis=0)
    return float(middle[0]), float(middle[1])


def _hue(number: int, brightness: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number / len(OPENPOSE), 1.0, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)
