"""Every scheduler on offer is one of its own, and draws."""

import diffusers
import numpy
import pytest
import torch

from tui.library.schedulers import SCHEDULERS, find_scheduler, offered, own_scheduler
from tui.worker.residents import Model
from tui.worker.views import fresh_scheduler, view

STEPS = 6


def fingerprint(scheduler: object) -> tuple[object, ...]:
    """What tells one configuration from another: its noise levels, and its way of stepping."""
    scheduler.set_timesteps(STEPS)
    sigmas = getattr(scheduler, "sigmas", torch.tensor([]))
    options = ("algorithm_type", "solver_order", "skip_prk_steps")
    return (
        type(scheduler).__name__,
        tuple(float(one) for one in scheduler.timesteps),
        tuple(float(one) for one in torch.as_tensor(sigmas)),
        tuple(scheduler.config.get(option) for option in options),
    )


def test_no_two_are_the_same(bundled: Model) -> None:
    """Five of seventeen schedulers of a peer were the same object without its flags."""
    seen: dict[tuple[object, ...], str] = {}
    for entry in SCHEDULERS.values():
        print_ = fingerprint(fresh_scheduler(bundled, (entry.class_name, entry.options)))
        assert print_ not in seen, f"{entry.id} is the same as {seen[print_]}"
        seen[print_] = entry.id


@pytest.mark.parametrize("name", offered("diffusion"))
def test_each_draws_a_picture(bundled: Model, name: str) -> None:
    entry = SCHEDULERS[name]
    pipeline = view(bundled, "txt2img")
    pipeline.scheduler = fresh_scheduler(bundled, (entry.class_name, entry.options))
    image = pipeline(
        prompt="a red apple on a white background",
        width=128,
        height=128,
        num_inference_steps=12,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    pixels = numpy.asarray(image.convert("RGB"), dtype=float)
    red, green, blue = pixels[40:88, 40:88].reshape(-1, 3).mean(0)
    assert red > green + 30, f"no apple: {red:.0f} {green:.0f} {blue:.0f}"
    assert red > blue + 30


def test_a_flag_of_one_job_never_reaches_the_next(bundled: Model) -> None:
    karras = SCHEDULERS["dpmpp-2m-karras"]
    assert fresh_scheduler(bundled, (karras.class_name, karras.options)).config.use_karras_sigmas
    euler = SCHEDULERS["euler"]
    assert not fresh_scheduler(bundled, (euler.class_name, euler.options)).config.use_karras_sigmas
    assert not bundled.blueprint.scheduler_config["use_karras_sigmas"]


def test_every_class_exists_and_the_models_own_is_recognised(bundled: Model) -> None:
    assert all(hasattr(diffusers, entry.class_name) for entry in SCHEDULERS.values())
    assert own_scheduler(bundled.blueprint.scheduler_config) == "dpmpp-2m"


@pytest.mark.parametrize("text", ["dpmpp-2m-karras", "DPM++ 2M Karras", " dpm++ 2m karras "])
def test_a_scheduler_is_found_by_id_or_name(text: str) -> None:
    found = find_scheduler(text)
    assert found is not None
    assert found.id == "dpmpp-2m-karras"
    assert find_scheduler("dpmpp") is None
