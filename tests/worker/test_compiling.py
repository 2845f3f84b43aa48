"""Compiling is tried where it is asked for, told, undone afterwards, and given up where it cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import make_job
from tests.worker.conftest import Recorded
from tui.protocol.commands import Target
from tui.protocol.events import JobNote
from tui.worker.compiling import compiled, repeated_blocks
from tui.worker.residents import Model
from tui.worker.runner import JobRun


def test_repeated_blocks_run_compiled_for_as_long_as_it_was_asked_for(
    bundled: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def compile_(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        return lambda *a, **k: (called.append("compiled"), function(*a, **k))[1]

    monkeypatch.setattr(torch, "compile", compile_)
    component = bundled.denoiser
    assert component is not None
    blocks = repeated_blocks(component.module)
    assert blocks
    told: list[str] = []
    with compiled(component, told.append):
        assert all(block._compiled_call_impl is not None for block in blocks)
        assert component.compiled
    assert all(block._compiled_call_impl is None for block in blocks)
    assert not component.compiled
    assert told == []


def test_without_a_compiler_the_picture_comes_all_the_same_and_the_job_says_why(
    run_of: Callable[..., JobRun], bundled: Model, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCompiler(RuntimeError):
        pass

    NoCompiler.__module__ = "torch._inductor.exc"

    def compile_(*_: object, **__: object) -> Callable[..., Any]:
        def refuse(*_: object, **__: object) -> None:
            raise NoCompiler("no C++ compiler was found\nand more lines")

        return refuse

    monkeypatch.setattr(torch, "compile", compile_)
    assert bundled.denoiser is not None
    try:
        for number in range(2):
            path = tmp_path / f"{number}.png"
            run_of(make_job(prompt="a fox", width=64, height=64, steps=2, compiled=True)).make(
                Target(index=0, path=str(path))
            )
            assert path.exists()
    finally:
        bundled.denoiser.refuses_compiling = False
    notes = [event.text for event in recorded.events if isinstance(event, JobNote)]
    assert notes == ["its blocks cannot be compiled here: no C++ compiler was found"]
