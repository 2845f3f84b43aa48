"""What computes in the steps is on its way while the prompt is encoded."""

import threading
from pathlib import Path

import pytest
import torch

from tests.conftest import make_job
from tests.worker.conftest import BUNDLED_PATH, CPU, PLENTY, nothing
from tui.protocol.commands import Target
from tui.worker.cancel import CancelToken
from tui.worker.component import Component, Progress
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Residents
from tui.worker.runner import JobRun, Outlet

JOB = {"prompt": "a fox", "width": 64, "height": 64, "steps": 1}


class Bench:
    """The bundled model, not placed, whose denoiser does not come before `lets_it` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.residents = Residents(CPU, torch.float32, PLENTY)
        self.model = self.residents.model("emoji-tiny", str(BUNDLED_PATH))
        self.lets_it = threading.Event()
        place = Component.place

        def held(component: Component, token: CancelToken, progress: Progress) -> None:
            if component is self.model.denoiser:
                assert self.lets_it.wait(20)
            place(component, token, progress)

        monkeypatch.setattr(Component, "place", held)

    def draw(self, path: Path) -> None:
        outlet = Outlet(nothing, nothing, nothing)
        run = JobRun(make_job(**JOB), self.model, [], self.residents, PromptCache(), None, outlet, CancelToken())
        run.make(Target(index=0, path=str(path)))


def test_the_denoiser_comes_while_the_prompt_is_encoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = Bench(monkeypatch)
    placed: list[bool] = []

    def encoding(*_: object) -> None:
        assert bench.model.denoiser is not None
        placed.append(bench.model.denoiser.placed)
        bench.lets_it.set()

    bench.model.text_encoders[0].module.register_forward_pre_hook(encoding)
    bench.draw(tmp_path / "fox.png")
    assert placed[0] is False
    assert (tmp_path / "fox.png").exists()


def test_a_prompt_that_fails_leaves_nothing_on_its_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = Bench(monkeypatch)

    def fail(*_: object) -> None:
        bench.lets_it.set()
        raise ValueError("unreadable")

    hook = bench.model.text_encoders[0].module.register_forward_pre_hook(fail)
    with pytest.raises(ValueError, match="unreadable"):
        bench.draw(tmp_path / "fox.png")
    assert all(component.placed for component in bench.model.components.values())
    hook.remove()
    bench.draw(tmp_path / "fox.png")


def test_a_denoiser_that_cannot_come_fails_the_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = Bench(monkeypatch)
    place = Component.place

    def refuse(component: Component, token: CancelToken, progress: Progress) -> None:
        if component is bench.model.denoiser:
            raise OSError("the disk is gone")
        place(component, token, progress)

    monkeypatch.setattr(Component, "place", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        bench.draw(tmp_path / "fox.png")
