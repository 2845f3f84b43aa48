"""Sweeps: what can be written, which jobs it makes, and in which order they run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_job
from tui.library.sweeps import cells, in_order, read_axes
from tui.protocol.job import Adapter
from tui.protocol.problem import LatenttyError
from tui.protocol.sweep import Axis, Sweep


def sweep(text: str, **changes: object) -> Sweep:
    return Sweep(id="0" * 16, base=make_job(prompt="a fox in snow", **changes), axes=read_axes(text))


def test_ranges_and_lists_are_read() -> None:
    assert read_axes("steps=4..8:2; guidance = 3, 7.5,1..0:0.5") == [
        Axis(name="steps", values=["4", "6", "8"]),
        Axis(name="guidance", values=["3", "7.5", "1", "0.5", "0"]),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "one to three"),
        ("steps=1;seed=1;width=64;height=64", "one to three"),
        ("colour=red", "knows"),
        ("steps=1..x", "no range"),
        ("steps=1..9:0", "no range"),
        ("steps=1..99999", "more than 1000"),
        ("steps=1..100;seed=1..100", "10000 pictures"),
        ("steps=1;steps=2", "twice"),
        ("steps=,", "no values"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, told: str) -> None:
    with pytest.raises(LatenttyError, match=told):
        read_axes(text)


@given(st.text(max_size=40) | st.from_regex(r"(steps|seed|lora)=[0-9.:e-]{0,12}", fullmatch=True))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        axes = read_axes(text)
    except LatenttyError:
        return
    assert 1 <= len(axes) <= 3


def test_every_combination_is_one_job_and_the_first_axis_runs_across() -> None:
    found = cells(sweep("prompt=fox,crow; steps=2,3; lora=0.5,1", adapters=[Adapter(path="/l")], count=8))
    assert [cell.labels for cell in found[:3]] == [["fox", "2", "0.5"], ["crow", "2", "0.5"], ["fox", "3", "0.5"]]
    assert [cell.job.prompt for cell in found[:2]] == ["a fox in snow", "a crow in snow"]
    assert len({cell.job.id for cell in found}) == len(found) == 8
    assert found[-1].job.adapters == [Adapter(path="/l", weight=1)]
    assert {cell.job.count for cell in found} == {1}


def test_models_are_swapped_least() -> None:
    models = [cell.job.model for cell in in_order(cells(sweep("model=b,a; steps=1..3")))]
    assert models == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps=0", "1 to 500"),
        ("width=65", "steps of 8"),
        ("lora=1", "no LoRA"),
        ("prompt=dog,cat", "does not say"),
        ("seed=x", "no number"),
    ],
)
def test_a_value_that_does_not_fit_is_told(text: str, told: str) -> None:
    with pytest.raises(LatenttyError, match=told):
        cells(sweep(text))
