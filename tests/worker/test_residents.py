"""Which weights are where: shared when equal, swapped within the budget, loaded once, really freed."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.conftest import make_job
from tests.worker.conftest import CPU, nothing
from tests.worker.tiny_models import TinyModels
from tui.protocol.commands import Run, Target
from tui.protocol.events import ControlNetState, Loading, ModelReady, ModeSwapped, Residency, Step, WorkerEvent
from tui.protocol.job import Control
from tui.protocol.problem import LatenttyError
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.component import Component
from tui.worker.pipelines import Pipelines
from tui.worker.planner import DoesNotFit
from tui.worker.prefetch import Prefetch
from tui.worker.residents import Model, Residents

PLENTY = 8 << 30


def known(residents: Residents, path: Path) -> Model:
    return residents.model(path.name, str(path))


def ensure(residents: Residents, *models: Model) -> None:
    for model in models:
        residents.ensure(model.components.values(), CancelToken(), nothing)


def size(model: Model) -> int:
    return sum(component.bytes for component in model.components.values())


def test_equal_components_of_two_checkpoints_are_held_once(tiny_models: TinyModels) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    one, other = known(residents, tiny_models["sd"]), known(residents, tiny_models["sd-twin"])
    assert one.components["text_encoder"] is other.components["text_encoder"]
    assert one.components["vae"] is other.components["vae"]
    assert one.components["unet"] is not other.components["unet"]
    ensure(residents, one, other)
    assert residents.ledger.placed_bytes == size(one) + other.components["unet"].bytes
    residents.forget(one.path)
    assert other.components["vae"].placed
    assert not one.components["unet"].placed


def test_a_component_that_differs_in_one_byte_is_another(tiny_models: TinyModels, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny_models["sd"], tmp_path / "copy"))
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    residents = Residents(CPU, torch.float32, PLENTY)
    one, other = known(residents, tiny_models["sd"]), known(residents, copy)
    assert one.components["vae"] is not other.components["vae"]
    assert one.components["text_encoder"] is other.components["text_encoder"]


def test_models_are_swapped_within_the_budget_and_come_back_the_same(tiny_models: TinyModels) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    models = [known(residents, tiny_models[name]) for name in ("sd", "sdxl", "sd3")]
    residents.budget = max(size(one) for one in models) + 1000
    before: dict[str, torch.Tensor] = {}
    for model in (*models, *models):
        ensure(residents, model)
        assert residents.ledger.placed_bytes <= residents.budget
        weights = [tensor for part in model.components.values() for tensor in part.module.parameters()]
        sums = torch.stack([tensor.double().sum() for tensor in weights])
        assert torch.equal(before.setdefault(model.name, sums), sums)


def test_what_is_larger_than_the_budget_is_refused_before_anything_moves(tiny_models: TinyModels) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    small, large = known(residents, tiny_models["sd"]), known(residents, tiny_models["sdxl"])
    residents.budget = size(small) + 10
    ensure(residents, small)
    with pytest.raises(DoesNotFit):
        ensure(residents, large)
    assert all(component.placed for component in small.components.values())


def test_a_cancelled_load_leaves_the_former_model_usable(tiny_models: TinyModels) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    former, following = known(residents, tiny_models["sd"]), known(residents, tiny_models["sdxl"])
    ensure(residents, former)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        residents.ensure(following.components.values(), token, nothing)
    assert all(component.placed for component in former.components.values())
    assert not any(component.placed for component in following.components.values())


def test_a_model_whose_files_change_is_read_anew(tiny_models: TinyModels, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny_models["sd"], tmp_path / "copy"))
    residents = Residents(CPU, torch.float32, PLENTY)
    before = known(residents, copy)
    assert known(residents, copy) is before
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = {name: tensor * 2 for name, tensor in load_file(path).items()}
    save_file(tensors, copy / "new.safetensors")
    (copy / "new.safetensors").rename(path)
    after = known(residents, copy)
    assert after is not before
    assert after.components["vae"] is before.components["vae"]
    assert after.components["unet"] is not before.components["unet"]


def test_a_model_that_comes_back_is_built_from_what_was_kept_of_it(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    residents = Residents(CPU, torch.float32, PLENTY)
    model = known(residents, tiny_models["sd"])
    ensure(residents, model)
    skeletons = {name: component.module for name, component in model.components.items()}
    tokenizer = model.parts["tokenizer"]
    residents.forget(model.path)
    assert residents.ledger.placed_bytes == 0
    monkeypatch.setattr("tui.worker.residents.load_module", refuse)
    monkeypatch.setattr("tui.worker.residents.load_processor", refuse)
    again = known(residents, tiny_models["sd"])
    assert again is not model
    assert {name: component.module for name, component in again.components.items()} == skeletons
    assert again.parts["tokenizer"] is tokenizer
    monkeypatch.setattr("tui.worker.residents.blueprint_of", refuse)
    assert known(residents, tiny_models["sd"]) is again, "as long as no file changes, none is opened"


class Watched:
    """The device side of a supervisor, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[WorkerEvent] = []
        self.pipelines = Pipelines(self.told.append, nothing, folder / "cache", [])

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.told)

    def load(self, path: Path) -> None:
        self.pipelines.load(path.name, str(path), CancelToken())

    def net(self, path: Path) -> Component:
        return self.pipelines._residents.controlnet(str(path))


