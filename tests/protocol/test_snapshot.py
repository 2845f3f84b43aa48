"""Engine and client fold the same events and must see the same state."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_job
from tui.protocol import events
from tui.protocol.events import EngineState, JobRecord, Picture
from tui.protocol.problem import Problem
from tui.protocol.snapshot import RECENT_JOBS, Snapshot, apply

PROBLEM = Problem(code="internal", cause="It broke.")
JOBS = [make_job(id=f"{number:016x}", count=2) for number in range(3)]
IDS = st.sampled_from([job.id for job in JOBS])
RECORDS = st.builds(JobRecord, job=st.sampled_from(JOBS), state=st.just("waiting"))

EVENTS = st.one_of(
    st.builds(events.JobQueued, record=RECORDS),
    st.builds(events.JobStarted, record=st.builds(JobRecord, job=st.sampled_from(JOBS), state=st.just("running"))),
    st.builds(events.Step, job_id=IDS, index=st.just(0), step=st.integers(0, 5), steps=st.just(5)),
    st.builds(
        events.ImageSaved,
        picture=st.builds(
            Picture,
            id=st.integers(1, 99),
            job_id=IDS,
            index=st.just(0),
            path=st.just("/p"),
            seed=st.just(1),
            width=st.just(8),
            height=st.just(8),
            created=st.just(0.0),
        ),
    ),
    st.builds(events.JobDone, job_id=IDS, finished=st.just(1.0)),
    st.builds(events.JobFailed, job_id=IDS, problem=st.just(PROBLEM), finished=st.just(1.0)),
    st.builds(events.JobInterrupted, job_id=IDS, problem=st.just(PROBLEM)),
    st.builds(events.JobRequeued, job_id=IDS),
    st.builds(events.JobMoved, job_id=IDS, before=IDS | st.just("")),
    st.builds(events.PicturesChanged, pictures=st.just([1]), recent=st.none() | st.just([])),
    st.builds(events.JobCancelled, job_id=IDS, finished=st.just(1.0)),
    st.builds(
        events.Loading, model=st.just("m"), component=st.just("unet"), done_bytes=st.just(1), total_bytes=st.just(2)
    ),
    st.builds(events.ModelReady, model=st.just("m"), seconds=st.just(1.0), bytes=st.just(2)),
    st.builds(events.LoadFailed, model=st.just("m"), problem=st.just(PROBLEM)),
    st.builds(events.Warning, problem=st.just(PROBLEM), lasting=st.booleans()),
    st.builds(EngineState, version=st.just("1"), pid=st.just(1), worker=st.sampled_from(["absent", "idle"])),
)


def fresh() -> Snapshot:
    return Snapshot(engine=EngineState(version="1", pid=1))


@given(before=st.lists(EVENTS, max_size=20), after=st.lists(EVENTS, max_size=20))
def test_a_client_that_attaches_late_sees_what_the_engine_sees(
    before: list[events.Event], after: list[events.Event]
) -> None:
    engine = fresh()
    for event in before:
        apply(engine, event)
    client = msgspec.msgpack.decode(msgspec.msgpack.encode(engine), type=Snapshot)
    for event in after:
        apply(engine, event)
        apply(client, event)
    assert client == engine
    assert list(client.jobs) == list(engine.jobs)


def test_a_job_that_starts_before_its_acceptance_is_told_stays_started() -> None:
    snapshot = fresh()
    apply(snapshot, events.JobStarted(record=JobRecord(job=JOBS[0], state="running", attempts=1)))
    apply(snapshot, events.JobQueued(record=JobRecord(job=JOBS[0], state="waiting")))
    assert snapshot.running is not None


def test_loading_never_outlives_its_load() -> None:
    """A peer's status stuck at LOADING after any failed load."""
    loading = events.Loading(model="m", component="unet", done_bytes=1, total_bytes=2)
    for end in (
        events.ModelReady(model="m", seconds=1, bytes=2),
        events.LoadFailed(model="m", problem=PROBLEM),
        EngineState(version="1", pid=1, worker="absent"),
        events.Step(job_id=JOBS[0].id, index=0, step=1, steps=2),
        events.JobCancelled(job_id=JOBS[0].id, finished=1.0),
        events.Residency(device="cpu", device_name="CPU", used_bytes=1, total_bytes=2, components=[]),
    ):
        snapshot = fresh()
        apply(snapshot, events.JobStarted(record=JobRecord(job=JOBS[0], state="running", attempts=1)))
        apply(snapshot, loading)
        apply(snapshot, end)
        assert snapshot.loading is None


def test_interrupted_jobs_come_before_waiting_ones() -> None:
    snapshot = fresh()
    for job in JOBS:
        apply(snapshot, events.JobQueued(record=JobRecord(job=job, state="waiting")))
    apply(snapshot, events.JobInterrupted(job_id=JOBS[2].id, problem=PROBLEM))
    assert [record.job for record in snapshot.waiting] == [JOBS[2], JOBS[0], JOBS[1]]


def test_ended_jobs_are_forgotten_in_the_end_and_open_ones_never() -> None:
    snapshot = fresh()
    jobs = [make_job(id=f"{number:016x}") for number in range(RECENT_JOBS * 2)]
    for job in jobs:
        apply(snapshot, events.JobQueued(record=JobRecord(job=job, state="waiting")))
    for job in jobs[1:]:
        apply(snapshot, events.JobDone(job_id=job.id, finished=1.0))
    assert jobs[0].id in snapshot.jobs
    assert len(snapshot.jobs) == RECENT_JOBS + 1
