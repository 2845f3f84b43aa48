"""Every mode of every family: the right class, nothing moved, and the same picture as a freshly loaded pipeline's."""

import builtins
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy
import pytest
import torch
from PIL import Image

from tests.conftest import make_job
from tests.worker.conftest import BUNDLED_PATH, CPU, PLENTY, nothing
from tests.worker.test_tiny_models import load_controlnet, load_pipeline, mask, outline, picture
from tests.worker.tiny_models import CONTROLNETS, MODELS, TinyModels
from tui.library.controlnets import modes_of, read_controlnet
from tui.library.families import FAMILIES, Family
from tui.library.models import read_model
from tui.protocol.commands import Target
from tui.protocol.frames import Preview
from tui.protocol.job import Adapter, Control, Edges, Job, MemoryOptions, Mode
from tui.protocol.problem import LatenttyError
from tui.worker.call import call_for
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.component import Component
from tui.worker.preview import LatentToRgb, pixels_per_latent
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import JobRun, Outlet, chosen, seeded
from tui.worker.views import fresh_scheduler, view

SIDE = 64


class Stage:
    """The tiny models in one place, and the pictures that modes begin with."""

    def __init__(self, models: TinyModels, folder: Path) -> None:
        self.models = models
        self.residents = Residents(CPU, torch.float32, PLENTY)
        self.pictures = {"picture": folder / "picture.png", "mask": folder / "mask.png", "outline": folder / "o.png"}
        for name, image in (("picture", picture()), ("mask", mask()), ("outline", outline())):
            image.save(self.pictures[name])

    def model(self, name: str) -> Model:
        model = self.residents.model(name, str(self.models[name]))
        self.residents.ensure(model.components.values(), CancelToken(), nothing)
        return model

    def controls(self, *names: str) -> list[Component]:
        nets = [self.residents.controlnet(str(self.models[name])) for name in names]
        self.residents.ensure(nets, CancelToken(), nothing)
        return nets

    def job(self, model: Model, mode: Mode, nets: Sequence[str] = (), **changes: Any) -> Job:
        """A small job of `mode`, with every picture that it could need."""
        info = read_model(Path(model.path))
        grow = Edges(right=16) if mode == "outpaint" else Edges()
        controls = [Control(model=name, image=str(self.pictures["outline"])) for name in nets]
        settings = {
            "mode": mode,
            "width": SIDE + grow.right,
            "height": SIDE,
            "scheduler": info.scheduler,
            "guidance_scale": 3.0,
            "image": str(self.pictures["picture"]),
            "mask": str(self.pictures["mask"]),
            "strength": 0.6,
            "mask_blur": 0,
            "grow": grow,
            "steps": 2,
            "controls": controls,
        }
        return make_job(**(settings | changes))

    def draw(self, model: Model, job: Job, controls: Sequence[Component] = (), pipeline: Any = None) -> numpy.ndarray:
        """What the pipeline for `job` draws, before anything is done to it."""
        pipeline = pipeline or view(model, job.mode, controls)
        pipeline.scheduler = fresh_scheduler(model, None)
        images = [outline().resize((job.width, job.height)) for _ in controls]
        arguments = call_for(job, model, pipeline, images, seed=5).arguments
        with seeded(5):
            return numpy.asarray(pipeline(**arguments, output_type="np").images[0])


@pytest.fixture(scope="module")
def stage(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tiny_models, tmp_path_factory.mktemp("pictures"))


def modes(name: str, models: TinyModels) -> list[Mode]:
    return read_model(models[name]).modes


