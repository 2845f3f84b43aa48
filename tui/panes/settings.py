"""The settings pane: everything about a job but its prompts, each with its range and a line of help."""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from msgspec.structs import asdict, replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.events import DescendantBlur, DescendantFocus
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from tui.library.aspects import ASPECTS, aspect_of, fitted, size_of
from tui.library.picture_tags import tags_in
from tui.library.plain_text import plain
from tui.library.schedulers import SCHEDULERS
from tui.panes.adapter_rows import AdapterRows
from tui.panes.control_rows import ControlRows
from tui.protocol.commands import LeftMode
from tui.protocol.events import ModelInfo
from tui.protocol.fields import fields_of, job_fields
from tui.protocol.job import (
    DrawSettings,
    Edges,
    Job,
    MemoryOptions,
    Mode,
    ModeState,
    Offload,
    Output,
    SeedPolicy,
    new_job_id,
    random_seed,
)
from tui.protocol.snapshot import Snapshot
from tui.widgets.number_input import NumberInput
from tui.widgets.path_input import PathInput
from tui.widgets.row import Choice, row
from tui.widgets.tick import Tick

NUMBERS: Final = (
    "width",
    "height",
    "steps",
    "guidance_scale",
    "count",
    "clip_skip",
    "strength",
    "mask_blur",
)
"""Fields of a job that are numbers here, beside the seed."""

EDGES: Final = ("left", "top", "right", "bottom")

SHOWN: Final[dict[str, frozenset[Mode]]] = {
    "row-image": frozenset({"img2img", "inpaint", "outpaint", "edit", "refine"}),
    "row-mask": frozenset({"inpaint"}),
    "row-strength": frozenset({"img2img", "inpaint", "refine"}),
    "row-mask-blur": frozenset({"inpaint", "outpaint"}),
    "row-grow-across": frozenset({"outpaint"}),
    "row-grow-down": frozenset({"outpaint"}),
}
"""The modes in which a row has an effect, and is seen."""

FORMATS: Final[tuple[Literal["png", "jpg", "webp"], ...]] = ("png", "jpg", "webp")

OFFLOADS: Final[dict[Offload, str]] = {
    "none": "all weights stay",
    "components": "one component at a time",
    "layers": "one layer at a time",
}
SEEDS: Final[dict[SeedPolicy, str]] = {"random": "random", "fixed": "locked", "increment": "next"}


