"""What is idle is given back, and nothing ever while work is left."""

from hypothesis import given
from hypothesis import strategies as st

from tui.engine.idle import due
from tui.library.settings import EngineSettings

MINUTES = st.floats(0, 1e4)
SETTINGS = st.builds(EngineSettings, unload_after=MINUTES, end_worker_after=MINUTES, exit_after=MINUTES)


@given(settings=SETTINGS, idle=st.floats(0, 1e7), clients=st.integers(0, 3))
def test_work_keeps_everything(settings: EngineSettings, idle: float, clients: int) -> None:
    assert due(settings, idle, work_left=True, clients=clients) == set()


@given(settings=SETTINGS, idle=st.floats(0, 1e7), clients=st.integers(1, 3))
def test_a_client_keeps_the_engine(settings: EngineSettings, idle: float, clients: int) -> None:
    assert "exit" not in due(settings, idle, work_left=False, clients=clients)


def test_each_thing_has_its_time_and_zero_means_never() -> None:
    settings = EngineSettings(unload_after=1, end_worker_after=2, exit_after=0)
    assert due(settings, 59, work_left=False, clients=0) == set()
    assert due(settings, 60, work_left=False, clients=0) == {"unload"}
    assert due(settings, 1e9, work_left=False, clients=0) == {"unload", "end_worker"}
