"""`latentty bench`: our way beside the naive diffusers way, on this box, in one run."""

from tui.headless.bench.run import bench

__all__ = ["bench"]
