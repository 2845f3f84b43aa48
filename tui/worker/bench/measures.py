"""The measures, by row and way. Each returns the value and what else is worth telling."""

from collections.abc import Callable
from typing import Final

from tui.worker.bench import budgets, drawing, loads, modes
from tui.worker.bench.stage import Told, has_gpu

MEASURES: Final[dict[tuple[str, str], Callable[..., Told]]] = {
    ("gpu", "ours"): has_gpu,
    ("load_warm", "ours"): loads.load_warm_ours,
    ("load_warm", "naive"): loads.load_warm_naive,
    ("load_warm", "limit"): loads.load_warm_limit,
    ("load_cold", "ours"): loads.load_cold_ours,
    ("load_cold", "naive"): loads.load_cold_naive,
    ("load_cold", "limit"): loads.load_cold_limit,
    ("mode_swap", "ours"): modes.mode_swap_ours,
    ("mode_swap", "naive"): modes.mode_swap_naive,
    ("controlnet_add", "ours"): modes.controlnet_ours,
    ("controlnet_add", "naive"): modes.controlnet_naive,
    ("model_swap_resident", "ours"): loads.model_swap_resident_ours,
    ("model_swap_host", "ours"): loads.model_swap_host_ours,
    ("model_swap_host", "naive"): loads.model_swap_host_naive,
    ("model_swap_host", "limit"): loads.model_swap_host_limit,
    ("model_swap_disk", "ours"): loads.model_swap_disk_ours,
    ("model_swap_disk", "naive"): loads.model_swap_disk_naive,
    ("step", "ours"): drawing.step_ours,
    ("step", "naive"): drawing.step_naive,
    ("step", "limit"): drawing.step_limit,
    ("step_compiled", "ours"): drawing.step_compiled_ours,
    ("step_compiled", "naive"): drawing.step_naive,
    ("end_to_end", "ours"): drawing.end_to_end_ours,
    ("end_to_end", "naive"): drawing.end_to_end_naive,
    ("preview", "ours"): drawing.preview_ours,
    ("preview", "naive"): drawing.preview_naive,
    ("cancel_step", "ours"): drawing.cancel_step_ours,
    ("cancel_step", "naive"): drawing.cancel_step_naive,
    ("cancel_load", "ours"): loads.cancel_load_ours,
    ("cancel_load", "naive"): loads.cancel_load_naive,
    ("peak_device", "ours"): drawing.peak_device_ours,
    ("peak_device", "naive"): drawing.peak_device_naive,
    **budgets.MEASURES,
}
"""Each runs alone in a process of its own."""
