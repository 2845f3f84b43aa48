"""The schedulers on offer: an id, the name people know, and the diffusers class with its options. Pure data."""

from collections.abc import Iterable
from typing import Any, Final, Literal

from msgspec import Struct, field

Kind = Literal["any", "diffusion", "flow"]
"""What a model was trained to predict along: a noise schedule of betas, or a straight flow."""

OWN: Final = "own"
"""The scheduler that a model comes with, where no other entry of the list equals it."""


class Scheduler(Struct, frozen=True, kw_only=True):
    """One entry of the list: a class of diffusers, or of :mod:`tui.worker.flow_solvers`, and its options."""

    id: str
    label: str
    class_name: str
    options: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "diffusion"
    sampler: str = ""
    """A1111's name for the sampler, where it has one."""
    schedule: str = ""
    """A1111's name for the schedule type."""


_SIGMAS = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_KARRAS = _SIGMAS | {"use_karras_sigmas": True}
_EXPONENTIAL = _SIGMAS | {"use_exponential_sigmas": True}
_UNCLIPPED = {"clip_sample": False}  # latents are not pictures: the default, for models of pixels, ruins them
_DPMPP = {"algorithm_type": "dpmsolver++"}
_SDE = {"algorithm_type": "sde-dpmsolver++"}


def _diffusion(
    name: str,
    label: str,
    class_name: str,
    options: dict[str, Any] | None = None,
    *,
    sampler: str = "",
    schedule: str = "",
) -> Scheduler:
    return Scheduler(
        id=name, label=label, class_name=class_name, options=options or {}, sampler=sampler or label, schedule=schedule
    )


def _flow(name: str, label: str, class_name: str, options: dict[str, Any], schedule: str = "") -> Scheduler:
    sampler = label.removesuffix(f" {schedule}")
    return Scheduler(
        id=name, label=label, class_name=class_name, options=options, kind="flow", sampler=sampler, schedule=schedule
    )


_FLOW_EULER = "FlowMatchEulerDiscreteScheduler"

_ALL = [
    Scheduler(id=OWN, label="Model's own", class_name="", kind="any", sampler="Model's own"),
    _diffusion("dpmpp-2m", "DPM++ 2M", "DPMSolverMultistepScheduler", _DPMPP | _SIGMAS),
    _diffusion(
        "dpmpp-2m-karras",
        "DPM++ 2M Karras",
        "DPMSolverMultistepScheduler",
        _DPMPP | _KARRAS,
        sampler="DPM++ 2M",
        schedule="Karras",
    ),
    _diffusion(
        "dpmpp-2m-exponential",
        "DPM++ 2M Exponential",
        "DPMSolverMultistepScheduler",
        _DPMPP | _EXPONENTIAL,
        sampler="DPM++ 2M",
        schedule="Exponential",
    ),
    _diffusion("dpmpp-2m-sde", "DPM++ 2M SDE", "DPMSolverMultistepScheduler", _SDE | _SIGMAS),
    _diffusion(
        "dpmpp-2m-sde-karras",
        "DPM++ 2M SDE Karras",
        "DPMSolverMultistepScheduler",
        _SDE | _KARRAS,
        sampler="DPM++ 2M SDE",
        schedule="Karras",
    ),
    _diffusion(
        "dpmpp-3m",
        "DPM++ 3M",
        "DPMSolverMultistepScheduler",
        _DPMPP | _SIGMAS | {"solver_order": 3},
    ),
    _diffusion("dpmpp-2s", "DPM++ 2S", "DPMSolverSinglestepScheduler", _DPMPP | _SIGMAS),
    _diffusion("euler", "Euler", "EulerDiscreteScheduler", _SIGMAS),
    _diffusion("euler-karras", "Euler Karras", "EulerDiscreteScheduler", _KARRAS, sampler="Euler", schedule="Karras"),
    _diffusion("euler-a", "Euler a", "EulerAncestralDiscreteScheduler"),
    _diffusion("heun", "Heun", "HeunDiscreteScheduler", _SIGMAS),
    _diffusion("dpm2", "DPM2", "KDPM2DiscreteScheduler", _SIGMAS),
    _diffusion("dpm2-karras", "DPM2 Karras", "KDPM2DiscreteScheduler", _KARRAS, sampler="DPM2", schedule="Karras"),
    _diffusion("dpm2-a", "DPM2 a", "KDPM2AncestralDiscreteScheduler", _SIGMAS),
    _diffusion("ddim", "DDIM", "DDIMScheduler", _UNCLIPPED),
    _diffusion("ddpm", "DDPM", "DDPMScheduler", _UNCLIPPED),
    _diffusion("pndm", "PLMS", "PNDMScheduler", {"skip_prk_steps": True}),
    _diffusion("unipc", "UniPC", "UniPCMultistepScheduler", _SIGMAS),
    _diffusion("unipc-karras", "UniPC Karras", "UniPCMultistepScheduler", _KARRAS, sampler="UniPC", schedule="Karras"),
    _diffusion("deis", "DEIS", "DEISMultistepScheduler", _SIGMAS),
    _diffusion("lcm", "LCM", "LCMScheduler"),
    _diffusion("tcd", "TCD", "TCDScheduler"),
    _flow("flow-euler", "Euler", _FLOW_EULER, _SIGMAS | {"stochastic_sampling": False}),
    _flow("flow-euler-karras", "Euler Karras", _FLOW_EULER, _KARRAS | {"stochastic_sampling": False}, "Karras"),
    _flow(
        "flow-euler-exponential",
        "Euler Exponential",
        _FLOW_EULER,
        _EXPONENTIAL | {"stochastic_sampling": False},
        "Exponential",
    ),
    _flow("flow-euler-a", "Euler a", _FLOW_EULER, _SIGMAS | {"stochastic_sampling": True}),
    _flow("flow-dpmpp-2m", "DPM++ 2M", "FlowDPMSolverMultistepScheduler", _DPMPP),
    _flow("flow-dpmpp-2m-sde", "DPM++ 2M SDE", "FlowDPMSolverMultistepScheduler", _SDE),
    _flow("flow-unipc", "UniPC", "FlowUniPCMultistepScheduler", {}),
]

SCHEDULERS: Final[dict[str, Scheduler]] = {scheduler.id: scheduler for scheduler in _ALL}
"""Every scheduler on offer, by id, in the order of the list."""


def offered(kind: Kind) -> list[str]:
    """The ids that work with models of `kind`."""
    return [scheduler.id for scheduler in SCHEDULERS.values() if scheduler.kind == kind]


def own_scheduler(config: dict[str, Any]) -> str:
    """The id that equals a model's own `scheduler_config.json`; empty when none on the list does."""
    for scheduler in SCHEDULERS.values():
        if scheduler.id == OWN:
            continue
        same_class = scheduler.class_name == config.get("_class_name")
        if same_class and all(config.get(option, False) == value for option, value in scheduler.options.items()):
            return scheduler.id
    return ""


def find_scheduler(text: str, known: Iterable[str]) -> Scheduler | None:
    """The scheduler among `known` ids that someone means by `text`: its id or its name, upper and lower case alike."""
    wanted = text.strip().casefold()
    found = (SCHEDULERS[name] for name in known if name in SCHEDULERS)
    return next((one for one in found if wanted in (one.id, one.label.casefold())), None)
