"""Views: a mode's pipeline is the diffusers class for it, built around the resident components.

Building one moves no weight and reads no file. `Cls.from_pipe` is never called: without a dtype it casts the shared
weights to fp32 in place.
"""

import inspect
from typing import Any

import diffusers

from tui.protocol.job import Mode
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.components import ComponentSet


def view(components: ComponentSet, mode: Mode) -> Any:
    """The pipeline of `components` for `mode`: the one built before, or a new one.

    Raises:
        LatenttyError: the family has no such mode, or a component that the class needs is missing.
    """
    class_name = components.family.pipelines.get(mode)
    if class_name is None:
        raise LatenttyError(
            Problem(
                code="bad_request",
                cause=f"{components.family.label} has no mode {mode}.",
                hint="Choose another mode or model.",
            )
        )
    if class_name not in components.views:
        components.views[class_name] = _build(getattr(diffusers, class_name), components)
    return components.views[class_name]


def _build(cls: Any, components: ComponentSet) -> Any:
    wanted = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
    given = {name: value for name, value in components.config.items() if name in wanted}
    given |= {name: value for name, value in components.parts.items() if name in wanted}
    # some pipelines change the configuration of the scheduler they get: this one is theirs alone
    given["scheduler"] = fresh_scheduler(components, None)
    lacking = set(wanted) - set(given) - set(cls._optional_components) - _with_default(cls)
    if lacking:
        raise LatenttyError(
            Problem(
                code="model_damaged",
                cause=f"{components.model} lacks {', '.join(sorted(lacking))}, which {cls.__name__} needs.",
                hint="Copy or download the model again.",
            )
        )
    pipeline = cls(**given)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _with_default(cls: Any) -> set[str]:
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {one.name for one in parameters if one.default is not inspect.Parameter.empty}


def fresh_scheduler(components: ComponentSet, wanted: "tuple[str, dict[str, Any]] | None") -> Any:
    """A scheduler made from the model's own configuration: its own class, or (class name, options)."""
    config = dict(components.scheduler_config)
    class_name, options = wanted or (config["_class_name"], {})
    return getattr(diffusers, class_name).from_config(config, **options)
