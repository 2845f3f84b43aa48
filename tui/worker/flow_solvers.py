"""diffusers' multistep solvers on flows, in every mode.

With `use_flow_sigmas` alone they refuse the noise levels that pipelines hand them, and know no `scale_noise`, which
img2img and inpainting need. Here the model's own flow schedule decides the noise levels, and the solver takes the steps
between them.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

SOLVING = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "use_dynamic_shifting": False}


class _OnFlow:
    """What a solver lacks to step along a flow."""

    _schedule: FlowMatchEulerDiscreteScheduler

    @classmethod
    def on_flow(cls, config: dict[str, Any], **options: Any) -> Any:
        """The solver for a model whose own scheduler has the flow configuration `config`."""
        # the solver's own settings; those of the flow, such as its shift, belong to the schedule
        kind: Any = cls
        solver = kind(num_train_timesteps=config["num_train_timesteps"], **SOLVING, **options)
        solver._schedule = flow_schedule(config)
        # pipelines ask the scheduler's configuration whether to compute a shift for the picture's size
        asked = ("use_dynamic_shifting", "base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        solver.register_to_config(**{name: config[name] for name in asked if name in config})
        return solver

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Take over the noise levels of the flow's own schedule."""
        schedule = self._schedule
        solver: Any = super()
        if sigmas is None and timesteps is None and num_inference_steps is not None:
            # evenly down to the last step, not to almost nothing: there a solver of second order would overshoot
            sigmas = [1 - step / num_inference_steps for step in range(num_inference_steps)]
        named = {"sigmas": sigmas, "timesteps": timesteps, "mu": mu}
        given = {name: value for name, value in named.items() if value is not None}
        schedule.set_timesteps(None if timesteps is not None else num_inference_steps, device=device, **given)
        count = len(schedule.timesteps)
        self.register_to_config(use_dynamic_shifting=False)  # type: ignore[attr-defined]
        solver.set_timesteps(count, device=device)
        levels = schedule.sigmas.to("cpu").clone()
        levels[0] = min(float(levels[0]), 1 - 1e-6)  # at pure noise the solvers divide by zero
        self.sigmas = levels
        self.timesteps = schedule.timesteps.to(device or "cpu")
        self.num_inference_steps = count

    def scale_noise(self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """`sample` with the noise that it has at `timestep`."""
        level = float(torch.as_tensor(timestep).flatten()[0]) / self._schedule.config.num_train_timesteps
        noised: torch.Tensor = level * noise + (1 - level) * sample
        return noised


class FlowDPMSolverMultistepScheduler(_OnFlow, DPMSolverMultistepScheduler):  # type: ignore[misc]
    """DPM-Solver++ (Lu et al. 2022) on a flow."""


class FlowUniPCMultistepScheduler(_OnFlow, UniPCMultistepScheduler):  # type: ignore[misc]
    """UniPC (Zhao et al. 2023) on a flow."""


SOLVERS: Final[dict[str, Any]] = {
    one.__name__: one for one in (FlowDPMSolverMultistepScheduler, FlowUniPCMultistepScheduler)
}


def flow_schedule(config: dict[str, Any], **options: Any) -> Any:
    """The plain flow scheduler for the configuration of any scheduler of a flow, with the same shift."""
    shift = config.get("shift", config.get("flow_shift", 1.0))
    return FlowMatchEulerDiscreteScheduler.from_config(config, shift=shift, **options)
