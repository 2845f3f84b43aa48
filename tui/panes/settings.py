"""The settings pane: everything about a job but its prompts, each with its range and a line of help."""

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from tui.library.plain_text import plain
from tui.library.schedulers import SCHEDULERS
from tui.protocol.events import ModelInfo
from tui.protocol.fields import job_fields
from tui.protocol.job import Job, new_job_id, random_seed
from tui.widgets.number_input import NumberInput

NUMBERS = ("width", "height", "steps", "guidance_scale", "count")


class SettingsPane(Vertical):
    """One row a setting; the last line explains the one that has the focus."""

    model: reactive[ModelInfo | None] = reactive(None)

    class ModelChosen(Message):
        """Another model was chosen."""

        def __init__(self, model: ModelInfo) -> None:
            super().__init__()
            self.model = model

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._models: list[ModelInfo] = []
        self.border_title = "Settings"
        self._model = Select[str]([], id="model", compact=True, prompt="looking for models")
        self._scheduler = Select[str]([], id="scheduler", compact=True, prompt="the model's own")
        self._numbers = {name: NumberInput(job_fields()[name], None, id=name) for name in NUMBERS}
        self._seed = NumberInput(job_fields()["seed"], None, empty="random", id="seed")
        self._help = Static(id="help", markup=False)

    def compose(self) -> ComposeResult:
        """The rows."""
        numbers = self._numbers
        yield _row("Model", self._model)
        yield _row("Size", numbers["width"], Label("× "), numbers["height"])
        yield _row("Steps", numbers["steps"])
        yield _row("Guidance", numbers["guidance_scale"])
        yield _row("Scheduler", self._scheduler)
        yield _row("Seed", self._seed)
        yield _row("Count", numbers["count"])
        yield self._help

    def on_mount(self) -> None:
        """One picture, unless asked otherwise."""
        self._numbers["count"].set_number(1)

    def set_models(self, models: Iterable[ModelInfo], chosen: str) -> None:
        """Offer `models`, with `chosen` as the current one."""
        self._models = [model for model in models if model.problem is None]
        names = [model.name for model in self._models]
        self._model.set_options([(plain(name), name) for name in names])
        if names:
            self._model.value = chosen if chosen in names else names[-1]

    def choose(self, model: str) -> None:
        """Draw with `model` from now on, if it is offered."""
        if any(one.name == model for one in self._models):
            self._model.value = model

    def fill(self, job: Job) -> None:
        """Show the settings of `job`, with its seed left open."""
        for name, number in self._numbers.items():
            number.set_number(getattr(job, name))
        if self.model is not None and job.scheduler in self.model.schedulers:
            self._scheduler.value = job.scheduler

    def clear_seed(self) -> None:
        """Let the next job draw its seed."""
        self._seed.value = ""

    def first_complaint(self) -> NumberInput | None:
        """The first input whose text is not possible."""
        inputs = (*self._numbers.values(), self._seed)
        return next((one for one in inputs if one.complaint is not None), None)

    def make_job(self, prompt: str, negative_prompt: str) -> Job:
        """The job that the pane shows; every input is possible and a model is chosen."""
        assert self.model is not None
        scheduler, seed = self._scheduler.value, self._seed.number
        numbers = {name: one.number or 0 for name, one in self._numbers.items()}
        return Job(
            id=new_job_id(),
            model=self.model.name,
            prompt=prompt,
            negative_prompt=negative_prompt,
            width=int(numbers["width"]),
            height=int(numbers["height"]),
            steps=int(numbers["steps"]),
            guidance_scale=float(numbers["guidance_scale"]),
            scheduler=scheduler if isinstance(scheduler, str) else self.model.scheduler,
            seed=random_seed() if seed is None else int(seed),
            count=int(numbers["count"]),
        )

    @on(Select.Changed, "#model")
    def _choose(self, event: Select.Changed) -> None:
        chosen = next((model for model in self._models if model.name == event.value), None)
        if chosen is not None and chosen != self.model:
            first, self.model = self.model is None, chosen
            self._show_defaults(chosen, keep=first)
            self.post_message(self.ModelChosen(chosen))

    def _show_defaults(self, model: ModelInfo, *, keep: bool) -> None:
        """What suits `model`; with `keep`, only where nothing was typed while the models were being looked for."""
        offered = [(SCHEDULERS[name].label, name) for name in model.schedulers if name in SCHEDULERS]
        self._scheduler.set_options(offered)
        if model.scheduler in model.schedulers:
            self._scheduler.value = model.scheduler
        for name, number in self._numbers.items():
            if name != "count" and not (keep and number.value):
                number.set_number(getattr(model, name))

    @on(Input.Changed)
    @on(DescendantFocus)
    def _explain(self) -> None:
        """Help for the setting that has the focus, or what is wrong with it."""
        focused = self.screen.focused
        wrong = focused.complaint if isinstance(focused, NumberInput) else None
        self._help.set_class(wrong is not None, "-wrong")
        self._help.update(wrong or _help(focused))


def _help(focused: Widget | None) -> str:
    """What the setting with the focus is for, and its range."""
    field = job_fields().get(focused.id or "") if focused is not None else None
    if field is None:
        return ""
    return f"{field.help} {field.range} {field.unit}".strip()


def _row(label: str, *controls: Widget) -> Horizontal:
    return Horizontal(Label(label, classes="label"), *controls, classes="row")
