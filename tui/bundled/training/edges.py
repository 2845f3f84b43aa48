"""Edge maps as annotators draw them, of many pictures at a time, to train a ControlNet on."""

import math

import torch
from torch.nn import functional


@torch.no_grad()
def edge_maps(pictures: torch.Tensor, low: torch.Tensor, high: torch.Tensor, thickness: torch.Tensor) -> torch.Tensor:
    """White lines on black where `pictures` have edges, by Canny's method: (n, 3, h, w), 0 or 1, channels equal.

    Args:
        pictures: (n, 3, h, w), 0 to 1.
        low: the gradient from which on an edge goes on, (n,).
        high: the gradient from which on an edge begins, (n,).
        thickness: pixels added around each line, 0 to 2, (n,).
    """
    gradient_x, gradient_y = _gradients(_smooth(_grey(pictures)))
    strength = (gradient_x * gradient_x + gradient_y * gradient_y).sqrt()
    ridges = strength * _is_ridge(strength, torch.atan2(gradient_y, gradient_x))
    strong = (ridges > high[:, None, None, None]).float()
    weak = (ridges > low[:, None, None, None]).float()
    for _ in range(6):
        strong = _grown(strong) * weak
    lines = strong
    for pixels in (1, 2):
        lines = torch.where(thickness[:, None, None, None] >= pixels, _grown(lines), lines)
    return lines.expand(-1, 3, -1, -1)


def pack_lines(lines: torch.Tensor) -> torch.Tensor:
    """`lines` (n, h, w), 0 or 1, as bits, (n, h, w / 8)."""
    count, height, width = lines.shape
    bits = lines.byte().view(count, height, width // 8, 8) << _places(lines.device)
    return bits.sum(3, dtype=torch.uint8)


def unpack_lines(packed: torch.Tensor) -> torch.Tensor:
    """What :func:`pack_lines` packed, (n, h, w), 0 or 1."""
    bits: torch.Tensor = (packed[..., None] >> _places(packed.device)) & 1
    return bits.flatten(2)


def _places(device: torch.device) -> torch.Tensor:
    return torch.arange(8, dtype=torch.uint8, device=device)


def _grey(pictures: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=pictures.device)
    return (pictures * weights[None, :, None, None]).sum(1, keepdim=True)


def _smooth(grey: torch.Tensor) -> torch.Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=grey.device) / 16
    kernel = (row[:, None] * row[None])[None, None]
    return functional.conv2d(functional.pad(grey, (2, 2, 2, 2), mode="replicate"), kernel)


def _gradients(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=grey.device)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, sobel[None, None]), functional.conv2d(padded, sobel.t()[None, None])


def _is_ridge(strength: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Whether each pixel is no weaker than its two neighbours across the edge."""
    direction = ((angle / (math.pi / 4)).round() % 4).long()
    padded = functional.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[2:]

    def neighbours(sign: int) -> torch.Tensor:
        steps = ((0, 1), (1, 1), (1, 0), (1, -1))
        shifted = [
            padded[:, :, 1 + sign * down : 1 + sign * down + height, 1 + sign * right : 1 + sign * right + width]
            for down, right in steps
        ]
        return torch.where(
            direction == 0,
            shifted[0],
            torch.where(direction == 1, shifted[1], torch.where(direction == 2, shifted[2], shifted[3])),
        )

    return (strength >= neighbours(1)) & (strength >= neighbours(-1))


def _grown(lines: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(lines, 3, 1, 1)