def test_a_controlnet_toggled_ten_times_is_loaded_once_and_held_once(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    path = tiny_models["sd-controlnet"]
    places: list[str] = []
    place = Component.place
    monkeypatch.setattr(Component, "place", lambda self, *rest: (places.append(self.name), place(self, *rest))[1])
    for _ in range(10):
        watched.pipelines.ensure_controlnet("edges", str(path), CancelToken())
        watched.pipelines.release_controlnet("edges", str(path))
    assert places == ["controlnet"]
    phases = [event.phase for event in watched.told if isinstance(event, ControlNetState)]
    assert phases[:3] == ["loading", "ready", "absent"]
    assert phases.count("loading") == 1
    gc.collect()
    kind = type(watched.net(path).module)
    assert sum(type(one) is kind for one in gc.get_objects()) == 1


def test_a_released_controlnet_goes_first_and_a_wanted_one_last(tiny_models: TinyModels, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    residents = watched.pipelines._residents
    edges, union = tiny_models["sd-controlnet"], tiny_models["sdxl-controlnet"]
    for name, path in (("edges", edges), ("other", union)):
        watched.pipelines.ensure_controlnet(name, str(path), CancelToken())
    watched.pipelines.release_controlnet("edges", str(edges))
    model = known(residents, tiny_models["sd"])
    residents.budget = size(model) + watched.net(union).bytes + 10
    ensure(residents, model)
    assert not watched.net(edges).placed
    assert watched.net(union).placed


def test_a_swap_moves_nothing_and_reads_nothing(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    watched.load(tiny_models["sd"])
    model = watched.pipelines._residents.find("sd")
    assert model is not None
    addresses = [tensor.data_ptr() for part in model.components.values() for tensor in part.module.parameters()]
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(gc, "collect", refuse)
    monkeypatch.setattr(torch.nn.Module, "register_forward_pre_hook", refuse)
    monkeypatch.setattr(torch.nn.Module, "register_forward_hook", refuse)
    for mode in ("img2img", "inpaint", "txt2img", "outpaint", "img2img"):
        watched.pipelines.swap("sd", model.path, mode)
    monkeypatch.undo()
    after = [tensor.data_ptr() for part in model.components.values() for tensor in part.module.parameters()]
    assert after == addresses
    swaps = [event for event in watched.told if isinstance(event, ModeSwapped)]
    assert [swap.pipeline for swap in swaps][:3] == [
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        "StableDiffusionPipeline",
    ]
    assert {swap.bytes_moved for swap in swaps} == {0}


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a swap does no such thing")


def test_a_failed_swap_leaves_the_former_view_in_service(tiny_models: TinyModels, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.load(tiny_models["sd"])
    model = watched.pipelines._residents.find("sd")
    assert model is not None
    watched.pipelines.swap("sd", model.path, "txt2img")
    before = dict(model.views)
    with pytest.raises(LatenttyError, match="no edit"):
        watched.pipelines.swap("sd", model.path, "edit")
    vae = model.parts.pop("vae")
    with pytest.raises(LatenttyError, match="lacks vae"):
        watched.pipelines.swap("sd", model.path, "img2img")
    model.parts["vae"] = vae
    assert model.views == before
    path = str(tmp_path / "x.png")
    job = make_job(model="sd")
    watched.pipelines.run(Run(job=job, model_path=model.path, targets=[Target(index=0, path=path)]), CancelToken())
    assert Path(path).exists()


def test_a_controlnet_that_only_a_job_names_is_told_of_too(tiny_models: TinyModels, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    model, net = tiny_models["sd"], tiny_models["sd-controlnet"]
    Image.new("RGB", (64, 64)).save(tmp_path / "edges.png")
    command = Run(
        job=make_job(model="sd", controls=[Control(model="edges", image=str(tmp_path / "edges.png"))]),
        model_path=str(model),
        targets=[Target(index=0, path=str(tmp_path / "x.png"))],
        controlnets={"edges": str(net)},
    )
    watched.pipelines.run(command, CancelToken())
    watched.pipelines._residents.evict_all_but([])
    watched.pipelines.tell_residency()
    told = [event for event in watched.told if isinstance(event, ControlNetState | Step)]
    phases = [event.phase for event in told if isinstance(event, ControlNetState)]
    assert phases == ["loading", "ready", "absent"], "the last when others took its place"
    assert isinstance(told[0], ControlNetState), "it loads before anything is drawn"


def test_the_next_jobs_model_is_read_while_this_one_draws(tiny_models: TinyModels, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    following = tiny_models["sdxl"]
    weights = sum(file.stat().st_size for file in following.rglob("*.safetensors"))
    command = Run(
        job=make_job(model="sd"),
        model_path=str(tiny_models["sd"]),
        targets=[Target(index=0, path=str(tmp_path / "x.png"))],
        ahead=str(following),
    )
    watched.pipelines.run(command, CancelToken())
    watched.pipelines._prefetch.wait()
    assert watched.pipelines._prefetch.read_bytes == weights


def test_reading_ahead_stops_when_there_is_another_thing_to_read(tiny_models: TinyModels) -> None:
    read: list[str] = []
    prefetch = Prefetch(read.append)
    for _ in range(20):
        prefetch.begin(str(tiny_models["sd"]))
    prefetch.begin("")
    prefetch.wait()
    assert prefetch.read_bytes <= 20 * 2_000_000
    prefetch.begin(str(tiny_models["sd"]))
    prefetch.wait()
    assert {Path(one) for one in read} == {file.resolve() for file in tiny_models["sd"].rglob("*.safetensors")}


def in_a_process_of_its_own(work: Callable[[Path], None], folder: Path) -> None:
    """Have `work`, which is in this file, done in a process that has done nothing else."""
    code = f"import sys, pathlib, {__name__} as here; here.{work.__name__}(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_unloading_returns_the_memory_and_what_was_cast_is_not_kept_twice(tmp_path: Path) -> None:
    """Measured by the allocator's own count and by the resident size, in a process that has done nothing else."""
    in_a_process_of_its_own(load_and_unload, tmp_path)


def load_and_unload(folder: Path) -> None:
    """Load a large model and unload it, three times, and look at the pages of its file at the end."""
    large = large_model(folder / "large")
    watched = Watched(folder)
    watched.load(large)
    watched.pipelines.unload("")
    resting = resident()
    for _ in range(2):
        watched.load(large)
        assert resident() - resting > 150 << 20
        watched.pipelines.unload("")
        assert abs(resident() - resting) < 30 << 20
    residency = [event for event in watched.told if isinstance(event, Residency)][-1]
    assert residency.components == []
    assert watched.count(ModelReady) == 3
    assert watched.count(Loading) > 3
    load_and_look(watched, large)


def load_and_look(watched: Watched, large: Path) -> None:
    """Load the model, whose file is in half precision, and count the pages of its file that this process holds."""
    watched.load(large)
    weights = large / "text_encoder" / "model.safetensors"
    assert weights.stat().st_size > 80 << 20
    assert mapped_bytes(weights) < 8 << 20
    before = watched.pipelines._residents.model("again", str(large)).components["text_encoder"]
    wanted = load_file(weights)
    held = dict(before.module.named_parameters())
    assert all(torch.equal(held[name].half(), tensor) for name, tensor in wanted.items())


def mapped_bytes(file: Path) -> int:
    """Of `file`, in this process's memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            ours = line.endswith(str(file))
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def large_model(folder: Path) -> Path:
    """The bundled model with a text encoder of 100 MB in half precision."""
    import shutil

    from transformers import CLIPTextConfig, CLIPTextModel

    from tests.worker.conftest import BUNDLED_PATH

    shutil.copytree(BUNDLED_PATH, folder)
    config = CLIPTextConfig.from_pretrained(folder / "text_encoder")
    config.intermediate_size = 32_000
    CLIPTextModel(config).half().save_pretrained(folder / "text_encoder")
    return folder
