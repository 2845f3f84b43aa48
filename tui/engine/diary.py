"""What happened, as lines of the log that whoever looks after the box wants to read: no step, and no prompt."""

import logging
from typing import Final

from tui.library.durations import duration
from tui.protocol.events import (
    ClientEvent,
    EngineState,
    ImageSaved,
    JobCancelled,
    JobDone,
    JobFailed,
    JobInterrupted,
    JobNote,
    JobQueued,
    JobRequeued,
    JobStarted,
    LoadFailed,
    ModelReady,
    Warning,
)
from tui.protocol.job import Job
from tui.protocol.snapshot import Snapshot

log = logging.getLogger(__name__)

NAME: Final = 8
"""Letters of a job's id; they are in the names of its pictures, too."""


def write_down(event: ClientEvent, after: Snapshot) -> None:
    """Log `event`, if anybody may want to know it; `after` knows already."""
    match event:
        case JobQueued(record=record):
            log.info("%s waits: %s", _name(record.job.id), _about(record.job))
        case JobStarted(record=record):
            log.info("%s begins", _name(record.job.id))
        case ImageSaved(picture=picture):
            log.info("%s: picture %d is saved, seed %d", _name(picture.job_id), picture.index + 1, picture.seed)
        case JobDone(job_id=job_id, finished=finished):
            done = after.jobs.get(job_id)
            took = f" in {duration(finished - done.started)}" if done is not None and done.started else ""
            log.info("%s is done%s", _name(job_id), took)
        case JobCancelled(job_id=job_id):
            log.info("%s is cancelled", _name(job_id))
        case JobRequeued(job_id=job_id):
            log.info("%s waits again", _name(job_id))
        case JobNote(job_id=job_id, text=text):
            log.info("%s: %s", _name(job_id), text)
        case JobFailed(job_id=job_id, problem=problem):
            log.error("%s failed: %s", _name(job_id), problem)
        case JobInterrupted(job_id=job_id, problem=problem):
            log.warning("%s is interrupted: %s", _name(job_id), problem)
        case ModelReady(model=model, seconds=seconds):
            log.info("%s is loaded in %.1f s", model, seconds)
        case LoadFailed(model=model, problem=problem):
            log.error("%s cannot be loaded: %s", model, problem)
        case Warning(problem=problem):
            log.warning("%s", problem)
        case EngineState(hold=hold) if hold is not None:
            log.warning("the queue waits: %s", hold)


def _name(job_id: str) -> str:
    return f"job {job_id[:NAME]}"


def _about(job: Job) -> str:
    pictures = "1 picture" if job.count == 1 else f"{job.count} pictures"
    return f"{pictures}, {job.mode}, {job.width}×{job.height}, {job.steps} steps, {job.model}"
