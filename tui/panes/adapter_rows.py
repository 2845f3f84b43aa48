"""The rows of the LoRAs of a job: a file and a weight each, and an empty one for the next."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from tui.library.adapter_names import adapter_place
from tui.library.plain_text import plain
from tui.protocol.fields import fields_of
from tui.protocol.job import Adapter
from tui.widgets.number_input import NumberInput
from tui.widgets.path_input import PathInput
from tui.widgets.row import row


class AdapterRow(Vertical):
    """One LoRA."""

    def __init__(self, adapter: Adapter | None = None) -> None:
        super().__init__(classes="block")
        self._given = adapter
        self.path = PathInput(
            "A LoRA's file", "A LoRA's file on the box. Enter or Ctrl+F chooses one of the library.", kind="lora"
        )
        self._words = Static(classes="state", markup=False)
        self.path.add_class("lora")
        self.path.value = str(adapter_place(Path(adapter.path))) if adapter is not None else ""
        self.weight = NumberInput(fields_of(Adapter)["weight"], adapter.weight if adapter is not None else 1.0)

    def compose(self) -> ComposeResult:
        """Path and weight."""
        yield row("LoRA", self.path, self.weight)
        yield self._words

    def on_mount(self) -> None:
        """No line before there are words, and no weight of nothing."""
        self._words.display = False
        self.weight.visible = bool(self.path.value)

    @on(Input.Changed, ".lora")
    def _show_weight(self) -> None:
        self.weight.visible = bool(self.path.value)

    def take(self, path: str, words: list[str]) -> None:
        """Name the file at `path`, and tell its trigger words."""
        self.path.value = str(adapter_place(Path(path)))
        self._words.display = bool(words)
        self._words.update(plain(f"words: {', '.join(words)}"))

    @property
    def adapter(self) -> Adapter | None:
        """What it says; None while it names no file."""
        if not self.path.path:
            return None
        base = self._given or Adapter(path="")
        weight = base.weight if self.weight.complaint is not None else float(self.weight.number or 0)
        return replace(base, path=self.path.path, weight=weight)


class AdapterRows(Vertical):
    """Rows, the last of them empty."""

    def __init__(self) -> None:
        super().__init__(id="adapters")
        self._rows: list[AdapterRow] = []
        self._showing = asyncio.Lock()

    def on_mount(self) -> None:
        """Room for the first."""
        self.fill([])

    @property
    def adapters(self) -> list[Adapter]:
        """What the rows say."""
        return [adapter for one in self._rows if (adapter := one.adapter) is not None]

    @property
    def inputs(self) -> Iterable[NumberInput | PathInput]:
        """What may be wrong in them."""
        return (part for one in self._rows for part in (one.path, one.weight))

    def fill(self, adapters: list[Adapter]) -> None:
        """Show `adapters`."""
        self._rows = [*(AdapterRow(adapter) for adapter in adapters), AdapterRow()]
        self.run_worker(self._show(self._rows))

    async def _show(self, rows: list[AdapterRow]) -> None:
        """One after the other: a row must stand whole before it may go."""
        async with self._showing:
            if rows is self._rows:
                await self.remove_children()
                await self.mount_all(one for one in rows if not one.is_attached)

    @on(Input.Changed, ".lora")
    def _keep_one_empty(self) -> None:
        if self._rows and self._rows[-1].path.value:
            self._rows.append(AdapterRow())
            self.mount(self._rows[-1])
