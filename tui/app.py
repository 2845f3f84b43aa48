"""The app: one engine client, the screens, the keys that work on all of them."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from textual import on, work
from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.events import Event, Key, Paste
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES
from textual.widget import AwaitMount

from tui.client import EngineClient, Starter
from tui.end_signal import GIVE_BACK_TITLE, KEEP_TITLE, end_signal, title
from tui.keymap_files import complaints, new_clashes, read_keymap
from tui.library.paths import Paths, shipped_themes, short_path
from tui.library.settings import Settings, load_settings
from tui.protocol.commands import ChangeSetting, Pause, Resume, Retry, Shutdown, UnloadModel
from tui.protocol.events import ClientEvent, JobDone, JobFailed, JobRecord, SettingsRead, Warning
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot
from tui.screens.choose import ChooseScreen
from tui.screens.engine_screen import EngineScreen, tell
from tui.screens.gallery import GalleryScreen
from tui.screens.help import HelpScreen
from tui.screens.key_places import built_in_keys, keys_by_place
from tui.screens.log import LogScreen
from tui.screens.models import ModelsScreen
from tui.screens.queue import QueueScreen
from tui.screens.settings import SettingsScreen
from tui.screens.studio import StudioScreen
from tui.screens.sweep import SweepScreen
from tui.screens.themes import choose_theme
from tui.screens.tour import TourScreen
from tui.screens.viewer import ViewerScreen
from tui.terminal.pictures import Pictures
from tui.terminal.probe import Probe
from tui.theme_files import read_themes, signature, with_lines
from tui.widgets.completing_input import CompletingInput
from tui.widgets.picture_app import PictureApp
from tui.widgets.status_line import PLACES, StatusLine
from tui.widgets.typed_ahead import TypedAhead

PAINT_EVERY: Final = 0.1
"""Seconds between two looks at what has changed; events between them are painted together."""

SLIM: Final = 76
"""Columns from which on a message has room for as wide a line as it ever takes."""

MASK: Final = 0.005
"""Seconds for which a change of screens holds back what is painted."""

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the user's own themes."""

REST: Final = 0.5
"""Seconds without a key after which a screen is made that was not gone to yet."""

COMMANDS_HELP: Final = "Everything that can be done here, by name"

MOVES: Final = frozenset({"move", "cursor", "lines", "page", "end", "count", "commands"})
"""Actions that nobody looks for by name."""

KEYS: Final = {
    "space": "Space",
    "esc": "Esc",
    "tab": "Tab",
    "⏎": "Enter",
    "pgup": "PgUp",
    "pgdn": "PgDn",
    "home": "Home",
    "end": "End",
    "del": "Del",
}
"""Keys by what Textual prints for them."""

SCREENS: Final[dict[str, Callable[[EngineClient], EngineScreen]]] = {
    "studio": StudioScreen,
    "gallery": GalleryScreen,
    "queue": QueueScreen,
    "models": ModelsScreen,
    "sweep": SweepScreen,
    "settings": SettingsScreen,
    "log": LogScreen,
}
"""What stands in each place. Each is made once and kept: when nobody types, or when it is gone to before that."""

SHOWN_PLACES: Final = frozenset({"studio", "gallery", "queue", "models"})
"""Those that the line of keys names."""


KEYS_WIDTH: Final = 9
"""Cells for keys in the list of commands."""


class Command(Struct, frozen=True):
    """Something that can be done, for the list of commands."""

    name: str
    help: str
    run: Callable[[], object]
    key: str = ""

    @property
    def line(self) -> str:
        """The key, the name, what it does."""
        return f"{self.key:<{KEYS_WIDTH}} {self.name:<18} {self.help}".rstrip()


