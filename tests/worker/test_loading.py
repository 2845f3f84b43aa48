"""A model is loaded whole or not at all, and what was loaded before stays."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import make_job
from tests.worker.conftest import BUNDLED_PATH, CPU, PLENTY, nothing
from tui.library import models
from tui.library.models import read_model
from tui.protocol.commands import Run, Target
from tui.protocol.events import ModelReady, Residency, WorkerEvent
from tui.protocol.problem import LatenttyError
from tui.worker.cancel import Cancelled, CancelToken
from tui.worker.pipelines import Pipelines
from tui.worker.residents import Model, Residents


def read_and_place(path: Path, residents: Residents | None = None) -> Model:
    residents = residents or Residents(CPU, torch.float32, PLENTY)
    model = residents.model("m", str(path))
    residents.ensure(model.components.values(), CancelToken(), nothing)
    return model


def test_progress_ends_with_every_byte_of_the_files() -> None:
    told: list[tuple[str, int, int]] = []
    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("m", str(BUNDLED_PATH))
    residents.ensure(model.components.values(), CancelToken(), lambda *at: told.append(at))
    total = sum(file.stat().st_size for file in BUNDLED_PATH.rglob("*.safetensors"))
    assert told[-1][1] == told[-1][2]
    assert total - 300_000 < told[-1][1] < total
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    weights = [tensor for one in model.components.values() for tensor in one.module.parameters()]
    assert {tensor.dtype for tensor in weights} == {torch.float32}


def test_a_load_is_cancelled_between_two_tensors() -> None:
    token = CancelToken()
    told: list[int] = []

    def cancel_halfway(_: str, done: int, total: int) -> None:
        told.append(done)
        if done > total / 2:
            token.cancel()

    residents = Residents(CPU, torch.float32, PLENTY)
    model = residents.model("m", str(BUNDLED_PATH))
    with pytest.raises(Cancelled):
        residents.ensure(model.components.values(), token, cancel_halfway)
    assert told[-1] - told[-2] < 4_000_000, "no more than one tensor after the request"
    read_and_place(BUNDLED_PATH, residents)


def drop_a_weight(model: Path) -> None:
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_in.weight"]
    save_file(tensors, path)


def reshape_a_weight(model: Path) -> None:
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["decoder.conv_in.weight"] = tensors["decoder.conv_in.weight"][:4].clone()
    save_file(tensors, path)


def drop_text_weight(model: Path) -> None:
    path = model / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, path)


def empty_tokenizer(model: Path) -> None:
    for file in (model / "tokenizer").iterdir():
        file.unlink()


def foreign_code(model: Path) -> None:
    index = json.loads((model / "model_index.json").read_text())
    index["unet"] = ["os", "system"]
    (model / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (drop_a_weight, "unet cannot be used: it lacks"),
        (reshape_a_weight, "vae"),
        (drop_text_weight, "text_encoder cannot be used: it lacks"),
        (empty_tokenizer, "tokenizer"),
        (foreign_code, "'os'"),
    ],
)
def test_what_would_draw_garbage_is_refused(model_copy: Path, damage: object, told: str) -> None:
    """diffusers itself fills a missing weight with nothing and draws on."""
    damage(model_copy)  # type: ignore[operator]
    with pytest.raises(LatenttyError, match=told) as caught:
        read_and_place(model_copy)
    assert caught.value.problem.code == "model_damaged"


@pytest.mark.parametrize("beside", [True, False])
def test_weights_in_half_precision_serve_where_the_others_were_not_fetched(model_copy: Path, beside: bool) -> None:
    """Of two sets of the same weights one is read, and counted."""
    whole = read_model(model_copy).bytes
    for path in list(model_copy.glob("*/*.safetensors")):
        second = path.with_name(path.name.replace(".safetensors", ".fp16.safetensors"))
        shutil.copy(path, second)
        if not beside:
            path.unlink()
    assert read_model(model_copy).bytes == whole
    assert read_and_place(model_copy).components.keys() >= {"unet", "vae", "text_encoder"}


def test_a_failed_load_leaves_the_model_before_it_usable(model_copy: Path, tmp_path: Path) -> None:
    told: list[WorkerEvent] = []
    pipelines = Pipelines(told.append, nothing, tmp_path / "cache", [])
    pipelines.load("emoji-tiny", str(BUNDLED_PATH), CancelToken())
    drop_a_weight(model_copy)
    with pytest.raises(LatenttyError):
        pipelines.load("copy", str(model_copy), CancelToken())
    loads = len([one for one in told if isinstance(one, ModelReady)])
    path = str(tmp_path / "x.png")
    command = Run(job=make_job(), model_path=str(BUNDLED_PATH), targets=[Target(index=0, path=path)])
    pipelines.run(command, CancelToken())
    assert Path(path).exists()
    assert len([one for one in told if isinstance(one, ModelReady)]) == loads, "nothing was loaded again"
    pipelines.unload("")
    residency = next(one for one in reversed(told) if isinstance(one, Residency))
    assert residency.components == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is about boxes without a GPU")
def test_what_only_gpus_compute_with_says_so(model_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((model_copy / "unet" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (model_copy / "unet" / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(LatenttyError, match=r"package bitsandbytes is not installed.*latentty\[bitsandbytes\]"):
        read_and_place(model_copy)
    monkeypatch.setattr(models, "find_spec", lambda _: object())
    with pytest.raises(LatenttyError, match="computes on a GPU alone"):
        read_and_place(model_copy)
