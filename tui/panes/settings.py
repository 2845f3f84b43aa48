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
from tui.protocol.fields import Field, job_fields
from tui.protocol.job import Job, new_job_id, random_seed
from tui.widgets.number_input import NumberInput


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
        self._fields = job_fields()
        self.border_title = "Settings"

    def compose(self) -> ComposeResult:
        """The rows."""
        yield _row("Model", Select[str]([], id="model", compact=True, prompt="looking for models"))
        yield _row("Size", self._number("width"), Label("× "), self._number("height"))
        yield _row("Steps", self._number("steps"))
        yield _row("Guidance", self._number("guidance_scale"))
        yield _row("Scheduler", Select[str]([], id="scheduler", compact=True, prompt="the model's own"))
        yield _row("Seed", self._number("seed", empty="random"))
        yield _row("Count", self._number("count", value=1))
        yield Static(id="help", markup=False)

    def _number(self, name: str, value: float | None = None, empty: str = "") -> NumberInput:
        return NumberInput(self._fields[name], value, empty=empty, id=name)

    def set_models(self, models: Iterable[ModelInfo], chosen: str) -> None:
        """Offer `models`, with `chosen` as the current one."""
        self._models = [model for model in models if model.problem is None]
        select = self.query_one("#model", Select)
        names = [model.name for model in self._models]
        select.set_options([(plain(name), name) for name in names])
        if names:
            select.value = chosen if chosen in names else names[-1]

    def fill(self, job: Job) -> None:
        """Show the settings of `job`, with its seed left open."""
        for name in ("width", "height", "steps", "guidance_scale", "count"):
            self.query_one(f"#{name}", NumberInput).set_number(getattr(job, name))
        if self.model is not None and job.scheduler in self.model.schedulers:
            self.query_one("#scheduler", Select).value = job.scheduler

    def clear_seed(self) -> None:
        """Let the next job draw its seed."""
        self.query_one("#seed", NumberInput).value = ""

    def first_complaint(self) -> NumberInput | None:
        """The first input whose text is not possible."""
        return next((one for one in self.query(NumberInput) if one.complaint is not None), None)

    def make_job(self, prompt: str, negative_prompt: str) -> Job:
        """The job that the pane shows; every input is possible and a model is chosen."""
        assert self.model is not None
        scheduler = self.query_one("#scheduler", Select).value
        seed = self._value("seed")
        return Job(
            id=new_job_id(),
            model=self.model.name,
            prompt=prompt,
            negative_prompt=negative_prompt,
            width=int(self._value("width") or 0),
            height=int(self._value("height") or 0),
            steps=int(self._value("steps") or 0),
            guidance_scale=float(self._value("guidance_scale") or 0),
            scheduler=scheduler if isinstance(scheduler, str) else self.model.scheduler,
            seed=random_seed() if seed is None else int(seed),
            count=int(self._value("count") or 1),
        )

    def _value(self, name: str) -> float | None:
        return self.query_one(f"#{name}", NumberInput).number

    @on(Select.Changed, "#model")
    def _choose(self, event: Select.Changed) -> None:
        chosen = next((model for model in self._models if model.name == event.value), None)
        if chosen is not None and chosen != self.model:
            self.model = chosen
            self._show_defaults(chosen)
            self.post_message(self.ModelChosen(chosen))

    def _show_defaults(self, model: ModelInfo) -> None:
        scheduler = self.query_one("#scheduler", Select)
        scheduler.set_options([(SCHEDULERS[name].label, name) for name in model.schedulers if name in SCHEDULERS])
        if model.scheduler in model.schedulers:
            scheduler.value = model.scheduler
        for name in ("width", "height", "steps", "guidance_scale"):
            self.query_one(f"#{name}", NumberInput).set_number(getattr(model, name))

    @on(Input.Changed)
    @on(DescendantFocus)
    def _explain(self) -> None:
        """Help for the setting that has the focus, or what is wrong with it."""
        focused = self.screen.focused
        line = self.query_one("#help", Static)
        wrong = focused.complaint if isinstance(focused, NumberInput) else None
        line.set_class(wrong is not None, "-wrong")
        line.update(wrong or self._help(focused))

    def _help(self, focused: Widget | None) -> str:
        field: Field | None = self._fields.get(focused.id or "") if focused is not None else None
        if field is None:
            return ""
        unit = f" {field.unit}" if field.unit else ""
        return f"{field.help} {field.range}{unit}".strip()


def _row(label: str, *controls: Widget) -> Horizontal:
    return Horizontal(Label(label, classes="label"), *controls, classes="row")