@contextmanager
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record the files that are opened inside."""
    opened: list[str] = []
    real = builtins.open

    def spy(file: Any, *rest: Any, **named: Any) -> Any:
        opened.append(str(file))
        return real(file, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", spy)
        patch.setattr(io, "open", spy)
        yield opened


def addresses(model: Model) -> list[int]:
    return [tensor.data_ptr() for part in model.components.values() for tensor in part.module.parameters()]


@cache
def fresh(folder: Path) -> Any:
    """The model as plain diffusers loads it, in a process where it was never touched by us."""
    return load_pipeline(folder)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_a_family_says_of_its_classes_is_so(family: Family) -> None:
    """No setting that is offered goes nowhere, and none that a class cannot be given is asked for."""
    for class_name in family.pipelines.values():
        taken = inspect.signature(getattr(diffusers, class_name).__call__).parameters
        assert family.guidance_argument in taken
        assert "negative_prompt" in taken or not family.negative_prompt
        assert "num_inference_steps" in taken


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("sd-twin", "sd-half")])
def test_every_pair_of_modes(stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From each mode to each: right class, same weights at the same place, nothing opened, same picture again."""
    model = stage.model(name)
    offered = modes(name, stage.models)
    jobs = {mode: stage.job(model, mode) for mode in offered}
    first = {mode: stage.draw(model, job) for mode, job in jobs.items()}
    before = addresses(model)
    with nothing_is_read(monkeypatch) as opened:
        for leave in offered:
            for enter in offered:
                model.views.clear()
                view(model, leave)
                entered = view(model, enter)
                assert type(entered).__name__ == FAMILIES[model.family.id].pipelines[enter]
    assert opened == []
    assert addresses(model) == before
    for mode, job in reversed(jobs.items()):
        assert numpy.isfinite(first[mode]).all()
        assert numpy.array_equal(stage.draw(model, job), first[mode])
    for mode, other in ((a, b) for a in offered for b in offered if a < b):
        same_call = jobs[mode].width == jobs[other].width and {mode, other} == {"img2img", "refine"}
        if not same_call and first[mode].shape == first[other].shape:
            assert not numpy.array_equal(first[mode], first[other]), f"{mode} and {other} draw the same"


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("sd-twin", "sd-half")])
def test_every_mode_draws_what_a_freshly_loaded_pipeline_draws(stage: Stage, name: str) -> None:
    """Bit for bit."""
    model = stage.model(name)
    base = fresh(stage.models[name])
    for mode in modes(name, stage.models):
        job = stage.job(model, mode)
        ours = view(model, mode)
        theirs = derive_like(ours, base)
        assert numpy.array_equal(stage.draw(model, job), stage.draw(model, job, pipeline=theirs)), mode


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_sana_sprint_draws_in_one_to_four_steps(stage: Stage, steps: int) -> None:
    model = stage.model("sana-sprint")
    for mode in modes("sana-sprint", stage.models):
        assert numpy.isfinite(stage.draw(model, stage.job(model, mode, steps=steps, strength=1.0))).all()


def derive_like(ours: Any, base: Any, **changes: Any) -> Any:
    from tests.worker.test_tiny_models import derive

    if type(ours).__name__ == "ChromaInpaintPipeline":
        base.transformer.register_to_config(guidance_embeds=False)
    return derive(type(ours).__name__, base, **changes)


PAIRS = {
    "sd-controlnet": "sd",
    "sdxl-controlnet": "sdxl",
    "sdxl-controlnet-union": "sdxl",
    "sd3-controlnet": "sd3",
    "sd3-controlnet-inpainting": "sd3",
    "flux-controlnet": "flux",
    "flux-controlnet-union": "flux",
    "qwen-image-controlnet": "qwen-image",
    "qwen-image-controlnet-inpainting": "qwen-image",
    "z-image-controlnet": "z-image",
    "z-image-controlnet-inpainting": "z-image",
    "sana-controlnet": "sana",
}


@pytest.mark.parametrize("net", CONTROLNETS)
def test_every_controlnet_in_every_mode_it_offers(stage: Stage, net: str) -> None:
    name = PAIRS[net]
    model = stage.model(name)
    info = read_model(stage.models[name])
    offered = modes_of(read_controlnet(stage.models[net]), info)
    assert offered
    controls = stage.controls(net)
    base = fresh(stage.models[name])
    for mode in offered:
        job = stage.job(model, mode, [net])
        plain = stage.draw(model, stage.job(model, mode)) if mode in info.modes else None
        before = addresses(model)
        drawn = stage.draw(model, job, controls)
        theirs = derive_like(view(model, mode, controls), base, controlnet=load_controlnet(stage.models[net]))
        assert numpy.array_equal(drawn, stage.draw(model, job, controls, pipeline=theirs)), mode
        assert plain is None or not numpy.array_equal(drawn, plain), "the ControlNet has an effect"
        assert addresses(model) == before
    if plain is not None:
        assert numpy.array_equal(stage.draw(model, stage.job(model, mode)), plain), "and none when it is left out"


TOGETHER = ["sd-controlnet", "sdxl-controlnet", "sd3-controlnet", "flux-controlnet"]


