"""Every scheduler on offer is one of its own, and draws."""

import inspect

import diffusers
import numpy
import pytest
import torch

from tui.library.schedulers import OWN, SCHEDULERS, Scheduler, find_scheduler, offered, own_scheduler
from tui.worker.flow_solvers import SOLVERS, flow_schedule
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
    for entry in (SCHEDULERS[name] for name in offered("diffusion")):
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
        width=96,
        height=96,
        num_inference_steps=12,
        guidance_scale=1.0,  # which no scheduler has a say in
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    pixels = numpy.asarray(image.convert("RGB"), dtype=float)
    red, green, blue = pixels[30:66, 30:66].reshape(-1, 3).mean(0)
    assert red > green + 30, f"no apple: {red:.0f} {green:.0f} {blue:.0f}"
    assert red > blue + 30


FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}


def solved(name: str, steps: int) -> float:
    """How far a solver ends from the truth, on the flow between noise and a normal distribution."""
    entry = SCHEDULERS[name]
    given = SOLVERS[entry.class_name].on_flow if entry.class_name in SOLVERS else flow_schedule
    scheduler = given(FLOW, **entry.options)
    scheduler.set_timesteps(steps)
    mean, deviation = 1.5, 0.3
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample = noise.clone()
    for timestep in scheduler.timesteps:
        level = float(timestep) / 1000
        variance = (1 - level) ** 2 * deviation**2 + level**2
        residual = sample - (1 - level) * mean
        clean = mean + (1 - level) * deviation**2 / variance * residual
        velocity = level / variance * residual - clean
        sample = scheduler.step(velocity, timestep, sample, return_dict=False)[0]
    return float((sample - (mean + deviation * noise)).abs().mean())


@pytest.mark.parametrize("name", ["flow-dpmpp-2m", "flow-unipc"])
def test_a_solver_on_a_flow_is_better_than_euler(name: str) -> None:
    assert solved(name, 12) < solved("flow-euler", 12)
    assert solved(name, 40) < solved("flow-euler", 40) / 5


@pytest.mark.parametrize("entry", [one for one in SCHEDULERS.values() if one.kind == "flow"], ids=lambda one: one.id)
def test_every_flow_scheduler_reaches_the_flow_s_end(entry: Scheduler) -> None:
    if "sde" in entry.id or entry.id.endswith("-a"):
        pytest.skip("noise is added on the way: the end is another one each time")
    assert solved(entry.id, 60) < 0.05


def test_a_flag_of_one_job_never_reaches_the_next(bundled: Model) -> None:
    karras = SCHEDULERS["dpmpp-2m-karras"]
    assert fresh_scheduler(bundled, (karras.class_name, karras.options)).config.use_karras_sigmas
    euler = SCHEDULERS["euler"]
    assert not fresh_scheduler(bundled, (euler.class_name, euler.options)).config.use_karras_sigmas
    assert not bundled.blueprint.scheduler_config["use_karras_sigmas"]


@pytest.mark.parametrize("name", ["dpmpp-2m-karras", "dpmpp-2m-exponential", "unipc-karras", "dpm2-karras"])
def test_the_bundled_model_s_steps_are_not_spent_where_nothing_is_to_be_seen(bundled: Model, name: str) -> None:
    """Half of ten Karras steps lay above and below all noise that matters: the pictures were not known again."""
    entry = SCHEDULERS[name]
    scheduler = fresh_scheduler(bundled, (entry.class_name, entry.options))
    scheduler.set_timesteps(10)
    levels = [float(one) for one in scheduler.sigmas if one > 0]
    assert (levels[0], levels[-1]) == (pytest.approx(30), pytest.approx(0.1))
    own = fresh_scheduler(bundled, None)
    own.set_timesteps(10)
    assert float(own.sigmas[0]) > 150, "others begin with next to nothing but noise, as the model was taught"


@pytest.mark.parametrize("name", ["pndm", "dpm2-a"])
def test_few_steps_of_v_come_close_to_the_picture(bundled: Model, name: str) -> None:
    """diffusers' own left specks and stains all over it; in many steps they are as diffusers has them."""
    entry = SCHEDULERS[name]
    ours = fresh_scheduler(bundled, (entry.class_name, entry.options))
    theirs = getattr(diffusers, entry.class_name).from_config(bundled.blueprint.scheduler_config, **entry.options)

    assert guided(ours, 10) < guided(theirs, 10) * 0.9
    assert guided(ours, 25) == guided(theirs, 25)


def guided(scheduler: object, steps: int) -> float:
    """How far the end is from two values that a guidance of 5 leads to, where the true v is known."""
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 4, 16, 16, generator=generator, dtype=torch.float64) * scheduler.init_noise_sigma
    alphas = scheduler.alphas_cumprod.double()
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(sample, timestep)
        alpha = alphas[int(timestep.round())]
        told, untold = (true_v(seen, alpha, values) for values in ([0.6, 0.8], [-1.0, 0.0, 0.8]))
        noise = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
        sample = scheduler.step(untold + 5 * (told - untold), timestep, sample, **noise).prev_sample
    return float(torch.minimum((sample - 0.6).abs(), (sample - 0.8).abs()).mean())


def true_v(sample: torch.Tensor, alpha: torch.Tensor, values: list[float], deviation: float = 0.1) -> torch.Tensor:
    """The v of `sample`, where any of `values` is as likely, with some deviation."""
    signal, noise = alpha.sqrt(), (1 - alpha).sqrt()
    variance = alpha * deviation**2 + 1 - alpha
    away = torch.stack([sample - signal * value for value in values])
    likely = (-(away**2) / 2 / variance).softmax(0)
    clean = sum(
        share * (value + signal * deviation**2 / variance * one)
        for share, value, one in zip(likely, values, away, strict=True)
    )
    return signal * (sample - signal * clean) / noise - noise * clean


def test_every_class_exists_and_the_models_own_is_recognised(bundled: Model) -> None:
    names = {entry.class_name for entry in SCHEDULERS.values() if entry.id != OWN}
    assert all(name in SOLVERS or hasattr(diffusers, name) for name in names)
    assert own_scheduler(bundled.blueprint.scheduler_config) == "dpmpp-2m"


@pytest.mark.parametrize("text", ["dpmpp-2m-karras", "DPM++ 2M Karras", " dpm++ 2m karras "])
def test_a_scheduler_is_found_by_id_or_name(text: str) -> None:
    found = find_scheduler(text, SCHEDULERS)
    assert found is not None
    assert found.id == "dpmpp-2m-karras"
    assert find_scheduler("dpmpp", SCHEDULERS) is None
