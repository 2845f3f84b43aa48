"""Views: a mode's pipeline is the diffusers class for it, built around a model's components.

Building one moves no weight, reads no file and installs no hook. `Cls.from_pipe` is never called: without a dtype it
casts the shared weights to fp32 in place.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import diffusers

from tui.library.controlnets import is_for_inpainting
from tui.protocol.job import Mode
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.component import Component
from tui.worker.few_steps import STEADY
from tui.worker.flow_solvers import SOLVERS, flow_schedule
from tui.worker.residents import Model


def pipeline_class(model: Model, mode: Mode, controls: Sequence[Component]) -> str:
    """The name of the diffusers class that does `mode` with `controls` on `model`.

    Raises:
        LatenttyError: the family has none.
    """
    modules: list[Any] = [control.module for control in controls]
    kinds = {(type(one).__name__, is_for_inpainting(one.config)) for one in modules} or {("", False)}
    kind, inpainting = min(kinds)
    name = model.family.pipeline(mode, kind, inpainting=inpainting) if len(kinds) == 1 else None
    if name is None:
        with_what = f" with {' and '.join(sorted(name for name, _ in kinds))}" if controls else ""
        raise LatenttyError(
            Problem(
                code="bad_request",
                cause=f"{model.family.label} has no {mode}{with_what}.",
                hint="Choose another mode, ControlNet or model.",
            )
        )
    return name


def view(model: Model, mode: Mode, controls: Sequence[Component] = ()) -> Any:
    """The pipeline of `model` for `mode`: the one built before from the same parts, or a new one.

    A new one is published only when it is whole; on failure the former ones stay.

    Raises:
        LatenttyError: the family has no such mode, or a part that the class needs is missing.
    """
    name = pipeline_class(model, mode, controls)
    key = (name, *(control.key for control in controls))
    borrowed = any(model.family.controls[type(control.module).__name__].borrows for control in controls)
    if key not in model.views or borrowed:
        built = _build(getattr(diffusers, name), model, controls)
        assert_class(built, name, mode)
        model.views[key] = built
    return model.views[key]


def assert_class(pipeline: Any, wanted: str, mode: Mode) -> None:
    """What was asked for is what runs: a wrong class is an error, never a fall-through.

    Raises:
        LatenttyError: `pipeline` is not a `wanted`.
    """
    if type(pipeline).__name__ != wanted:
        raise LatenttyError(
            Problem(
                code="internal",
                cause=f"{type(pipeline).__name__} stood ready for {mode}, which needs {wanted}.",
                hint="This is a defect of Latentty; please report it.",
            )
        )


def _build(cls: Any, model: Model, controls: Sequence[Component]) -> Any:
    parameters = {name: one for name, one in inspect.signature(cls.__init__).parameters.items() if name != "self"}
    parts = model.modules()
    given = {name: value for name, value in model.blueprint.config.items() if name in parameters}
    given |= {name: parts[name] for name in parameters if name in parts}
    # some pipelines change the configuration of the scheduler they get: this one is theirs alone
    given["scheduler"] = fresh_scheduler(model, None)
    if controls:
        given["controlnet"] = _together(model, [control.module for control in controls])
    # what the model itself leaves out, its own class can do without
    optional = {*cls._optional_components, *(name for name, part in model.blueprint.parts.items() if part is None)}
    lacking = [name for name in _without_default(parameters) if given.get(name) is None and name not in optional]
    if lacking:
        raise LatenttyError(
            Problem(
                code="model_damaged",
                cause=f"{model.name} lacks {', '.join(sorted(lacking))}, which {cls.__name__} needs.",
                hint="Copy or download the model again.",
            )
        )
    pipeline = cls(**dict.fromkeys(_without_default(parameters)) | given)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _together(model: Model, nets: list[Any]) -> Any:
    """One ControlNet as it is, several as one module."""
    if len(nets) == 1:
        return nets[0]
    multi = model.family.controls[type(nets[0]).__name__].multi
    if not multi:
        raise LatenttyError(
            Problem(
                code="bad_request",
                cause=f"{model.family.label} takes one ControlNet of this kind at a time.",
                hint="Leave the others out.",
            )
        )
    return getattr(diffusers, multi)(nets)


def _without_default(parameters: dict[str, inspect.Parameter]) -> list[str]:
    return [name for name, one in parameters.items() if one.default is inspect.Parameter.empty]


def fresh_scheduler(model: Model, wanted: "tuple[str, dict[str, Any]] | None") -> Any:
    """A scheduler made from the model's own configuration: its own class, or (class name, options)."""
    config = dict(model.blueprint.scheduler_config)
    class_name, options = wanted or (config["_class_name"], {})
    if class_name in SOLVERS:
        return SOLVERS[class_name].on_flow(config, **options)
    if class_name == "FlowMatchEulerDiscreteScheduler":
        return flow_schedule(config, **options)
    kind: Any = STEADY.get(class_name) or getattr(diffusers, class_name)
    return kind.from_config(config, **options)
