"""What a prompt's language does to the picture: exactly what it says, and nothing where it says nothing."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.conftest import make_job
from tests.worker.conftest import CPU, PLENTY, nothing
from tests.worker.tiny_models import TinyModels
from tui.protocol.commands import Target
from tui.protocol.job import Control, Embedding, Job
from tui.worker.cancel import CancelToken
from tui.worker.conditioning import Conditioning, Plan, unpacked
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import ControlInput, JobRun, Outlet
from tui.worker.views import view

FAMILIES = ["sd", "sdxl"]


class Stage:
    """Tiny models, and the pictures that jobs make on them."""

    def __init__(self, models: TinyModels, folder: Path) -> None:
        self.models = models
        self.residents = Residents(CPU, torch.float32, PLENTY)
        self.prompts = PromptCache()
        self._folder = folder

    def model(self, name: str) -> Model:
        model = self.residents.model(name, str(self.models[name]))
        self.residents.ensure(model.components.values(), CancelToken(), nothing)
        return model

    def draw(self, name: str, nets: list[ControlInput] | None = None, **changes: Any) -> numpy.ndarray:
        settings = {"steps": 4, "scheduler": "ddim", "guidance_scale": 3.0, "width": 64, "height": 64}
        job = make_job(**(settings | changes))
        outlet = Outlet(nothing, nothing, nothing)
        token = CancelToken()
        run = JobRun(job, self.model(name), nets or [], self.residents, self.prompts, None, outlet, token)
        path = self._folder / f"{job.id}.png"
        run.make(Target(index=0, path=str(path)))
        with Image.open(path) as image:
            return numpy.asarray(image)


@pytest.fixture(scope="module")
def stage(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tiny_models, tmp_path_factory.mktemp("pictures"))


def conditioning(model: Model, job: Job) -> Conditioning:
    return Conditioning(job, view(model, "txt2img"), [])


def encoded(model: Model, prompt: str, negative: str | None = None, **changes: Any) -> tuple[Any, Plan | None]:
    job = make_job(prompt=prompt, steps=4, **changes)
    pooled = model.family.id == "stable-diffusion-xl"
    with torch.no_grad():
        result = conditioning(model, job).encode(
            prompt=prompt,
            device=CPU,
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            negative_prompt=negative,
        )
    return unpacked(result, pooled=pooled)


@pytest.mark.parametrize("name", FAMILIES)
def test_our_own_encoding_of_a_short_prompt_is_the_pipelines(stage: Stage, name: str) -> None:
    """Bit for bit: chunks, layers and pooling are those of diffusers."""
    model = stage.model(name)
    own = conditioning(model, make_job(steps=4))
    prompt = "a red apple, in the snow"
    with torch.no_grad():
        plain, plan = encoded(model, prompt, "blurred")
        assert plan is None
        ours = own._plan([prompt, ""], ["blurred", ""], guided=True, blank=False)
    theirs = [tensor for tensor in plain if tensor is not None]
    text, pooled = ours.told(0, 1)
    against, against_pooled = ours.told_not(1)
    mine = [text, against] if pooled is None else [text, against, pooled, against_pooled]
    assert len(mine) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_a_weight_scales_its_tokens_and_keeps_the_mean(bundled: Model) -> None:
    (plain, _), _ = encoded(bundled, "a red apple")
    (weighed, _), plan = encoded(bundled, "a (red:1.5) apple")
    assert plan is None, "it is the same in every step"
    assert torch.isclose(weighed.mean(), plain.mean(), rtol=1e-4)
    ratio = (weighed / plain)[0]
    neutral = ratio[1].median()
    assert torch.allclose(ratio[2] / neutral, torch.tensor(1.5), rtol=1e-3)
    assert torch.allclose(ratio[3] / neutral, torch.tensor(1.0), rtol=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_prompt_is_read_to_its_end(stage: Stage, name: str) -> None:
    model = stage.model(name)
    long = "a red apple, " * 30
    result, _ = encoded(model, long, "bad")
    assert result[0].shape[1] == result[1].shape[1] == 2 * 77
    assert not numpy.array_equal(stage.draw(name, prompt=long + "blue"), stage.draw(name, prompt=long + "green"))
    (broken, *_), _ = encoded(model, "a fox BREAK a dog")
    assert broken.shape[1] == 2 * 77


@pytest.mark.parametrize("name", FAMILIES)
def test_a_schedule_draws_one_prompt_and_then_the_other(stage: Stage, name: str) -> None:
    first, second = stage.draw(name, prompt="a fox"), stage.draw(name, prompt="a dog")
    changed = stage.draw(name, prompt="a [fox:dog:0.5]")
    assert not numpy.array_equal(changed, first)
    assert not numpy.array_equal(changed, second)
    assert numpy.array_equal(stage.draw(name, prompt="a [fox:dog:4]"), first), "what comes after the last step"
    assert numpy.array_equal(stage.draw(name, prompt="a [fox:dog:0]"), second)
    assert numpy.array_equal(changed, stage.draw(name, prompt="a [fox:dog:2]"))
    alternating = stage.draw(name, prompt="a [fox|dog]")
    assert numpy.array_equal(alternating, stage.draw(name, prompt="a [fox|dog|fox|dog]"))
    assert not numpy.array_equal(alternating, changed)
    assert numpy.array_equal(stage.draw(name, prompt="a fox"), first), "nothing of it stays"


@pytest.mark.parametrize("name", FAMILIES)
def test_joined_prompts_pull_by_their_weights(stage: Stage, name: str) -> None:
    one, both = stage.draw(name, prompt="a fox"), stage.draw(name, prompt="a fox AND a dog")
    assert not numpy.array_equal(one, both)
    assert close(stage.draw(name, prompt="a fox AND a dog :0"), one)
    assert close(stage.draw(name, prompt="a fox :0.5 AND a fox :0.5"), one)
    assert numpy.isfinite(stage.draw(name, prompt="a fox AND a dog", guidance_scale=1.0)).all()


def close(one: numpy.ndarray, other: numpy.ndarray) -> bool:
    """Equal but for rounding."""
    return int(numpy.abs(one.astype(int) - other.astype(int)).max()) <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_clip_skip_reads_an_earlier_layer(stage: Stage, name: str) -> None:
    plain = stage.draw(name, prompt="a fox")
    assert numpy.array_equal(stage.draw(name, prompt="a fox", clip_skip=1), plain)
    assert not numpy.array_equal(stage.draw(name, prompt="a fox", clip_skip=2), plain)


def test_the_second_encoder_can_be_told_something_else(stage: Stage) -> None:
    plain = stage.draw("sdxl", prompt="a fox")
    assert numpy.array_equal(stage.draw("sdxl", prompt="a fox", prompt_2="a fox"), plain)
    assert not numpy.array_equal(stage.draw("sdxl", prompt="a fox", prompt_2="a dog"), plain)
    assert not numpy.array_equal(
        stage.draw("sdxl", prompt="a (fox:1.1)", prompt_2="a dog"), stage.draw("sdxl", prompt="a (fox:1.1)")
    )
    for other in ("sd3", "flux"):
        drawn = [
            stage.draw(other, prompt="a fox", prompt_2=second, scheduler="flow-euler") for second in ("", "a red dog")
        ]
        assert not numpy.array_equal(*drawn), other


def test_escapes_are_letters_in_every_family(stage: Stage) -> None:
    for name, scheduler in (("sd", "ddim"), ("flux", "flow-euler")):
        written = stage.draw(name, prompt=r"a \(red\) fox", scheduler=scheduler)
        model = stage.model(name)
        pipeline = view(model, "txt2img")
        heard: list[str] = []
        real = type(pipeline).encode_prompt

        @functools.wraps(real)
        def spy(self: Any, prompt: str, *rest: Any, real: Any = real, heard: list[str] = heard, **more: Any) -> Any:
            heard.append(prompt)
            return real(self, prompt, *rest, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(pipeline), "encode_prompt", spy)
            stage.prompts.clear()
            assert numpy.array_equal(stage.draw(name, prompt=r"a \(red\) fox", scheduler=scheduler), written)
        assert heard == ["a (red) fox"]


def test_a_controlnet_hears_the_changes_too(stage: Stage, tmp_path: Path) -> None:
    from tests.worker.test_tiny_models import outline

    outline().save(tmp_path / "o.png")
    net = stage.residents.controlnet(str(stage.models["sd-controlnet"]))
    stage.residents.ensure([net], CancelToken(), nothing)
    controls = [ControlInput(net, tmp_path / "o.png")]
    named = [Control(model="x", image=str(tmp_path / "o.png"))]

    def draw(prompt: str) -> numpy.ndarray:
        return stage.draw("sd", controls, prompt=prompt, controls=named)

    assert numpy.array_equal(draw("a [fox:dog:4]"), draw("a fox"))
    assert not numpy.array_equal(draw("a [fox:dog:2]"), draw("a fox"))


@pytest.fixture
def inversion(tmp_path: Path) -> Callable[..., Embedding]:
    def write(key: str, rows: torch.Tensor, name: str = "thing") -> Embedding:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: rows}, path)
        return Embedding(name=name, path=str(path))

    return write


@pytest.mark.parametrize("key", ["emb_params", "<thing>"])
def test_a_textual_inversion_says_what_its_rows_say(
    stage: Stage, inversion: Callable[..., Embedding], key: str
) -> None:
    """Rows that are those of known words draw what the words draw; afterwards nothing is left of them."""
    model = stage.model("sd")
    encoder: Any = model.components["text_encoder"].module
    pipeline = view(model, "txt2img")
    rows = encoder.get_input_embeddings().weight.data
    ids = pipeline.tokenizer("red fox", add_special_tokens=False).input_ids
    size = len(pipeline.tokenizer)
    embedding = inversion(key, rows[ids].clone())
    before = rows.clone()
    plain = stage.draw("sd", prompt="a red fox in the snow")
    assert not numpy.array_equal(stage.draw("sd", prompt="a thing in the snow"), plain)
    assert numpy.array_equal(stage.draw("sd", prompt="a thing in the snow", embeddings=[embedding]), plain)
    assert numpy.array_equal(stage.draw("sd", prompt="a <thing> in the snow", embeddings=[embedding]), plain)
    assert torch.equal(encoder.get_input_embeddings().weight.data, before)
    assert len(pipeline.tokenizer) == size