@pytest.mark.parametrize("net", TOGETHER)
def test_several_controlnets_at_once(stage: Stage, net: str) -> None:
    model = stage.model(PAIRS[net])
    controls = stage.controls(net, net)
    one = stage.draw(model, stage.job(model, "txt2img", [net]), controls[:1])
    two = stage.draw(model, stage.job(model, "txt2img", [net, net]), controls)
    assert not numpy.array_equal(one, two)


def test_where_diffusers_takes_one_at_a_time_that_is_told(stage: Stage) -> None:
    model = stage.model("qwen-image")
    with pytest.raises(LatenttyError, match="one ControlNet"):
        view(model, "txt2img", stage.controls("qwen-image-controlnet", "qwen-image-controlnet"))


@contextmanager
def read_once(pipeline: Any) -> Iterator[None]:
    """Have `pipeline` read each prompt once: its encoder is half of the work, and no scheduler has a say in it."""
    real, known = pipeline.encode_prompt, {}

    def encode(*given: Any, **named: Any) -> Any:
        key = repr((given, named))
        if key not in known:
            known[key] = real(*given, **named)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "encode_prompt", encode)
        yield


FLOWS = ["sd3", "flux", "flux-schnell", "flux-fill", "flux2-klein", "qwen-image", "z-image", "chroma", "sana"]


@pytest.mark.parametrize("name", FLOWS)
def test_every_scheduler_of_a_flow_draws_in_every_mode(stage: Stage, name: str) -> None:
    model = stage.model(name)
    info = read_model(stage.models[name])
    for mode in info.modes:
        drawn = {}
        pipeline = view(model, mode)
        job = stage.job(model, mode, steps=4)
        with read_once(pipeline):
            for scheduler in info.schedulers:
                pipeline.scheduler = fresh_scheduler(model, chosen(scheduler))
                arguments = call_for(job, model, pipeline, [], seed=5).arguments
                with seeded(5):
                    drawn[scheduler] = numpy.asarray(pipeline(**arguments, output_type="np").images[0])
                assert numpy.isfinite(drawn[scheduler]).all(), scheduler
        pairs = [(a, b) for a in drawn for b in drawn if a < b]
        assert not [pair for pair in pairs if numpy.array_equal(drawn[pair[0]], drawn[pair[1]])], mode


