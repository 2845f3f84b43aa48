"""A small app for the terminal tests: shows pictures when told to by keys. Run as a program in a pseudo terminal.

With `--textual-image` the same is shown by `textual_image.widget.Image`, to compare.
"""

import asyncio
import os
import signal
import sys
import time

from PIL import Image, ImageChops, ImageDraw, ImageFilter
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.terminal.pictures import Pictures
from tui.terminal.probe import Probe
from tui.widgets.picture_app import PictureApp
from tui.widgets.picture_view import PictureView

SIDE = 1024


def photo(side: int = SIDE) -> Image.Image:
    """Noise of every scale, grain and some shapes: as hard to compress as a photograph. Always the same."""
    channels = []
    for channel in range(3):
        whole = Image.new("F", (side, side), 128.0)
        size, weight = 2, 90.0
        while size <= side // 2:
            noise = _noise(size, size * 3 + channel).resize((side, side), Image.Resampling.BICUBIC)
            whole = _add(whole, noise, weight / 128)
            size, weight = size * 2, weight * 0.55
        channels.append(whole.convert("L"))
    image = Image.merge("RGB", channels)
    draw = ImageDraw.Draw(image, "RGBA")
    for index in range(6):
        left, top, across = index * 150 % side, index * 370 % side, 90 + 40 * index
        draw.ellipse((left, top, left + across, top + across), fill=(40 * index, 200 - 30 * index, 90, 150))
    image = image.filter(ImageFilter.GaussianBlur(1))
    grain = Image.merge("RGB", [_noise(side, 99)] * 3)
    return ImageChops.add(image, grain.point([(value - 128) // 12 + 128 for value in range(256)] * 3), 1, -128)


def _noise(size: int, seed: int) -> Image.Image:
    import random

    return Image.frombytes("L", (size, size), random.Random(seed).randbytes(size * size))


def _add(whole: Image.Image, noise: Image.Image, weight: float) -> Image.Image:
    from PIL import ImageMath

    return ImageMath.lambda_eval(
        lambda given: given["whole"] + (given["noise"] - 128) * given["weight"],
        whole=whole,
        noise=noise.convert("F"),
        weight=weight,
    )


class Dialog(ModalScreen[None]):
    """Lies over the picture."""

    BINDINGS = [("escape", "dismiss", "Close")]
    CSS = "Dialog { align: center middle; } Dialog Static { width: 60; height: 12; background: $panel; }"

    def compose(self) -> ComposeResult:
        yield Static("A dialog")


class Stall:
    """The longest time in which the event loop did nothing."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, time.perf_counter() - before - 0.005)


KEYS = {
    "f2": "show_still",
    "f3": "show_ten",
    "f4": "dialog",
    "f5": "toast",
    "f6": "show_many",
    "f7": "stall",
    "f8": "crash",
    "f9": "nothing",
    "f10": "quit",
}
ACTIONS = [(key, action, action) for key, action in KEYS.items()]


class Show:
    """What both apps do."""

    CSS = """
    #left { width: 42; }
    #left Input { margin: 1; }
    #picture { width: 1fr; height: 1fr; }
    #words { height: 6; }
    """

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="left"):
                yield Input(placeholder="first", id="first")
                yield Input(placeholder="second")
                yield Static("words", id="words")
            yield self.view

    def on_mount(self) -> None:
        self.animation_level = "none"
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.exit)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        for one in self.query(Input):
            one.cursor_blink = False
        self.photo = Image.open(os.environ["SHOW_PHOTO"]).convert("RGB")
        self.frames = [self.photo.resize((128, 128)).rotate(20 * turn) for turn in range(10)]
        self.stall = Stall()
        self.asked = 0
        self.run_worker(self.stall.watch())
        self.say("ready")

    def say(self, words: str) -> None:
        self.query_one("#words", Static).update(words)

    def put(self, image: Image.Image | None, live: bool) -> None:
        raise NotImplementedError

    def action_show_still(self) -> None:
        self.put(self.photo, False)

    def action_show_ten(self) -> None:
        self.run_worker(self.ten())

    async def ten(self) -> None:
        for number, frame in enumerate(self.frames):
            self.put(frame, True)
            self.say(f"step {number}")
            await asyncio.sleep(0.12)
        self.put(self.photo, False)
        self.say("shown ten")

    def action_show_many(self) -> None:
        self.run_worker(self.many())

    async def many(self) -> None:
        for number in range(200):
            self.put(self.frames[number % 10], True)
            await asyncio.sleep(0.02)
        self.say("shown many")

    def action_dialog(self) -> None:
        self.push_screen(Dialog())

    def action_toast(self) -> None:
        self.notify("a toast", timeout=60)

    def action_stall(self) -> None:
        self.asked += 1  # at both ends, so that all between them is sent anew
        self.say(f"{self.asked % 10} stall {self.stall.worst * 1000:.0f} ms {self.asked % 10}")
        self.stall.worst = 0.0

    def action_nothing(self) -> None:
        self.put(None, False)

    def action_crash(self) -> None:
        raise RuntimeError("on purpose")


class ShowApp(Show, PictureApp[None]):
    """With our widget."""

    BINDINGS = ACTIONS

    def __init__(self, pictures: Pictures, probe: Probe) -> None:
        self.view = PictureView(id="picture")
        super().__init__(pictures, probe)

    def put(self, image: Image.Image | None, live: bool) -> None:
        self.view.show(image, live=live)


def show_other() -> None:
    """With textual-image's widget, the way that its documentation has it."""
    from textual_image.widget import Image as OtherImage

    class OtherApp(Show, App[None]):
        BINDINGS = ACTIONS

        def __init__(self) -> None:
            self.view = OtherImage(id="picture")
            self.view.styles.width = self.view.styles.height = "auto"
            super().__init__()

        def put(self, image: Image.Image | None, live: bool) -> None:
            self.view.image = image

    OtherApp().run()


def show() -> None:
    """With ours."""
    with Probe() as probe:
        probe.ask()
        terminal = probe.terminal()
        if terminal.truecolor:
            os.environ["COLORTERM"] = "truecolor"
        ShowApp(Pictures(terminal, os.environ.get("SHOW_PREVIEW", "auto")), probe).run()


if __name__ == "__main__":
    show_other() if "--textual-image" in sys.argv else show()
