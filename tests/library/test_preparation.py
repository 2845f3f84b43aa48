"""What a job says is made definite before it is accepted, and what does not fit is refused then."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import make_job
from tests.library.model_files import FLUX, write_safetensors
from tui.library.acceptance import refuse_impossible
from tui.library.addons import Addons
from tui.library.models import BUNDLED, read_model
from tui.library.paths import bundled_models, configurations
from tui.library.places import places
from tui.library.preparation import missing_from, prepare
from tui.library.prompt.wildcards import Wildcards
from tui.library.scanning import candidates, look_at
from tui.protocol.events import ModelInfo
from tui.protocol.job import Adapter, Control, Job
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError

LORA = "emoji-tiny-lora-pixel"
CLIP = {
    "text_model.embeddings.token_embedding.weight": [49408, 1024],
    "text_model.encoder.layers.0.self_attn.k_proj.weight": [1024, 1024],
}


@pytest.fixture
def model() -> ModelInfo:
    return read_model(bundled_models() / BUNDLED)


def library_of(folders: Sequence[Path]) -> list[ModelFile]:
    return [file for one in candidates(places(list(folders), others=False)) for file in look_at(one)]


def prepared(job: Job, model: ModelInfo, *folders: Path) -> Job:
    return prepare(job, model, Wildcards(None), Addons(lambda: library_of(folders)))


def test_tags_become_the_jobs_loras_and_the_template_keeps_them(model: ModelInfo) -> None:
    written = f"a {{red}} apple <lora:{LORA}:0.8:0.5>"
    job = prepared(make_job(prompt=written), model)
    assert job.prompt == "a red apple"
    assert job.prompt_template == written
    (adapter,) = job.adapters
    assert (adapter.weight, adapter.on_text) == (0.5, 0.8)
    assert Path(adapter.path).parent.name == LORA
    assert prepared(job, model) == job, "what was made definite stays as it is"
    assert job.as_written == make_job(id=job.id, prompt=written), "a tag's LoRA is not named twice"
    by_folder = make_job(id=job.id, prompt=job.prompt, adapters=[replace(adapter, path=str(Path(adapter.path).parent))])
    assert prepared(by_folder, model).adapters == by_folder.adapters


def test_a_home_folder_in_a_path_is_that_of_the_engines_box(
    model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = make_job(mode="inpaint", image="~/a.png", mask="~/b.png", folder="~/out")
    asked = replace(asked, controls=[Control(model="net", image="~/c.png")])
    job = prepared(asked, model)
    paths = [job.image, job.mask, job.folder, job.controls[0].image]
    assert paths == [f"{tmp_path}/{name}" for name in ("a.png", "b.png", "out", "c.png")]


def test_each_picture_has_its_own_wildcards_and_they_come_again(model: ModelInfo) -> None:
    job = prepared(make_job(prompt="a {red|blue|green|white} apple", count=12), model)
    said = [job.picture(index).prompt for index in range(12)]
    assert len(set(said)) > 1
    assert said == [
        prepared(make_job(prompt=job.prompt_template, count=12), model).picture(n).prompt for n in range(12)
    ]
    later = prepared(make_job(prompt=job.prompt_template, seed=job.seed_of(5)), model)
    assert later.prompt == said[5], "the same seed makes the same prompt, alone or in a row"


def test_a_lora_that_is_not_there_is_refused(model: ModelInfo) -> None:
    with pytest.raises(LatenttyError, match="no LoRA called 'nowhere'"):
        prepared(make_job(prompt="x <lora:nowhere:1>"), model)


def test_what_has_no_effect_on_a_family_is_refused_with_its_place(model: ModelInfo) -> None:
    flux = replace(model, family="flux", name="some flux", weighting=False, clip_skip=False, negative_prompt=False)
    with pytest.raises(LatenttyError, match="letter 3 .*weights of words"):
        refuse_impossible(make_job(prompt="a (red:1.2) apple", scheduler=flux.scheduler), flux, {})
    refuse_impossible(make_job(prompt="a (red) apple [here]", scheduler=flux.scheduler), flux, {})
    with pytest.raises(LatenttyError, match="clip skip"):
        refuse_impossible(make_job(clip_skip=2), flux, {})


def test_an_adapter_that_is_no_safetensors_file_is_refused(model: ModelInfo, tmp_path: Path) -> None:
    pickled = tmp_path / "x.pt"
    pickled.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(LatenttyError, match="only safetensors"):
        prepared(make_job(adapters=[Adapter(path=str(pickled))]), model)


def test_a_lora_of_another_family_is_refused_before_the_job_is_accepted(model: ModelInfo, tmp_path: Path) -> None:
    """From the header alone; the file holds nothing but zeros."""
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
    entry = {"dtype": "F16", "shape": [4, 768], "data_offsets": [0, 4 * 768 * 2]}
    header = json.dumps({"__metadata__": {"ss_base_model_version": "sd_v1"}, name: entry}).encode()
    path = tmp_path / "other.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * 768 * 2))
    with pytest.raises(LatenttyError, match=r"reads text 768 wide, this model's is 192 \(made for sd_v1\)"):
        prepared(make_job(prompt="a fox <lora:other:1>"), model, tmp_path)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"transformer.layers.0.attention.to_q.lora_A.weight": [4, 3840]}, "none of the layers"),
        ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": [4, 1536]}, "1536 wide, this model's is 32"),
        ({"img_in.lora_A.weight": [128, 128]}, "control LoRA of FLUX.1"),
    ],
)
def test_a_lora_that_does_not_fit_a_checkpoint_is_refused_from_the_headers_of_both(
    model: ModelInfo, tmp_path: Path, shapes: dict[str, list[int]], told: str
) -> None:
    path = write_safetensors(tmp_path / "flux1-dev.safetensors", FLUX)
    flux = replace(model, family="flux", path=str(path), configuration=str(configurations() / "flux"))
    (name,) = shapes
    up = name.replace("lora_A", "lora_B").replace("lora_down", "lora_up")
    lora = write_safetensors(tmp_path / "lora.safetensors", shapes | {up: [32, 4]})
    with pytest.raises(LatenttyError, match=told):
        prepared(make_job(adapters=[Adapter(path=str(lora))]), flux)


@pytest.mark.parametrize("name", ["vae", "text_encoder"])
def test_a_vae_or_text_encoder_of_another_family_is_refused_from_its_header(
    model: ModelInfo, tmp_path: Path, name: str
) -> None:
    shapes = {"decoder.conv_in.weight": [512, 16, 3, 3]} if name == "vae" else CLIP
    path = write_safetensors(tmp_path / "other.safetensors", shapes)
    with pytest.raises(LatenttyError, match=r"other\.safetensors does not fit"):
        prepared(make_job(**{name: str(path)}), model)
    own = str(bundled_models() / BUNDLED / name)
    assert prepared(make_job(**{name: own}), model)
    (weights,) = Path(own).glob("*.safetensors")
    assert prepared(make_job(**{name: str(weights)}), model)


def test_what_a_prompt_lacks_is_told_where_it_is_typed() -> None:
    prompt = "a {fox|cat} <lora:nope:1> __nothing__ <lora:{a|b}>"
    told = missing_from(prompt, Wildcards(None), Addons(list))
    assert [prompt[one.start : one.end] for one in told] == ["__nothing__", "<lora:nope:1>"]
    (open_brace,) = missing_from("a {fox", Wildcards(None), Addons(list))
    assert (open_brace.start, open_brace.kind) == (2, "error")
