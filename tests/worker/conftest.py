"""The bundled model, loaded once, on the CPU."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.engine.home import QUIET

os.environ |= QUIET | {
    "OMP_NUM_THREADS": "1"
}  # read when the libraries are imported, as the engine has it for its worker

import torch

from tests.worker.tiny_models import TinyModels
from tui.library.models import BUNDLED
from tui.library.paths import bundled_models
from tui.protocol.events import WorkerEvent
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.worker.cancel import CancelToken
from tui.worker.components import ComponentSet, load_components
from tui.worker.preview import LatentToRgb
from tui.worker.runner import JobRun

BUNDLED_PATH = bundled_models() / BUNDLED


def nothing(*_: object) -> None:
    """A listener that does not care."""


@pytest.fixture(scope="session")
def components() -> ComponentSet:
    return load_components(BUNDLED, BUNDLED_PATH, torch.device("cpu"), CancelToken(), nothing)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Small models of every family, each written when it is first asked for; not to be changed."""
    return TinyModels(tmp_path_factory.mktemp("tiny-models"))


@pytest.fixture(scope="session")
def colours(components: ComponentSet) -> LatentToRgb:
    return LatentToRgb.fit(components.parts["vae"])


class Recorded:
    """What a run told."""

    def __init__(self) -> None:
        self.events: list[WorkerEvent] = []
        self.previews: list[Preview] = []


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def run_of(components: ComponentSet, colours: LatentToRgb, recorded: Recorded) -> Callable[..., JobRun]:
    """A run of a job on the bundled model."""

    def make(job: Job, token: CancelToken | None = None) -> JobRun:
        return JobRun(
            job, components, colours, token or CancelToken(), recorded.events.append, recorded.previews.append
        )

    return make


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    """A copy of the bundled model that a test may damage."""
    return Path(shutil.copytree(BUNDLED_PATH, tmp_path / "copy"))
