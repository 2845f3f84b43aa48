"""The rows of the ControlNets of a job: one block for each, and an empty one to choose the next."""

import asyncio
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Label, Select

from tui.library.plain_text import plain
from tui.protocol.events import AnnotatorInfo
from tui.protocol.fields import fields_of
from tui.protocol.job import ANNOTATORS, Annotator, Control, Mode
from tui.protocol.snapshot import Snapshot
from tui.widgets.number_input import NumberInput
from tui.widgets.path_input import PathInput
from tui.widgets.row import Choice, row
from tui.widgets.told import Told

KINDS: Final[dict[str, Annotator]] = {
    "canny": "canny",
    "edge": "canny",
    "soft": "soft-edge",
    "hed": "soft-edge",
    "scribble": "scribble",
    "line": "line-art",
    "tile": "blur",
    "depth": "depth",
    "normal": "normal",
    "seg": "segmentation",
    "pose": "pose",
}
"""Parts of ControlNets' names, and the annotator that makes what they were trained on."""

NUMBERS: Final = ("weight", "start", "end")


def likely_annotator(controlnet: str) -> Annotator:
    """What a ControlNet of that name wants to see."""
    return next((kind for part, kind in KINDS.items() if part in controlnet.lower()), "none")


class ControlBlock(Vertical):
    """One ControlNet with its picture, its annotator, when and how strongly it acts, and its state."""

    def __init__(self, nets: list[str], annotators: list[tuple[str, str]], control: Control | None = None) -> None:
        super().__init__(classes="block")
        self._given = control
        self.known = control.model if control is not None else None
        """The ControlNet whose choice was told last."""
        self.net = Choice(
            [(plain(name), name) for name in nets],
            "A ControlNet holds the picture to the lines, depths or poses of another one.",
            prompt="none",
            value=self.known if self.known in nets else None,
            classes="control-net",
        )
        self.image = PathInput(
            "The ControlNet's picture", "The picture that controls, a path on the box.", required=True
        )
        self.image.value = control.image if control is not None else ""
        self.annotator = Choice(
            annotators,
            "How the control image is made from the picture; none takes it as it is.",
            blank=False,
            value=control.annotator if control is not None else "none",
            classes="annotator",
        )
        fields = fields_of(Control)
        self.numbers = {name: NumberInput(fields[name], float(getattr(control or EMPTY, name))) for name in NUMBERS}
        self._state = Told(classes="state", markup=False)

    def compose(self) -> ComposeResult:
        """The rows; all but the first are seen once a ControlNet is chosen."""
        numbers = self.numbers
        yield row("ControlNet", self.net)
        with Vertical(classes="more"):
            yield row("  Picture", self.image)
            yield row("  Made by", self.annotator)
            yield row("  Weight", numbers["weight"])
            yield row("  Acts", numbers["start"], Label("to "), numbers["end"])
            yield self._state

    def on_mount(self) -> None:
        """An empty block is one row."""
        self.set_class(self.net.chosen is None, "-empty")

    @property
    def inputs(self) -> list[NumberInput | PathInput]:
        """What may be wrong in it."""
        return [self.image, *self.numbers.values()] if self.net.chosen is not None else []

    @property
    def control(self) -> Control | None:
        """What it says; None while no ControlNet is chosen."""
        if self.net.chosen is None:
            return None
        numbers = {name: float(one.number or 0) for name, one in self.numbers.items() if one.complaint is None}
        annotator = next((one for one in ANNOTATORS if one == self.annotator.chosen), "none")
        base = self._given if self._given is not None and self._given.model == self.net.chosen else EMPTY
        return replace(base, model=self.net.chosen, image=self.image.path, annotator=annotator, **numbers)

    def show_state(self, snapshot: Snapshot) -> None:
        """How far the ControlNet is."""
        state = snapshot.control_states.get(self.net.chosen or "")
        if state is None or self.net.chosen is None:
            self._state.update("")
        elif state.problem is not None:
            self._state.update(plain(str(state.problem)))
        elif state.phase == "loading" and (loading := snapshot.loading) is not None:
            self._state.update(f"  loading {100 * loading.done_bytes // max(loading.total_bytes, 1)} %")
        else:
            self._state.update(f"  {state.phase}")