@pytest.mark.parametrize("name", MODELS)
def test_every_family_shows_its_picture_forming_and_saves_it(stage: Stage, name: str, tmp_path: Path) -> None:
    model = stage.model(name)
    info = read_model(stage.models[name])
    shown: list[Preview] = []
    colours = LatentToRgb.fit(model.components["vae"].module)
    steps = 2
    job = stage.job(model, info.modes[0], steps=steps)
    outlet = Outlet(nothing, shown.append, nothing)
    run = JobRun(job, model, [], stage.residents, PromptCache(), colours, outlet, CancelToken())
    path = tmp_path / "x.png"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tui.worker.observed.PREVIEW_EVERY", 0.0)
        run.make(Target(index=0, path=str(path)))
    with Image.open(path) as image:
        assert image.size == (job.width, job.height)
    assert len(shown) >= steps - 1
    latent = pixels_per_latent(model.components["vae"].module)
    assert {(one.width, one.height) for one in shown} == {(job.width // latent, job.height // latent)}


def test_weight_start_and_end_have_an_effect(stage: Stage) -> None:
    model, controls = stage.model("sd"), stage.controls("sd-controlnet")

    def drawn(**changes: float) -> numpy.ndarray:
        control = Control(model="sd-controlnet", image=str(stage.pictures["outline"]), **changes)
        return stage.draw(model, stage.job(model, "txt2img", controls=[control], steps=4), controls)

    whole = drawn()
    assert not numpy.array_equal(whole, drawn(weight=0.5))
    assert not numpy.array_equal(whole, drawn(start=0.5))
    assert not numpy.array_equal(whole, drawn(end=0.5))
    plain = stage.draw(model, stage.job(model, "txt2img", steps=4))
    assert numpy.array_equal(drawn(weight=0.0), plain)


def test_a_controlnet_of_another_kind_of_model_fits_none(stage: Stage) -> None:
    for net, model in (("sd-controlnet", "sdxl"), ("sdxl-controlnet", "sd"), ("flux-controlnet", "sd3")):
        assert modes_of(read_controlnet(stage.models[net]), read_model(stage.models[model])) == []


class Seen:
    """What is mutable on the shared parts of a model."""

    def __init__(self, model: Model) -> None:
        vae: Any = model.components["vae"].module
        unet: Any = model.components["unet"].module
        self.tiling = vae.use_tiling
        self.processors = {name: type(one) for name, one in unet.attn_processors.items()}
        self.scheduler = dict(model.blueprint.scheduler_config)
        self.hooks = [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in unet.modules()]


def test_nothing_that_one_mode_changes_is_seen_by_another(stage: Stage) -> None:
    model = stage.model("sd")
    model.views.clear()
    one, other = view(model, "txt2img"), view(model, "img2img")
    before = Seen(model).__dict__
    assert one.scheduler is not other.scheduler
    one.scheduler.set_timesteps(7)
    one.scheduler.register_to_config(use_karras_sigmas=True)
    one._interrupt = True
    one.set_progress_bar_config(disable=True, leave=False)
    assert other.scheduler.num_inference_steps is None
    assert not other.scheduler.config.get("use_karras_sigmas")
    assert not getattr(other, "_interrupt", False)
    assert "leave" not in other._progress_bar_config
    expected = stage.draw(model, stage.job(model, "img2img"))
    stage.draw(model, stage.job(model, "txt2img"), pipeline=one)
    assert numpy.array_equal(stage.draw(model, stage.job(model, "img2img")), expected)
    assert Seen(model).__dict__ == before


@pytest.mark.parametrize("ending", ["to its end", "cancelled in the middle"])
def test_all_that_a_job_changes_is_undone_before_the_next_mode(
    run_of: Callable[..., JobRun], bundled: Model, tmp_path: Path, ending: str
) -> None:
    """Scheduler flags, adapters, prompt schedules, VAE tiling, streamed layers, callbacks, the interrupt."""
    start = tmp_path / "start.png"
    picture().save(start)

    def drawn(name: str) -> bytes:
        job = make_job(mode="img2img", image=str(start), strength=0.8, scheduler="dpmpp-2m")
        run_of(job).make(Target(index=0, path=str(tmp_path / name)))
        with Image.open(tmp_path / name) as image:
            return image.tobytes()

    expected, before = drawn("before.png"), Seen(bundled).__dict__
    token = CancelToken()
    changing = run_of(
        make_job(
            prompt="a (red:1.4) [apple:fox:0.5]",
            steps=4,
            scheduler="dpmpp-2m-sde-karras",
            adapters=[Adapter(path=str(BUNDLED_PATH.parent / "emoji-tiny-lora-pixel"), weight=0.9)],
            memory=MemoryOptions(tile_vae=True, drop_text_encoders=True, offload="layers"),
        ),
        token,
    )
    if ending == "to its end":
        changing.make(Target(index=0, path=str(tmp_path / "other.png")))
    else:
        first: Any = bundled.components["unet"].module.conv_in
        handle = first.register_forward_hook(lambda *_: token.cancel())
        with pytest.raises(Cancelled):
            changing.make(Target(index=0, path=str(tmp_path / "other.png")))
        handle.remove()
    assert drawn("after.png") == expected
    after = Seen(bundled).__dict__
    assert all(after[name] == before[name] for name in ("tiling", "scheduler", "processors"))


def test_views_are_built_once_and_anew_when_their_parts_change(stage: Stage) -> None:
    model, controls = stage.model("sd"), stage.controls("sd-controlnet")
    assert view(model, "txt2img") is view(model, "txt2img")
    assert view(model, "inpaint") is view(model, "outpaint"), "one class serves both"
    assert view(model, "txt2img", controls) is view(model, "txt2img", controls)
    assert view(model, "txt2img", controls) is not view(model, "txt2img")


def test_outpainting_keeps_the_picture_and_draws_the_rest(stage: Stage, tmp_path: Path) -> None:
    from tui.worker.inputs import canvas, kept_outside

    model = stage.model("sd")
    job = stage.job(model, "outpaint")
    drawn_on = canvas(job)
    assert drawn_on.picture.size == (80, 64)
    drawn = Image.new("RGB", (80, 64), "green")
    kept = numpy.asarray(kept_outside(drawn, drawn_on))
    assert numpy.array_equal(kept[:, :60], numpy.asarray(picture())[:, :60])
    assert (kept[:, 66:] == (0, 128, 0)).all()
