"""Two of diffusers' schedulers, which hold in few steps too where a model predicts v."""

from typing import Any, Final

from diffusers import KDPM2AncestralDiscreteScheduler, PNDMScheduler

FEW: Final = 20
"""Steps below which diffusers' own leave coloured specks and stains all over the picture."""


class SteadyPNDMScheduler(PNDMScheduler):  # type: ignore[misc]
    """PLMS of second order instead of fourth, where few steps are taken by predictions of v.

    diffusers extrapolates from the last four predictions. v changes with the time even where what it tells of noise
    and picture does not: what was predicted long ago tells too little of what comes.
    """

    def step(self, model_output: Any, timestep: Any, sample: Any, return_dict: bool = True) -> Any:
        """The next latents, as :meth:`diffusers.PNDMScheduler.step` tells them."""
        state: Any = self
        if _few(self) and state.counter > 1:
            state.ets = state.ets[-1:]  # diffusers adds the new one and takes the order from how many there are
        return super().step(model_output, timestep, sample, return_dict)


class SteadyKDPM2AncestralDiscreteScheduler(KDPM2AncestralDiscreteScheduler):  # type: ignore[misc]
    """DPM2 a that goes towards the picture seen halfway, where few steps are taken by predictions of v.

    diffusers goes along the slope found halfway, which is as far as one whole step of noise away: for great steps that
    is far past the picture. Where steps are small both come to the same.
    """

    def step(
        self, model_output: Any, timestep: Any, sample: Any, generator: Any = None, return_dict: bool = True
    ) -> Any:
        """The next latents, as :meth:`diffusers.KDPM2AncestralDiscreteScheduler.step` tells them."""
        begun, place = self.sample, self.step_index
        told = super().step(model_output, timestep, sample, generator)
        if begun is not None and place is not None and _few(self):
            high, half, low = (one[place - 1] for one in (self.sigmas, self.sigmas_interpol, self.sigmas_down))
            picture = told.pred_original_sample
            along_slope = begun + (sample - picture) / half * (low - high)
            told.prev_sample += picture + (begun - picture) * (low / high) - along_slope
        return told if return_dict else (told.prev_sample, told.pred_original_sample)


def _few(scheduler: Any) -> bool:
    return scheduler.config.prediction_type == "v_prediction" and (scheduler.num_inference_steps or 0) < FEW


STEADY: Final = {
    "PNDMScheduler": SteadyPNDMScheduler,
    "KDPM2AncestralDiscreteScheduler": SteadyKDPM2AncestralDiscreteScheduler,
}
"""By the names of the classes that they stand for."""