EMPTY: Final = Control(model="", image="")


class ControlRows(Vertical):
    """Blocks, the last of them empty."""

    class Chosen(Message):
        """Another ControlNet is meant, or one no longer."""

        def __init__(self, name: str, *, wanted: bool) -> None:
            super().__init__()
            self.name = name
            self.wanted = wanted

    def __init__(self) -> None:
        super().__init__(id="controls")
        self._nets: list[str] = []
        self._annotators: list[tuple[str, str]] = [(name, name) for name in ANNOTATORS]
        self._blocks: list[ControlBlock] = []
        self._showing = asyncio.Lock()

    @property
    def controls(self) -> list[Control]:
        """What the blocks say."""
        return [control for block in self._blocks if (control := block.control) is not None]

    @property
    def inputs(self) -> Iterable[NumberInput | PathInput]:
        """What may be wrong in them."""
        return (one for block in self._blocks for one in block.inputs)

    def offer(self, nets: dict[str, list[Mode]], mode: Mode) -> None:
        """Offer the ControlNets that fit the model and work in `mode`; those chosen already stay where they fit."""
        names = [name for name, modes in nets.items() if mode in modes]
        if names != self._nets:
            self._nets = names
            self.fill([control for control in self.controls if control.model in names])

    def offer_annotators(self, annotators: list[AnnotatorInfo]) -> None:
        """Offer what can make control images here; those that cannot work are marked."""
        self._annotators = [
            (one.name if one.problem is None else f"{one.name} (needs more)", one.name) for one in annotators
        ] or self._annotators

    def fill(self, controls: list[Control]) -> None:
        """Show `controls`, where they fit."""
        self._blocks = [
            ControlBlock(self._nets, self._annotators, control) for control in controls if control.model in self._nets
        ]
        if self._nets:
            self._blocks.append(ControlBlock(self._nets, self._annotators))
        self.run_worker(self._show(self._blocks))

    async def _show(self, blocks: list[ControlBlock]) -> None:
        """One after the other: a block must stand whole before it may go."""
        async with self._showing:
            if blocks is self._blocks:
                await self.remove_children()
                await self.mount_all(block for block in blocks if not block.is_attached)

    def add(self, net: str, image: str) -> None:
        """One more ControlNet, which looks at `image`."""
        self.fill([*self.controls, Control(model=net, image=image, annotator=likely_annotator(net))])
        self.post_message(self.Chosen(net, wanted=True))

    @property
    def nets(self) -> list[str]:
        """What can be chosen."""
        return self._nets

    def show_state(self, snapshot: Snapshot) -> None:
        """How far each is."""
        for block in self._blocks:
            block.show_state(snapshot)

    @on(Select.Changed, ".control-net")
    def _choose(self, event: Select.Changed) -> None:
        event.stop()
        block = next((one for one in self._blocks if one.net is event.select), None)
        if block is None or block.known == block.net.chosen:
            return
        before, block.known = block.known, block.net.chosen
        block.set_class(block.known is None, "-empty")
        if before is not None and before not in [one.known for one in self._blocks]:
            self.post_message(self.Chosen(before, wanted=False))
        if block.known is not None:
            block.annotator.value = likely_annotator(block.known)
            self.post_message(self.Chosen(block.known, wanted=True))
        self._keep_one_empty()

    def _keep_one_empty(self) -> None:
        empty = [block for block in self._blocks if block.known is None]
        for block in empty[:-1]:
            self._blocks.remove(block)
            block.remove()
        if not empty:
            self._blocks.append(ControlBlock(self._nets, self._annotators))
            self.mount(self._blocks[-1])
