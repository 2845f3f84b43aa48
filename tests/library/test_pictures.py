"""A picture file is whole or not there, lies where it may, and tells how it was made."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import make_job, pictures_below
from tui.library.metadata import Making, own_text, parameters_text, read_own_text
from tui.library.pictures import already_saved, output_problem, picture_path, read_making, save_picture
from tui.protocol.problem import LatenttyError

ANY_TEXT = st.text(max_size=300)


def making_of(**changes: object) -> Making:
    job = make_job(**changes)
    return Making(
        version="1",
        job=job,
        index=0,
        seed=job.seed,
        model_family="stable-diffusion",
        pipeline="StableDiffusionPipeline",
        scheduler={"_class_name": "DDIMScheduler"},
        device="cpu",
        dtype="float32",
        libraries={"torch": "2"},
    )


@given(prompt=ANY_TEXT, seed=st.integers(0, 2**63 - 1))
def test_no_prompt_leads_out_of_the_output_folder(prompt: str, seed: int) -> None:
    root = Path("/pictures")
    path = picture_path(make_job(prompt=prompt, seed=seed), 0, 1e9, root)
    assert path.parent.parent == root
    assert ".." not in path.parts
    assert len(os.fsencode(path.name)) < 160
    assert path.name.isprintable()


def test_each_picture_of_a_job_has_its_own_name_and_keeps_it() -> None:
    job = make_job(count=3)
    paths = [picture_path(job, index, 1e9, Path("/p")) for index in range(3)]
    assert len(set(paths)) == 3
    assert all(job.id in path.name for path in paths)
    assert paths == [picture_path(job, index, 1e9, Path("/p")) for index in range(3)]


@given(prompt=ANY_TEXT, negative=ANY_TEXT)
def test_our_metadata_comes_back_whole(prompt: str, negative: str) -> None:
    making = making_of(prompt=prompt, negative_prompt=negative)
    assert read_own_text(own_text(making)) == making


def test_the_file_carries_both_texts(tmp_path: Path) -> None:
    making = making_of(prompt="a fox, a crown", negative_prompt="rain", scheduler="dpmpp-2m-karras")
    path = tmp_path / "new" / "x.png"
    save_picture(Image.new("RGB", (8, 8)), path, making)
    assert read_making(path) == making
    with Image.open(path) as image:
        assert image.text["parameters"] == (
            "a fox, a crown\nNegative prompt: rain\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5,"
            " Seed: 7, Size: 64x64, Model: emoji-tiny, Version: Latentty 1"
        )


def test_a_value_with_a_comma_is_quoted_as_a1111_does() -> None:
    assert 'Model: "a, b"' in parameters_text(making_of(model="a, b"))


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "output_unwritable")]
)
def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LatenttyError) as caught:
        save_picture(Image.new("RGB", (8, 8)), tmp_path / "x.png", making_of())
    assert caught.value.problem.code == code
    assert pictures_below(tmp_path) == []


def test_only_the_same_picture_of_the_same_job_counts_as_saved(tmp_path: Path) -> None:
    making, path = making_of(), tmp_path / "x.png"
    save_picture(Image.new("RGB", (8, 8)), path, making)
    assert already_saved(path, making.job, 0)
    assert not already_saved(path, making.job, 1)
    assert not already_saved(path, make_job(), 0)
    path.write_bytes(path.read_bytes()[:60])
    assert not already_saved(path, making.job, 0)
    assert not already_saved(tmp_path / "none.png", making.job, 0)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert output_problem(tmp_path / "new") is None
    problem = output_problem(tmp_path / "file" / "below")
    assert problem is not None
    assert problem.code == "output_unwritable"