class SettingsPane(Vertical):
    """One row a setting; the last line explains the one that has the focus."""

    BINDINGS = [
        Binding("escape", "screen.focus_picture", "Picture keys", show=False, id="settings.leave"),
    ]

    model: reactive[ModelInfo | None] = reactive(None)

    class ModelChosen(Message):
        """Another model was chosen."""

        def __init__(self, model: ModelInfo) -> None:
            super().__init__()
            self.model = model

    class ModeEntered(Message):
        """Another mode, or the mode of another model, was chosen; what it remembers is wanted."""

        def __init__(self, model: ModelInfo, mode: Mode, leaving: LeftMode | None, then: dict[str, Any]) -> None:
            super().__init__()
            self.model = model
            self.mode = mode
            self.leaving = leaving
            self.then = then
            """What is to be changed in what it remembers."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._models: list[ModelInfo] = []
        self._stand_in = ""
        """The current model where it is only instead of one that is still being looked for."""
        self._place: tuple[str, Mode] | None = None
        self._masked = ""
        """The picture that was named when the mask was."""
        self._bare: dict[Input | Choice | Tick, Any] = {}
        """What was there before anything was typed."""
        self.border_title = "Settings"
        fields = job_fields()
        self._model = Choice([], "Which model draws.", prompt="looking for models", id="model")
        self._mode = Choice(
            [("txt2img", "txt2img")], "What is made from what.", blank=False, value="txt2img", id="mode"
        )
        self._aspect = Choice([], "The shape, at as many pixels as the model was made for.", prompt="own", id="aspect")
        self._scheduler = Choice([], fields["scheduler"].help, prompt="the model's own", id="scheduler")
        self._numbers = {name: NumberInput(fields[name], None, id=name) for name in NUMBERS}
        self._seed = NumberInput(fields["seed"], None, empty="random", id="seed")
        self._policy = Choice(
            [(label, name) for name, label in SEEDS.items()],
            "After a job: another seed at random, the same again, or the next one.",
            blank=False,
            value="random",
            id="seed_policy",
        )
        self._image = PathInput("A picture", fields["image"].help, id="image", required=True)
        self._mask = PathInput("A mask", f"{fields['mask'].help} Enter paints one.", id="mask", required=True)
        self._edges = {name: NumberInput(fields_of(Edges)[name], None, id=f"grow_{name}") for name in EDGES}
        self._controls = ControlRows()
        self._adapters = AdapterRows()
        self._vae = PathInput("The VAE", f"{fields['vae'].help} Enter chooses one.", id="vae", kind="vae")
        self._encoder = PathInput(
            "The text encoder", f"{fields['text_encoder'].help} Enter chooses one.", id="encoder", kind="text encoder"
        )
        self._texts = {name: Input(id=name, compact=True, placeholder="the same") for name in SECOND}
        self._tile = Tick("decode in tiles", compact=True, id="tile_vae", tooltip=TILE_HELP)
        self._drop = Tick("drop text encoders", compact=True, id="drop_text_encoders", tooltip=DROP_HELP)
        self._offload = Choice(
            [(label, name) for name, label in OFFLOADS.items()],
            "Which weights stay on the device while a job runs: fewer is slower.",
            blank=False,
            value="none",
            id="offload",
        )
        self._output = PathInput(
            "The folder", "Where pictures go; empty: the folder in the settings.", id="folder", completes="folder"
        )
        self._output.placeholder = "as in the settings"
        self._format = Choice(
            [(name, name) for name in FORMATS],
            "Of the picture's file; all three carry how it was made. PNG keeps every bit.",
            prompt="as in the settings",
            id="format",
        )
        self._quality = NumberInput(fields["quality"], None, id="quality")
        self._stem = Input(id="file_stem", compact=True, placeholder="made from the job")
        self._tags = Input(id="tags", compact=True, placeholder="none")
        self._help = Static(id="help", markup=False)

    def compose(self) -> ComposeResult:
        """The rows, in groups."""
        numbers, edges = self._numbers, self._edges
        with VerticalScroll(id="rows", can_focus=False):
            with Vertical(classes="group", id="group-model"):
                yield row("Model", self._model)
                yield row("Mode", self._mode)
            with Vertical(classes="group", id="group-picture"):
                yield row("Image", self._image, id="row-image")
                yield row("Mask", self._mask, id="row-mask")
                yield row("Strength", numbers["strength"], id="row-strength")
                yield row("Mask blur", numbers["mask_blur"], Label("px"), id="row-mask-blur")
                yield row("Grow ← →", edges["left"], edges["right"], Label("px"), id="row-grow-across")
                yield row("Grow ↑ ↓", edges["top"], edges["bottom"], Label("px"), id="row-grow-down")
            with Vertical(classes="group", id="group-size"):
                yield row("Size", numbers["width"], Label("× "), numbers["height"], Label("px"))
                yield row("Shape", self._aspect)
            with Vertical(classes="group", id="group-sampling"):
                yield row("Steps", numbers["steps"])
                yield row("Guidance", numbers["guidance_scale"])
                yield row("Scheduler", self._scheduler)
                yield row("Seed", self._seed, self._policy)
                yield row("Count", numbers["count"])
            with Vertical(classes="group", id="group-controls"):
                yield self._controls
            with Vertical(classes="group", id="group-adapters"):
                yield self._adapters
            with Vertical(classes="group", id="group-parts"):
                yield row("Clip skip", numbers["clip_skip"], id="row-clip-skip")
                for name, text in self._texts.items():
                    yield row(SECOND[name], text, id=f"row-{name}")
                yield row("VAE", self._vae)
                yield row("Encoder", self._encoder)
            with Vertical(classes="group", id="group-memory"):
                yield row("Memory", self._tile)
                yield row("", self._drop)
                yield row("Offload", self._offload)
            with Vertical(classes="group", id="group-output"):
                yield row("Folder", self._output)
                yield row("File name", self._stem)
                yield row("Tags", self._tags)
                yield row("Format", self._format)
                yield row("Quality", self._quality, id="row-quality")
        yield self._help

    def on_mount(self) -> None:
        """One picture, unless asked otherwise; and no cursor that blinks."""
        for edge in self._edges.values():
            edge.set_number(0)
        self._numbers["count"].set_number(1)
        self._numbers["clip_skip"].set_number(1)
        self._numbers["strength"].set_number(0.6)
        self._numbers["mask_blur"].set_number(4)
        self._quality.set_number(95)
        for name, text in {**self._texts, "file_stem": self._stem, "tags": self._tags}.items():
            text.cursor_blink = False
            text.tooltip = job_fields()[name].help
        self._show_rows()
        settable = [*self.query(Input), *self.query(Choice), *self.query(Tick)]
        self._bare = {one: one.value for one in settable if one.id is not None}

    def said(self) -> Callable[[], None]:
        """What was set while no model was known, as a function that sets it once more; nothing once there is one."""
        set_first = {one: one.value for one, bare in self._bare.items() if one.value != bare}
        adapters = self._adapters.adapters
        if self.model is not None:
            return lambda: None

        def say_again() -> None:
            for one, value in set_first.items():
                one.value = value
            if adapters:
                self._adapters.fill(adapters)

        return say_again

    # ---- models ------------------------------------------------------------------------------------------------

    def set_models(self, models: Iterable[ModelInfo], last: str) -> None:
        """Offer `models`; the current one stays, as it is now, and else the one used `last` becomes it.

        Where that one is not there either, another stands in for it until it is found.
        """
        self._models = [model for model in models if model.problem is None]
        names = [model.name for model in self._models]
        current = self._listed(self.model.name) if self.model is not None else None
        if current is not None and current != self.model:
            self._renew(current)
        wanted = current.name if current is not None and current.name != self._stand_in else last
        if names:
            chosen = wanted if wanted in names else names[-1]
            self._stand_in = "" if chosen == wanted else chosen
            self._model.offer([(plain(name), name) for name in names], chosen)

    def _renew(self, model: ModelInfo) -> None:
        """The current model is `model` now: other ControlNets may fit it."""
        self.model = model
        self._controls.offer(model.controls, self.mode or "txt2img")
        self._show_rows()

    def choose(self, model: str) -> None:
        """Draw with `model` from now on, if it is offered."""
        if any(one.name == model for one in self._models):
            self._model.value = model

    @on(Select.Changed, "#model")
    def _choose(self, event: Select.Changed) -> None:
        chosen = self._listed(str(event.value))
        if chosen is not None and chosen != self.model:
            leaving, first = self.leaving(), self.model is None
            self._take_model(chosen, keep=first)
            self.post_message(self.ModelChosen(chosen))
            if not first and self.mode is not None:
                self.post_message(self.ModeEntered(chosen, self.mode, leaving, {}))

    def _listed(self, name: str) -> ModelInfo | None:
        return next((model for model in self._models if model.name == name), None)

    def _take_model(self, model: ModelInfo, *, keep: bool) -> None:
        """What suits `model`; with `keep`, only where nothing was typed while the models were being looked for."""
        self.model = model
        mode = self.mode if self.mode in model.modes else (model.modes[0] if model.modes else "txt2img")
        self._mode.offer([(one, one) for one in model.modes] or [("txt2img", "txt2img")], mode)
        self._place = model.name, mode
        self._scheduler.offer(
            [(SCHEDULERS[name].label, name) for name in model.schedulers if name in SCHEDULERS], model.scheduler
        )
        area = model.width * model.height
        sizes = {name: size_of(name, area, model.size_multiple) for name in ASPECTS}
        self._aspect.offer([(f"{name}  {width} × {height}", name) for name, (width, height) in sizes.items()], None)
        for name in ("width", "height", "steps", "guidance_scale"):
            if not (keep and self._numbers[name].value):
                self._numbers[name].set_number(getattr(model, name))
        self._controls.offer(model.controls, mode)
        self._show_rows()

    # ---- modes -------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode | None:
        """The mode that is chosen."""
        chosen = self._mode.chosen
        return chosen if chosen in job_modes() else None  # type: ignore[return-value]

    @on(Select.Changed, "#mode")
    def _change_mode(self, event: Select.Changed) -> None:
        mode = self.mode
        if self.model is not None and mode is not None and self._place != (self.model.name, mode):
            self._enter(self.model, mode, {})

    def enter(self, mode: Mode, **then: Any) -> bool:
        """Change to `mode`, with `then` changed in what it remembers; False where the model has no such mode."""
        if self.model is None or mode not in self.model.modes:
            return False
        self._enter(self.model, mode, then)
        return True

    def _enter(self, model: ModelInfo, mode: Mode, then: dict[str, Any]) -> None:
        leaving = self.leaving()
        self._place = model.name, mode
        self._mode.value = mode
        self._controls.offer(model.controls, mode)
        self._show_rows()
        self._bring_into_sight("group-model")
        self.post_message(self.ModeEntered(model, mode, leaving, then))

    def _bring_into_sight(self, group: str) -> None:
        """Scroll to where something was changed by a key from elsewhere."""
        rows, wanted = self.query_one("#rows", VerticalScroll), self.query_one(f"#{group}")
        self.call_after_refresh(rows.scroll_to_widget, wanted, animate=False, top=True)

    def leaving(self) -> LeftMode | None:
        """The mode that the pane shows and what it shall remember; None before there is one.

        Of a number that is not possible, the model's own is remembered.
        """
        if self.model is None or self._place is None:
            return None
        model, mode = self._place
        seed = 0 if self._seed.complaint else int(self._seed.number or 0)
        state = ModeState(**self._drawn(), seed=seed, seed_policy=self._seed_policy)
        wrong = [name for name, number in self._numbers.items() if number.complaint is not None]
        first = self.model.first_state
        possible = changed(state, {name: getattr(first, name) for name in wrong})
        return LeftMode(model=model, mode=mode, state=possible)

    def restore(self, state: ModeState) -> None:
        """Show what a mode remembers."""
        self._show_drawn(state)
        self._seed.set_number(state.seed if state.seed_policy != "random" else None)
        self._policy.value = state.seed_policy

    def _show_rows(self) -> None:
        """Only the rows that have an effect in this mode, on this model."""
        mode, model = self.mode or "txt2img", self.model
        for name, modes in SHOWN.items():
            self.query_one(f"#{name}").display = mode in modes
        self.query_one("#group-picture").display = any(mode in modes for modes in SHOWN.values())
        self.query_one("#row-clip-skip").display = model is not None and model.clip_skip
        for name in SECOND:
            negative = "negative" in name
            self.query_one(f"#row-{name}").display = (
                model is not None and model.second_prompt and (model.negative_prompt or not negative)
            )
        self.query_one("#group-controls").display = bool(self._controls.nets)
        self._show_quality()

    @on(Select.Changed, "#format")
    def _show_quality(self) -> None:
        """Only some formats have one."""
        self.query_one("#row-quality").display = self._format.chosen in ("jpg", "webp")

    # ---- jobs --------------------------------------------------------------------------------------------------

    def fill(self, job: Job) -> None:
        """Show the settings of `job`, with its seed left open; its model too, where it is there."""
        model = self._listed(job.model) or self.model
        if model is None:
            return
        self._model.value = model.name
        self._take_model(model, keep=False)
        if job.mode in model.modes:
            self._place = model.name, job.mode
            self._mode.value = job.mode
            self._controls.offer(model.controls, job.mode)
            self._show_rows()
        self._show_drawn(job)
        for name, text in self._texts.items():
            text.value = getattr(job, name)
        if job.format:
            self._format.value = job.format
        else:
            self._format.clear()
        self._quality.set_number(job.quality)
        self._tags.value = " ".join(job.tags)

    def _show_drawn(self, drawn: DrawSettings) -> None:
        for name, number in self._numbers.items():
            number.set_number(getattr(drawn, name))
        if self.model is not None and drawn.scheduler in self.model.schedulers:
            self._scheduler.value = drawn.scheduler
        paths = {"image": self._image, "mask": self._mask, "vae": self._vae, "text_encoder": self._encoder}
        for name, path in paths.items():
            path.value = getattr(drawn, name)
        self._note_mask()
        for name, edge in self._edges.items():
            edge.set_number(getattr(drawn.grow, name))
        self._controls.fill(drawn.controls)
        self._adapters.fill(drawn.adapters)
        self._tile.value, self._drop.value = drawn.memory.tile_vae, drawn.memory.drop_text_encoders
        self._offload.value = drawn.memory.offload

    @property
    def is_locked(self) -> bool:
        """Whether the next job has the seed that is shown."""
        return self._seed_policy == "fixed"

    def set_seed(self, seed: int) -> None:
        """Lock the seed."""
        self._seed.set_number(seed)
        self._policy.value = "fixed"

    def clear_seed(self) -> None:
        """Let the next job draw its seed."""
        self._seed.value = ""

    def drawn(self, job: Job) -> None:
        """`job` was made of what the pane says: the next one has its own name, and its own seed where it is wanted."""
        self._stem.value = ""
        last = f"last {job.seed}"
        self._seed.placeholder = last if len(last) < self._seed.size.width else "random"
        if self._seed_policy == "increment":
            self._seed.set_number(job.seed_of(job.count))

    def add_control(self, image: str) -> str | None:
        """A ControlNet more that looks at `image`; its name, None where no ControlNet fits."""
        if not self._controls.nets:
            return None
        name = self._controls.nets[0]
        self._controls.add(name, image)
        self._bring_into_sight("group-controls")
        return name

    def take(self, painted: dict[str, Any]) -> None:
        """Take a mask that was painted, or edges that were grown, and the size that fits them, as fields of a job."""
        self._mask.value = painted.get("mask", self._mask.value)
        self._note_mask()
        for name in ("width", "height"):
            self._numbers[name].set_number(painted.get(name, self._numbers[name].number))
        for name, edge in self._edges.items():
            edge.set_number(getattr(painted.get("grow", self.grow), name))

    @property
    def controlnets(self) -> list[str]:
        """The ControlNets that fit model and mode."""
        return self._controls.nets

    @property
    def image(self) -> str:
        """The picture to begin with."""
        return self._image.path

    @property
    def mask(self) -> str:
        """The mask's file."""
        return self._mask.path

    @on(Input.Changed, "#mask")
    def _note_mask(self) -> None:
        self._masked = self._image.path

    @property
    def is_mask_of_another(self) -> bool:
        """Whether the mask was named while another picture was."""
        return bool(self.mask and self._masked) and self._masked != self.image

    @property
    def grow(self) -> Edges:
        """How far to outpaint."""
        grown = {name: int(edge.number or 0) for name, edge in self._edges.items() if edge.complaint is None}
        return Edges(**grown)

    def fitted(self, width: int, height: int) -> dict[str, int]:
        """The size next to a picture's own that the model can draw, as fields of a job."""
        multiple = self.model.size_multiple if self.model is not None else 8
        width, height = fitted(width, height, multiple)
        return {"width": width, "height": height}

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the ControlNets' states up to date."""
        self._controls.offer_annotators(snapshot.annotators)
        self._controls.show_state(snapshot)

    def first_complaint(self) -> NumberInput | PathInput | None:
        """The first input whose text is not possible."""
        mode = self.mode or "txt2img"
        paths = [(self._image, "row-image"), (self._mask, "row-mask")]
        inputs: list[NumberInput | PathInput] = [one for one, name in paths if mode in SHOWN[name]]
        inputs += [*self._numbers.values(), self._seed, *self._edges.values(), *self._controls.inputs]
        inputs += [*self._adapters.inputs, self._vae, self._encoder, self._output, self._quality]
        return next((one for one in inputs if one.complaint is not None), None)

    def make_job(self, prompt: str, negative_prompt: str, count: int | None = None) -> Job:
        """The job that the pane shows, of `count` pictures; every input is possible and a model is chosen."""
        assert self.model is not None
        seed = self._seed.number
        drawn = self._drawn() | self.second_prompts
        if count is not None:
            drawn["count"] = count
        return Job(
            id=new_job_id(),
            model=self.model.name,
            mode=self.mode or "txt2img",
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=random_seed() if seed is None else int(seed),
            **drawn,
            **asdict(self.output),
        )

    @property
    def second_prompts(self) -> dict[str, str]:
        """What is said to the second text encoder, as fields of a job; nothing where there is none."""
        if self.model is None or not self.model.second_prompt:
            return {}
        return {name: text.value.strip() for name, text in self._texts.items()}

    @property
    def output(self) -> Output:
        """How the next job keeps its pictures."""
        return Output(
            folder=self._output.path,
            file_stem=self._stem.value.strip(),
            format=next((one for one in FORMATS if one == self._format.chosen), ""),
            quality=int(self._quality.number or 95) if self._quality.complaint is None else 95,
            tags=tags_in(self._tags.value),
        )

    def keep_in(self, output: Output) -> None:
        """Show where pictures go, too, which :meth:`fill` does not: a job that is recalled had its own place."""
        self._output.value, self._stem.value = output.folder, output.file_stem

    def _drawn(self) -> dict[str, Any]:
        """What a mode remembers and a job carries; rows that have no effect here keep their defaults."""
        assert self.model is not None
        mode = self._place[1] if self._place is not None else "txt2img"
        fields = job_fields()
        numbers = {
            name: int(one.number or 0) if fields[name].whole else float(one.number or 0)
            for name, one in self._numbers.items()
        }
        offload: Offload = next((name for name in OFFLOADS if name == self._offload.chosen), "none")
        drawn: dict[str, Any] = {
            **numbers,
            "scheduler": self._scheduler.chosen or self.model.scheduler,
            "vae": self._vae.path,
            "text_encoder": self._encoder.path,
            "controls": self._controls.controls,
            "adapters": self._adapters.adapters,
            "memory": MemoryOptions(tile_vae=self._tile.value, drop_text_encoders=self._drop.value, offload=offload),
        }
        if not self.model.clip_skip:
            drawn["clip_skip"] = 1
        told = {"row-image": ("image", self._image.path), "row-mask": ("mask", self._mask.path)}
        drawn |= {name: value for shown, (name, value) in told.items() if mode in SHOWN[shown]}
        if mode in SHOWN["row-grow-across"]:
            drawn["grow"] = self.grow
        for shown, name in {"row-strength": "strength", "row-mask-blur": "mask_blur"}.items():
            if mode not in SHOWN[shown]:
                del drawn[name]
        return drawn

    # ---- what goes together ------------------------------------------------------------------------------------

    @property
    def _seed_policy(self) -> SeedPolicy:
        return next((name for name in SEEDS if name == self._policy.chosen), "random")

    @on(Input.Changed, "#seed")
    def _seed_typed(self) -> None:
        if self._seed.value and self._seed_policy == "random":
            self._policy.value = "fixed"
        elif not self._seed.value and self._seed_policy == "fixed":
            self._policy.value = "random"

    @on(Select.Changed, "#seed_policy")
    def _policy_chosen(self) -> None:
        if self._seed_policy == "random":
            self._seed.value = ""
        elif self._seed_policy == "fixed" and not self._seed.value:
            self._seed.set_number(random_seed())

    @on(Select.Changed, "#aspect")
    def _shape_chosen(self) -> None:
        if self.model is not None and self._aspect.chosen is not None:
            area = self.model.width * self.model.height
            width, height = size_of(self._aspect.chosen, area, self.model.size_multiple)
            self._numbers["width"].set_number(width)
            self._numbers["height"].set_number(height)

    @on(Input.Changed, "#width")
    @on(Input.Changed, "#height")
    def _size_typed(self) -> None:
        width, height = self._numbers["width"].number, self._numbers["height"].number
        if self.model is None or width is None or height is None:
            return
        area = self.model.width * self.model.height
        shape = aspect_of(int(width), int(height), area, self.model.size_multiple)
        with self.prevent(Select.Changed):
            if shape is not None:
                self._aspect.value = shape
            else:
                self._aspect.clear()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _show_whether_active(self) -> None:
        """Mark the pane that has the focus. Styles by :focus-within would be found anew for every row at each step."""
        active = self in self.screen.focused.ancestors if self.screen.focused is not None else False
        if active != self.has_class("-active"):
            self.set_class(active, "-active", update=False)
            self.app.stylesheet.update_nodes([self])

    @on(Input.Changed)
    @on(PathInput.Looked)
    @on(DescendantFocus)
    def _explain(self) -> None:
        """Help for the setting that has the focus, or what is wrong with it."""
        focused = self.screen.focused
        wrong = focused.complaint if isinstance(focused, NumberInput | PathInput) else None
        if isinstance(focused, PathInput):
            wrong = (wrong or focused.doubt) if focused.value else None  # before anything is typed, nothing is wrong
        self._help.set_class(wrong is not None, "-wrong")
        self._help.update(wrong or _help(focused))
        if focused is not None and self in focused.ancestors:  # the line may have grown over it
            self.call_after_refresh(focused.scroll_visible, animate=False)


SECOND: Final = {"prompt_2": "2nd prompt", "negative_prompt_2": "2nd neg."}
"""What models with a second prompt take beside the first, and how it is called here."""

TILE_HELP: Final = "Decode the picture in tiles, which takes less memory."
DROP_HELP: Final = "Free the text encoders once the prompt is read."


def job_modes() -> frozenset[str]:
    """Every mode there is."""
    return frozenset(mode for modes in SHOWN.values() for mode in modes) | {"txt2img"}


def _help(focused: Widget | None) -> str:
    """What the setting with the focus is for, and its range."""
    if isinstance(focused, NumberInput):
        field = focused.field
        return " ".join(part for part in (field.help, field.range, field.unit) if part)
    if isinstance(focused, PathInput | Choice):
        return focused.explanation
    return str(focused.tooltip or "") if focused is not None else ""


def changed(state: ModeState, then: dict[str, Any]) -> ModeState:
    """`state` with the fields in `then` changed."""
    return replace(state, **{name: value for name, value in then.items() if name in asdict(state)})
