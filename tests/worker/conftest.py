"""The bundled model, loaded once, on the CPU."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tui.engine.home import QUIET

# read when the libraries are imported; the engine sets the same for its worker
os.environ |= QUIET

import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

from tests.worker.tiny_models import TinyModels
from tui.library.models import BUNDLED
from tui.library.paths import bundled_models
from tui.protocol.events import WorkerEvent
from tui.protocol.frames import Preview
from tui.protocol.job import Job
from tui.worker.cancel import CancelToken
from tui.worker.preview import LatentToRgb
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import ControlInput, JobRun, Outlet

CPU = torch.device("cpu")
PLENTY = 8 << 30
"""Bytes of budget in which everything fits."""

BUNDLED_PATH = bundled_models() / BUNDLED


def nothing(*_: object) -> None:
    """A listener that does not care."""


@pytest.fixture(scope="session", autouse=True)
def small_references() -> Iterator[None]:
    """Qwen-Image's editors look at a megapixel whatever they are given; in tests at a sixty-fourth of that."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus):
            real = module.calculate_dimensions
            patch.setattr(module, "calculate_dimensions", lambda area, ratio, real=real: real(area // 64, ratio))
        yield


@pytest.fixture(scope="session")
def residents() -> Residents:
    return Residents(CPU, torch.float32, PLENTY)


@pytest.fixture(scope="session")
def bundled(residents: Residents) -> Model:
    """The bundled model, on the device."""
    model = residents.model(BUNDLED, str(BUNDLED_PATH))
    residents.ensure(model.components.values(), CancelToken(), nothing)
    return model


@pytest.fixture(scope="session")
def colours(bundled: Model) -> LatentToRgb:
    return LatentToRgb.fit(bundled.components["vae"].module)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Small models of every family, each written when it is first asked for; not to be changed."""
    return TinyModels(tmp_path_factory.mktemp("tiny-models"))


class Recorded:
    """What a run told."""

    def __init__(self) -> None:
        self.events: list[WorkerEvent] = []
        self.previews: list[Preview] = []


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def run_of(residents: Residents, bundled: Model, colours: LatentToRgb, recorded: Recorded) -> Callable[..., JobRun]:
    """A run of a job on the bundled model."""

    def make(
        job: Job,
        token: CancelToken | None = None,
        controls: Sequence[ControlInput] = (),
        model: Model = bundled,
        prompts: PromptCache | None = None,
    ) -> JobRun:
        outlet = Outlet(recorded.events.append, recorded.previews.append, nothing)
        token = token or CancelToken()
        return JobRun(job, model, controls, residents, prompts or PromptCache(), colours, outlet, token)

    return make


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    """A copy of the bundled model that a test may damage."""
    return Path(shutil.copytree(BUNDLED_PATH, tmp_path / "copy"))