class LatenttyApp(PictureApp[int]):
    """Attaches to an engine and shows what it does. Nothing here waits for it."""

    TITLE = "Latentty"
    CSS_PATH = [f"screens/{name}.tcss" for name in ("studio", "gallery", "queue", "models", "sweep")]
    """Of all places at once: what is read later has every screen styled anew."""
    CSS = """
    Screen { background: $background; }
    ModalScreen { background: transparent; }
    * {
        scrollbar-color: $border-blurred;
        scrollbar-color-hover: $accent;
        scrollbar-color-active: $accent;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-corner-color: $background;
    }
    Input > .input--placeholder, TextArea .text-area--placeholder { color: $text-muted; }
    Toast { width: auto; max-width: 72; padding: 0 1; background: $panel; }
    App.-slim Toast { max-width: 90%; }
    """
    ENABLE_COMMAND_PALETTE = False  # Textual's own names other things than ours, and looks otherwise
    BINDINGS = [
        Binding("f1", "help", "Help", priority=True, id="help"),
        Binding("ctrl+p", "commands", "Commands", priority=True, show=False, id="commands", tooltip=COMMANDS_HELP),
        *(
            Binding(
                str(number),
                f"go('{place}')",
                place.capitalize(),
                show=place in SHOWN_PLACES,
                id=f"{place}.number",
            )
            for number, place in enumerate(PLACES, 1)
        ),
        *(
            Binding(
                f"f{number + 1},alt+{number}",
                f"go('{place}')",
                place.capitalize(),
                priority=True,
                show=place in SHOWN_PLACES,
                id=place,
            )
            for number, place in enumerate(PLACES, 1)
        ),
        Binding("f9", "view", "View", priority=True, show=False, id="view", tooltip="The last picture, full screen"),
        Binding("f10", "quit", "Quit", priority=True, id="quit"),
        Binding("ctrl+q", "quit", "Quit", priority=True, show=False, id="quit.too"),
        Binding("ctrl+z", "suspend_process", "Suspend", priority=True, show=False, id="suspend"),
    ]

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        pictures: Pictures | None = None,
        probe: Probe | None = None,
        *,
        tour: bool = False,
        starter: Starter | None = None,
    ) -> None:
        """`pictures` and `probe` are the terminal's; without them pictures are text. `tour` begins with one.

        `starter` starts an engine already.
        """
        super().__init__(pictures, probe)
        self._client = EngineClient(paths, self, starter=starter)
        self._settings = settings
        self._paths = paths
        self._themes_seen = signature(paths.themes)
        self._changed = False
        self._title = ""
        self._warned: list[Problem] = []
        """The lasting warnings that were told."""
        self._ended = ""
        """How the last job ended that did so while the app was open."""
        self._tour = tour
        self._pressed_at = 0.0
        """When a key was pressed last."""
        self.typed_ahead = TypedAhead(self, super().on_event)
        """The keys that were not given yet."""
        self._open: dict[str, EngineScreen] = {}
        self._studio = StudioScreen(self._client)

    # ---- life --------------------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """Paint first; look for the engine once the studio stands."""
        self.animation_level = "none"
        self._give_keys()
        for number in (signal.SIGHUP, signal.SIGTERM):  # a lost terminal: leave as by the key
            asyncio.get_running_loop().add_signal_handler(number, self.call_later, self._end)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self._write(KEEP_TITLE)
        self._read_themes()
        self._use_theme()
        self._use_keymap()
        for name in PLACES:
            self.add_mode(name, partial(self._opened, name))
        await self.switch_mode("studio")
        if self._tour:
            self._show_tour()
        self.set_interval(PAINT_EVERY, self._paint)
        self.set_interval(LOOK_EVERY, self._look_at_themes)
        self.call_after_refresh(self._stay_attached)

    def on_resize(self) -> None:
        """Keep messages within the screen. A part of its width cuts the last word of some, so only where it is slim."""
        self.set_class(self.size.width < SLIM, "-slim")

    def on_unmount(self) -> None:
        """The terminal gets the title back that it had."""
        self._write(GIVE_BACK_TITLE)

    def _write(self, text: str) -> None:
        """Send to the terminal what it shows outside the screen."""
        if self._driver is not None:
            self._driver.write(text)

    def _look_at_themes(self) -> None:
        """Take up what the user changed in a theme's file."""
        found = signature(self._paths.themes)
        if found != self._themes_seen:
            self._themes_seen = found
            self._read_themes()
            self.mutate_reactive(App.theme)

    def _read_themes(self) -> None:
        themes, problems = read_themes([shipped_themes(), self._paths.themes])
        for theme in (*map(with_lines, BUILTIN_THEMES.values()), *themes):
            self.register_theme(theme)
        for problem in problems:
            tell(self, problem)

    def _use_theme(self) -> None:
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        else:
            tell(self, Problem(code="bad_request", cause=f"There is no theme called {self._settings.theme!r}."))

    def _use_keymap(self) -> None:
        """The user's own keys; what is wrong with them is told, and the rest works."""
        try:
            keymap = read_keymap(self._paths.keymap_file)
        except LatenttyError as error:
            tell(self, error.problem)
            return
        wrong = complaints(keymap, built_in_keys(type(self))) + new_clashes(keymap.all, keys_by_place(type(self)))
        for cause in wrong:
            tell(self, Problem(code="bad_request", cause=cause, hint=f"Correct {self._paths.keymap_file}."))
        self.set_keymap(keymap.all)
        for screen in self._open.values():
            screen.status.refresh()

    @on(SettingsScreen.Saved)
    def _setting_saved(self, event: SettingsScreen.Saved) -> None:
        if event.name.startswith("key"):
            self._use_keymap()

    def _follow_settings(self) -> None:
        """Go by what was changed, here or elsewhere."""
        try:
            self._settings = load_settings(self._paths)
        except LatenttyError as error:
            tell(self, error.problem)
        else:
            self._use_theme()

    def _opened(self, name: str) -> EngineScreen:
        if name == "studio":
            self._open[name] = self._studio
        else:
            self._open[name] = SCREENS[name](self._client)
            self._open[name]._css_update_count = self._css_update_count  # it is styled as it is made; no other need be
        return self._open[name]

    @work(group="ready", exclusive=True)
    async def _make_ready(self) -> None:
        """Make the screens that were not gone to yet, one by one while nobody types, so that all are there at once."""
        for name in PLACES:
            if name not in self._open:
                await self._rest()
                if not self.is_running:  # the screens are being closed
                    return
                await self._init_mode(name)

    async def _rest(self) -> None:
        """Return once nobody has typed for a while."""
        await asyncio.sleep(REST)
        while (left := self._pressed_at + REST - time.monotonic()) > 0:  # noqa: ASYNC110 - keys set no event
            await asyncio.sleep(left)

    @work(group="engine")
    async def _stay_attached(self) -> None:
        await self._client.run()

    async def on_event(self, event: Event) -> None:
        """Know when somebody types, and give what is typed in its order."""
        if isinstance(event, Key):
            self._pressed_at = time.monotonic()
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self.typed_ahead.take(event)
        else:
            await super().on_event(event)

    @work(group="typed ahead")
    async def _give_keys(self) -> None:
        await self.typed_ahead.run()

    @property
    def place(self) -> EngineScreen | None:
        """The screen that is seen, below whatever lies over it."""
        return self._open.get(self.current_mode)

    def _paint(self) -> None:
        """Show what has changed since the last time; nothing when nothing has."""
        place, snapshot = self.place, self._client.snapshot
        if self._changed and not self.is_behind and snapshot is not None and place is not None and place.is_mounted:
            self._changed = False
            place.show_state(snapshot)
            self._show_title(snapshot)

    # ---- what the client tells: nothing while the app comes to its end -----------------------------------------

    def engine_attached(self, snapshot: Snapshot) -> None:
        """An engine answers."""
        self._changed = True
        if len(self._open) == 1:
            self._make_ready()
        for problem in snapshot.warnings:
            self._warn(problem)
        for screen in self._listening():
            screen.engine_attached(snapshot)

    def engine_event(self, event: ClientEvent) -> None:
        """Something happened."""
        self._changed = True
        assert self._client.snapshot is not None
        if isinstance(event, Warning):
            self._warn(event.problem, lasting=event.lasting)
        if isinstance(event, SettingsRead) and self.is_running:
            self._follow_settings()
        for screen in self._listening():
            screen.engine_event(event, self._client.snapshot)
        if isinstance(event, JobDone | JobFailed) and self.is_running:
            self._tell_end(self._client.snapshot.jobs.get(event.job_id))

    def _warn(self, problem: Problem, *, lasting: bool = True) -> None:
        """Tell what is not as it should be; what stays so is told once, however often the engine is attached to."""
        if self.is_running and problem not in self._warned:
            tell(self, problem)
            if lasting:
                self._warned.append(problem)

    def _tell_end(self, record: JobRecord | None) -> None:
        """Give a sign when a long job ends: whoever asked for it looks elsewhere by now."""
        if record is None:
            return
        self._ended = "failed" if record.state == "failed" else "done"
        after = self._settings.ring_after
        if not after or record.started is None or record.finished is None:
            return
        if record.finished - record.started >= after:
            text = f"Latentty: {self._ended}: {record.job.prompt[:80] or record.job.model}"
            self._write(end_signal(self._settings.ring_with, text, os.environ))

    def _show_title(self, snapshot: Snapshot) -> None:
        """The terminal's own title says what goes on; nothing is sent while that stays the same."""
        waiting = len(snapshot.waiting)
        does = "drawing" if snapshot.running else "" if waiting else self._ended
        text = " · ".join(part for part in ("Latentty", does, f"{waiting} waiting" if waiting else "") if part)
        if text != self._title:
            self._title = text
            self._write(title(text))

    def engine_preview(self, preview: Preview) -> None:
        """The picture as it forms."""
        self._changed = True
        self._studio.engine_preview(preview)

    def engine_detached(self, problem: Problem | None) -> None:
        """No engine answers."""
        for screen in self._listening():
            screen.engine_detached(problem)

    def engine_silent(self, problem: Problem | None) -> None:
        """The engine says nothing, or does again; every screen's first line tells."""
        self._changed = True
        if problem is not None and self.is_running:
            tell(self, problem)

    def _listening(self) -> list[EngineScreen]:
        """The screens whose widgets are all there."""
        return [screen for screen in self._open.values() if screen.is_mounted] if self.is_running else []

    # ---- what the user asks for --------------------------------------------------------------------------------

    @on(CompletingInput.Asked)
    def _path_typed(self, event: CompletingInput.Asked) -> None:
        if self._client.is_attached:
            self._complete_path(event.place, event.text)

    @work(group="paths", exclusive=True)
    async def _complete_path(self, place: CompletingInput, text: str) -> None:
        """Offer how a path goes on; where the engine cannot tell, nothing is offered."""
        try:
            place.take(text, await self._client.complete(text, folders=place.completes == "folder"))
        except LatenttyError as error:
            self.log.debug(str(error))

    def delay_update(self, delay: float = MASK) -> None:
        """Paint no half of a change. Screens are kept, so that takes them no longer than it takes to show them."""
        super().delay_update(min(delay, MASK))

    def switch_mode(self, mode: str) -> AwaitMount:
        """Show another screen, which may want to know before it is drawn."""
        if (screen := self._open.get(mode)) is not None and screen.is_mounted:
            screen.will_show()
        return super().switch_mode(mode)

    @on(StatusLine.Asked)
    def _place_clicked(self, event: StatusLine.Asked) -> None:
        self.switch_mode(event.place)

    def action_go(self, place: str) -> None:
        """Go to a screen; what lies over the one that is seen stays there."""
        self.switch_mode(place)

    @on(ModelsScreen.UseFile)
    def _use_file(self, event: ModelsScreen.UseFile) -> None:
        self.switch_mode("studio")
        self._studio.use_file(event.file)

    @on(ModelsScreen.Use)
    def _use_model(self, event: ModelsScreen.Use) -> None:
        self._studio.settings.choose(event.model)
        self.switch_mode("studio")

    @on(SweepScreen.Begin)
    def _begin_sweep(self, event: SweepScreen.Begin) -> None:
        draft, screen = self._studio.draft(), self._open["sweep"]
        assert isinstance(screen, SweepScreen)
        if isinstance(draft, Job):
            screen.begin(draft, event.axes)
        else:
            self.notify(draft, severity="warning", markup=False)

    @on(GalleryScreen.TakeOver)
    @on(QueueScreen.Edit)
    def _take_over(self, event: GalleryScreen.TakeOver | QueueScreen.Edit) -> None:
        self._studio.take_over(event.job)
        self.switch_mode("studio")

    def action_help(self) -> None:
        """Show the keys that work now; where they are shown, no longer."""
        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            about = getattr(self.screen, "ABOUT", "")
            self.push_screen(HelpScreen(self.screen.active_bindings.values(), about))

    def action_view(self) -> None:
        """Show the last pictures over the whole screen."""
        snapshot = self._client.snapshot
        if isinstance(self.screen, ViewerScreen):
            self.screen.dismiss()
        elif snapshot is None or not snapshot.pictures:
            self.notify("There is no picture yet.")
        else:
            self.push_screen(ViewerScreen(self._client, snapshot.pictures))

    async def _end(self, message: str | None = None) -> None:
        """Keep what was typed last, and leave with `message`: the terminal is gone, or someone wants the app to be."""
        await self._studio.keep_all()
        self.exit(0, message=message)

    async def action_quit(self) -> None:
        """Leave; the engine goes on."""
        await self._end(self._farewell())

    def get_key_display(self, binding: Binding) -> str:
        """Keys as they are printed on keyboards: ^G, F1 and Shift+Tab, not ^g, f1 and shift+tab."""
        shown = super().get_key_display(binding)
        if shown.startswith("^"):
            return f"^{KEYS.get(shown[1:], shown[1:].upper())}"
        if shown[1:].isdecimal():
            return shown.upper()
        if "+" in shown[:-1]:
            return "+".join(KEYS.get(part, part.capitalize()) for part in shown.split("+"))
        return KEYS.get(shown, shown)

    def _farewell(self) -> str:
        snapshot = self._client.snapshot
        left = sum(record.open for record in snapshot.jobs.values()) if snapshot is not None else 0
        if not left:
            pictures = short_path(self._settings.pictures(self._paths))
            return f"Pictures are in {pictures}\nThe engine stays ready. End it with: latentty engine stop"
        jobs = "1 job goes" if left == 1 else f"{left} jobs go"
        return f"{jobs} on without this window. See how far: latentty"

    @work(group="palette", exclusive=True)
    async def action_commands(self) -> None:
        """Choose what to do by a part of its name; where the list is shown, no longer."""
        if isinstance(self.screen, ChooseScreen):
            self.screen.dismiss(None)
            return
        commands = [*self._with_keys(self.screen), *self._without_keys()]
        lines, names = [one.line for one in commands], [one.name for one in commands]
        chosen = await self.push_screen_wait(ChooseScreen("Commands", lines, "part of a name", names=names))
        if chosen is not None:
            done = commands[chosen].run()
            if isinstance(done, Awaitable):
                await done

    def _with_keys(self, screen: Screen[Any]) -> Iterable[Command]:
        """What the keys that work now do, each thing once."""
        found: dict[str, list[ActiveBinding]] = {}
        for active in screen.active_bindings.values():
            name = active.binding.action.partition("(")[0].removeprefix("screen.")
            if active.binding.id is not None and active.enabled and name not in MOVES:
                found.setdefault(active.binding.description, []).append(active)
        for name, those in found.items():
            first, *more = dict.fromkeys(self.get_key_display(one.binding) for one in those)
            keys = " ".join([first, *(key for key in more if len(first) + len(key) < KEYS_WIDTH)][:2])
            run = partial(self.run_action, those[0].binding.action, those[0].node)
            yield Command(name, those[0].binding.tooltip, run, keys)

    def _without_keys(self) -> Iterable[Command]:
        studio = self._studio
        yield Command("Save prompt", "Keep what is written under a name", studio.action_save_prompt)
        yield Command("Theme", "Choose other colours", self._choose_theme)
        yield Command("Tour", "What to press first", self._show_tour)
        yield Command("Pause queue", "Start no further job", lambda: studio.ask(Pause()))
        yield Command("Resume queue", "Start jobs again", lambda: studio.ask(Resume()))
        yield Command("Retry failed jobs", "Queue every one of them again", self._retry_failed)
        yield Command("Load model", "Bring the chosen model to the device now", studio.load_model)
        yield Command("Unload models", "Free the device's memory", lambda: studio.ask(UnloadModel()))
        yield Command("Stop engine", "End it; waiting jobs are kept", lambda: studio.ask(Shutdown()))

    def _show_tour(self) -> None:
        self.push_screen(TourScreen(short_path(self._settings.pictures(self._paths))))

    @work(group="theme", exclusive=True)
    async def _choose_theme(self) -> None:
        """Take a theme and keep it."""
        chosen = await choose_theme(self)
        if chosen is not None:
            self._settings = replace(self._settings, theme=chosen)
            await self._studio.result(ChangeSetting(name="theme", value=chosen))

    def _retry_failed(self) -> None:
        snapshot = self._client.snapshot
        for record in list(snapshot.jobs.values()) if snapshot is not None else []:
            if record.state == "failed":
                self._studio.ask(Retry(job_id=record.job.id))
