"""The commands that teach the bundled model: what they write works as any model's parts do, and is gone on with."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from safetensors import safe_open
from safetensors.torch import load_file

from tui.bundled.training import denoiser, shards
from tui.bundled.training.__main__ import main
from tui.bundled.training.denoiser import DenoiserPlan
from tui.bundled.training.effort import Effort
from tui.bundled.training.embedding import WORD, embedding_file
from tui.bundled.training.latents import Latents
from tui.bundled.training.lora import lora_folder
from tui.bundled.training.painter import load_pipeline
from tui.bundled.training.parts import BUNDLED, CONTROL, MODEL
from tui.bundled.training.shards import ShardTask, made_shards, shard_paths
from tui.bundled.training.supply import Supply

UNET = "unet/diffusion_pytorch_model.safetensors"

LITTLE = (
    *("--pictures", "8", "--shard", "8", "--other-pictures", "0", "--edges", "8", "--scenes-each", "1"),
    *("--batch", "2"),
    *("--most-steps", "2", "--processes", "1", "--seconds", "600", "--save-every", "0"),
)


def teach(part: str, data: Path, out: Path) -> None:
    assert main(["train", part, str(data), str(out), "--from", str(BUNDLED / MODEL), *LITTLE]) == 0


def draw(pipeline: object, prompt: str) -> np.ndarray:
    generator = torch.Generator().manual_seed(1)
    assert callable(pipeline)
    result = pipeline(prompt, num_inference_steps=2, generator=generator, height=64, width=64, output_type="np")
    return np.asarray(result.images[0])


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What teaching the denoiser for two steps leaves."""
    folder = tmp_path_factory.mktemp("taught")
    teach("denoiser", data, folder)
    return folder


def test_a_denoiser_that_was_taught_on_is_a_whole_model_with_the_same_parts(out: Path) -> None:
    before, after = load_file(BUNDLED / MODEL / UNET), load_file(out / MODEL / UNET)
    assert {name: one.shape for name, one in before.items()} == {name: one.shape for name, one in after.items()}
    assert {one.dtype for one in after.values()} == {torch.float16}
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert draw(load_pipeline(out / MODEL, "cpu"), "a fox").shape == (64, 64, 3)
    assert (out / "denoiser.done").exists()


def test_teaching_that_was_cut_off_is_gone_on_with(data: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (out / "denoiser.done").unlink()
    teach("denoiser", data, out)
    told = capfd.readouterr().err
    assert "goes on from step 2" in told
    assert "taught, 4 steps" in told
    assert "the first to be made is shard 0" not in told


def test_pictures_that_are_made_during_the_teaching_are_learned_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here two new shards come before each look of the teacher; the pool has place for three, and so has the disk."""
    effort = Effort(
        pictures=12, shard=4, other_pictures=4, edges=4, scenes_each=1, batch=2, most_steps=2, processes=1, save_every=9
    )
    plan = DenoiserPlan(
        data=data, out=tmp_path, begun_with=BUNDLED / MODEL, effort=effort, begun=time.time(), seconds=600
    )
    task = ShardTask(data=data, model=plan.base, folder=plan.pictures, effort=effort, begun=plan.begun)
    made = made_shards(task, torch.device("cpu"))
    usual, others = [], []

    class Watched(Supply):
        def take_in(self) -> None:
            next(made), next(made)
            super().take_in()

        @property
        def usual(self) -> Latents:
            usual.append(len(super().usual))
            others.append([tuple(one.latents.shape) for one in self.others])
            return super().usual

    monkeypatch.setattr(denoiser, "Supply", Watched)
    monkeypatch.setattr(denoiser, "LOOK_EVERY", 1)
    monkeypatch.setattr(shards, "OTHERS_EVERY", 3)
    denoiser.teach(plan, torch.device("cpu"))
    assert sorted(set(usual)) == [7, 11, 12]
    assert others[0] == []
    assert others[-1] == [(2, 4, 24, 24), (2, 4, 24, 32)]
    assert [path.stem for path in shard_paths(plan.pictures)][:3] == ["000000", "000002", "000003"]


def test_what_goes_with_the_model_is_taught_and_loads_as_any_other(data: Path, out: Path) -> None:
    for part in ("control", "lora-sketch", "embedding"):
        teach(part, data, out)
    control = ControlNetModel.from_pretrained(out / CONTROL, local_files_only=True)
    assert sum(float(one.detach().abs().sum()) for one in control.controlnet_mid_block.parameters()) > 0
    assert "_name_or_path" not in (out / CONTROL / "config.json").read_text(encoding="utf-8")
    pipeline = load_pipeline(out / MODEL, "cpu")
    without = draw(pipeline, "a fox, pencil sketch")
    folder = lora_folder(out, "sketch")
    pipeline.load_lora_weights(folder, weight_name="pytorch_lora_weights.safetensors", local_files_only=True)
    assert not np.array_equal(draw(pipeline, "a fox, pencil sketch"), without)
    with safe_open(folder / "pytorch_lora_weights.safetensors", "pt") as file:
        assert file.metadata()["modelspec.trigger_phrase"] == "pencil sketch"
    pipeline.unload_lora_weights()
    pipeline.load_textual_inversion(embedding_file(out), token=WORD)
    assert not np.array_equal(draw(pipeline, f"a {WORD} fox"), draw(pipeline, "a yellow fox"))
    assert load_file(embedding_file(out))["emb_params"].shape == (1, 192)


def test_data_whose_tokens_the_model_does_not_know_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")
    assert main(["train", "control", str(tmp_path), str(tmp_path / "out"), *LITTLE]) == 1
    assert "Prepare the data with: --tokenizer" in capsys.readouterr().err
