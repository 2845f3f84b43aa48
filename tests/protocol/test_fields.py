"""A field's range is told, checked and enforced in one way, wherever a value comes from."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_job
from tui.protocol.fields import complaints, job_fields
from tui.protocol.job import Job

NUMBERS = ("width", "height", "steps", "guidance_scale", "seed", "count")


@given(name=st.sampled_from(NUMBERS), value=st.integers(-(2**64), 2**64))
def test_the_check_and_the_wire_agree(name: str, value: int) -> None:
    """What the settings pane accepts, the engine accepts too, and the other way round."""
    fields = msgspec.to_builtins(make_job()) | {name: value}
    try:
        msgspec.convert(fields, Job)
        accepted = True
    except msgspec.ValidationError:
        accepted = False
    assert (job_fields()[name].complaint(value) is None) == accepted


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("width", 250, "64 to 8192, in steps of 8"),
        ("steps", 0, "1 to 500"),
        ("steps", 2.5, "whole number"),
        ("guidance_scale", math.nan, "0 to 50"),
        ("guidance_scale", math.inf, "0 to 50"),
        ("count", True, "whole number"),
    ],
)
def test_a_complaint_names_the_field_and_its_range(name: str, value: float, told: str) -> None:
    complaint = job_fields()[name].complaint(value)
    assert complaint is not None
    assert job_fields()[name].label in complaint
    assert told in complaint


def test_every_wrong_field_of_a_job_is_told() -> None:
    assert complaints(make_job()) == []
    assert len(complaints(make_job(width=65, steps=0, prompt="x" * 20_001))) == 3


def test_seed_zero_is_a_seed_and_the_last_one_wraps_around() -> None:
    """A peer turned seed 0 into 42."""
    assert make_job(seed=0).seed_of(0) == 0
    assert make_job(seed=2**63 - 1).seed_of(1) == 0


@pytest.mark.parametrize(
    ("name", "value", "by", "there"),
    [
        ("width", 256, 1, 320),
        ("width", 250, -1, 192),
        ("steps", 1, -1, 1),
        ("guidance_scale", 4.8, 1, 5),
        ("strength", 0.6, -1, 0.55),
        ("strength", 0.3, 1, 0.35),
        ("seed", 2**62 + 1, 1, 2**62 + 2),
    ],
)
def test_a_step_leads_to_a_whole_number_of_steps_within_the_range(
    name: str, value: float, by: int, there: float
) -> None:
    assert job_fields()[name].stepped(value, by) == there
