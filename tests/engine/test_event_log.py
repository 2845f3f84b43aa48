"""Events are numbered without gaps, and a client either gets all it missed or is told to take a snapshot."""

from hypothesis import given
from hypothesis import strategies as st

from tui.engine.event_log import EventLog
from tui.protocol.events import JobRequeued


@given(told=st.integers(0, 40), kept=st.integers(1, 20), since=st.integers(-3, 45))
def test_what_was_missed_is_whole_or_not_given(told: int, kept: int, since: int) -> None:
    log = EventLog(kept)
    for number in range(told):
        assert log.add(JobRequeued(job_id=str(number))).seq == number + 1
    missed = log.after(since)
    if 0 <= since <= told and told - since <= kept:
        assert missed is not None
        assert [one.seq for one in missed] == list(range(since + 1, told + 1))
    else:
        assert missed is None
