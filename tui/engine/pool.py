"""Gives jobs to the worker, one at a time, and sees that none is lost with it."""

import asyncio
import logging
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Raw

from tui.engine.home import OF_THE_DEVICE, Home, WorkerLost
from tui.engine.model_index import ModelIndex
from tui.engine.queue import Queue
from tui.engine.worker_link import WorkerLink
from tui.library.pictures import output_problem, picture_path
from tui.library.settings import EngineSettings
from tui.protocol.commands import Cancel, CancelLoad, Done, Failed, Run, Target, WorkerCommand
from tui.protocol.events import (
    ClientEvent,
    ImageSaved,
    JobCancelled,
    JobDone,
    JobFailed,
    JobInterrupted,
    JobNote,
    JobRecord,
    JobRequeued,
    JobStarted,
    Pulse,
    SavedFile,
    Warning,
    WorkerChanged,
    WorkerEvent,
    WorkerState,
)
from tui.protocol.frames import PULSE_EVERY, Preview
from tui.protocol.problem import LatenttyError, Problem, device_lost

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_AGAIN: Final = 2.0
"""Seconds until a queue that cannot go on looks whether the cause has gone."""

START_AGAIN: Final = 30.0
"""Seconds until a worker that cannot start is tried again."""

LOOK_AFTER: Final = 1.0
"""Seconds between two looks at whether a worker at work gives signs of life."""

OBEY_WITHIN: Final = 10.0
"""Seconds without a sign of life after which a worker that was asked to stop is ended."""

END_WITHIN: Final = 120.0
"""Seconds after which it is ended although it gives some."""

START_WITHIN: Final = 300.0
"""Seconds that a worker may take to import torch and its kin on the slowest disk."""


class Pool:
    """The dispatcher. It alone changes the state of jobs that run."""

    def __init__(
        self,
        queue: Queue,
        make_home: Callable[[], Home],
        models: ModelIndex,
        first_orders: Callable[[], list[WorkerCommand]],
        settings: EngineSettings,
        pictures: Path,
        tell: Callable[[ClientEvent], None],
        show: Callable[[Preview], None],
        on_change: Callable[[], None],
        warm: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`warm` tells the models that are on the device, by every name that a job may call them."""
        self._queue = queue
        self._make_home = make_home
        self._models = models
        self._first_orders = first_orders
        self._settings = settings
        self._pictures = pictures
        self._tell = tell
        self._show = show
        self._on_change = on_change
        self._warm = warm
        self._wake = asyncio.Event()
        self._link: WorkerLink | None = None
        self._starting = asyncio.Lock()
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._current: JobRecord | None = None
        self._cancelled: set[str] = set()
        self._asked_to_end: float | None = None
        self._outdated = False
        """The worker read settings that have changed."""
        self._pulse = Pulse(quiet=0.0)
        self._last_words: Problem | None = None
        self._orders = 0
        self._stopping = False
        self.worker: WorkerState = "absent"
        self.paused = False
        self.hold: Problem | None = None
        self.stall: Problem | None = None

    @property
    def busy(self) -> bool:
        """A job runs, or the worker carries out another command."""
        return self._current is not None or self._orders > 0

    def wake(self) -> None:
        """Look at the queue: something in it changed."""
        self._wake.set()

    def use_settings(self, settings: EngineSettings, pictures: Path) -> None:
        """Go by these from now on."""
        self._settings, self._pictures = settings, pictures
        self.wake()  # the folder that held the queue may be another now

    async def renew_worker(self) -> None:
        """End a worker whose settings have changed: now, or after the job that it has."""
        self._outdated = True
        await self._end_outdated()

    async def _end_outdated(self) -> None:
        if self._outdated and not self.busy:
            self._outdated = False
            await self.end_worker()

    def set_paused(self, paused: bool) -> None:
        """Start no further job, or start them again."""
        self.paused = paused
        self._on_change()
        self.wake()

    async def run(self) -> None:
        """Dispatch until :meth:`stop`."""
        try:
            while not self._stopping:
                self._wake.clear()
                try:
                    again = await self._dispatch()
                except sqlite3.Error as error:
                    log.exception("the queue cannot be written")
                    self._set_hold(queue_problem(error))
                    again = False
                except WorkerLost:
                    again = False
                if not again and not self._stopping:
                    await self._sleep()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End the worker and :meth:`run`; a job that runs goes back to the front of the queue."""
        self._stopping = True
        self._wake.set()
        if self._link is not None:
            self._link.kill()
            await self._link.end()
        await self._ended.wait()

    async def cancel(self, job_id: str) -> None:
        """End one job, whatever its state.

        Raises:
            LatenttyError: there is no such job.
        """
        if self._current is not None and self._current.job.id == job_id:
            self._cancelled.add(job_id)
            self._asked_to_end = time.monotonic()
            if self._link is not None:
                await self._try(Cancel(job_id=job_id))
            return
        before = await self._queue.get(job_id)
        after = await self._queue.end(job_id, "cancelled")
        if before.state != after.state:
            self._tell(JobCancelled(job_id=job_id, finished=after.finished or time.time()))
            self.wake()  # what held the queue may have been this job's

    async def cancel_all(self) -> list[str]:
        """End every job; their ids."""
        running = self._current
        ended = await self._queue.end_waiting()
        for record in ended:
            self._tell(JobCancelled(job_id=record.job.id, finished=record.finished or time.time()))
        ids = [record.job.id for record in ended]
        if running is not None and running.job.id not in ids:
            await self.cancel(running.job.id)
            ids.insert(0, running.job.id)
        self.wake()
        return ids

    async def order(self, command: WorkerCommand, *, start: bool = True) -> Raw | None:
        """The result of `command`, carried out by the worker; with no worker, one is started, unless `start` is False.

        Raises:
            LatenttyError: it failed, or the worker cannot start.
        """
        if self._link is None and not start:
            return None
        if isinstance(command, CancelLoad):
            self._asked_to_end = time.monotonic()
        self._orders += 1
        try:
            link = await self._worker()
            reply = await link.request(command)
        except WorkerLost as lost:
            raise LatenttyError(_worker_died(str(lost))) from None
        finally:
            self._orders -= 1
        if isinstance(reply, Failed):
            raise LatenttyError(reply.problem)
        return reply.result

    async def end_worker(self) -> None:
        """End the worker process; it is started again when there is work."""
        if self._link is not None:
            await self._link.end()

    async def watch(self) -> None:
        """Look after the worker while it is at work: tell when it hangs, and end it when it does not obey."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_AFTER)
            now = time.monotonic()
            starved, looked = now - looked > 2 * LOOK_AFTER, now
            link = self._link
            if link is None or not self._ready.is_set() or not self.busy:
                self._asked_to_end = None
                self._set_stall(None)
                if link is not None:
                    link.heard = now  # one with nothing to do says nothing, which is not to count against it later
            elif starved:  # this process stood still, not that one
                link.heard = now
            else:
                self._look_at(link, now)

    def _look_at(self, link: WorkerLink, now: float) -> None:
        silent = now - link.heard
        quiet = silent if silent > 3 * PULSE_EVERY else self._pulse.quiet
        settings = self._settings
        report_after, end_after = settings.report_stall_after * 60, settings.end_stalled_after * 60
        self._set_stall(_stalled(quiet) if report_after and quiet >= report_after else None)
        disobeys = self._asked_to_end is not None and (
            min(quiet, now - self._asked_to_end) >= OBEY_WITHIN or now - self._asked_to_end >= END_WITHIN
        )
        if disobeys or (end_after and quiet >= end_after):
            log.warning("the worker gives no sign of life for %.0f s; it is ended", quiet)
            self._asked_to_end = None
            self._last_words = _stalled(quiet)
            link.kill()

    def _set_stall(self, problem: Problem | None) -> None:
        """Tell that the worker hangs, once; the seconds in `problem` are those at which it was noticed."""
        if (problem is None) == (self.stall is None):
            return
        self.stall = problem
        self._on_change()
        if problem is not None:
            self._tell(Warning(problem=problem))

    # ---- dispatching -------------------------------------------------------------------------------------------

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._patience()):
                await self._wake.wait()
        except TimeoutError:
            return

    def _patience(self) -> float | None:
        if self.hold is None:
            return None
        return START_AGAIN if self.hold.code == "worker_broken" else LOOK_AGAIN

    async def _dispatch(self) -> bool:
        """Run the next job; False when there is none to run now."""
        await self._end_outdated()
        if self.paused:
            return False
        following = await self._queue.next(self._warm())
        if following is None:
            self._set_hold(None)
            return False
        folder = picture_path(following.job, 0, following.submitted, self._pictures).parent
        problem = await asyncio.to_thread(output_problem, folder)
        if problem is not None and following.job.folder:
            await self._fail(following.job.id, problem)
            return True
        if problem is None:
            try:
                await self._worker()
            except LatenttyError as error:
                problem = error.problem
            except WorkerLost:
                return False
        self._set_hold(problem)
        if problem is not None or self.paused or self._stopping:
            return False
        record = await self._queue.claim(self._warm())
        if record is not None:
            await self._run(record)
        return True

    async def _run(self, record: JobRecord) -> None:
        job = record.job
        self._current = record
        self._tell(JobStarted(record=record))
        try:
            saved = await self._queue.saved_numbers(job.id)
            model = await self._models.find(job.model)
            nets = {control.model: (await self._models.find_controlnet(control.model)).path for control in job.controls}
            following = await self._queue.next(self._warm())
            targets = [
                Target(index=index, path=str(picture_path(job, index, record.submitted, self._pictures)))
                for index in range(job.count)
                if index not in saved
            ]
            link = await self._worker()
            if job.id in self._cancelled:
                await self._cancel_current(job.id)
                return
            ahead = self._models.path_of(following.job.model) if following is not None else ""
            run = Run(
                job=job,
                model_path=model.path,
                targets=targets,
                controlnets=nets,
                ahead=ahead if ahead != model.path else "",
            )
            await self._settle(job.id, await link.request(run))
        except LatenttyError as error:
            if error.problem.code == "worker_broken":  # nothing that the job did
                self._set_hold(error.problem)
                await self._give_back(job.id)
            else:
                await self._fail(job.id, error.problem)
        except WorkerLost as lost:
            await self._lost(job.id, str(lost))
        except sqlite3.Error as error:
            log.exception("the queue cannot be written")
            self._set_hold(queue_problem(error))
            await self._give_back(job.id)
        except Exception as error:
            log.exception("the job %s cannot be run", job.id)
            await self._fail(job.id, _unexpected(error))
        finally:
            self._current = None
            self._asked_to_end = None
            self._cancelled.discard(job.id)

    async def _settle(self, job_id: str, reply: Done | Failed) -> None:
        if isinstance(reply, Done):
            return  # the last picture ended the job
        problem = reply.problem
        if problem.code == "cancelled":
            await self._cancel_current(job_id)
        elif problem.code in ("disk_full", "output_unwritable") and await self._is_everyones():
            self._set_hold(problem)
            await self._give_back(job_id)
        elif problem.code == "disk_full":
            record = await self._durably(lambda: self._queue.interrupt(job_id, problem))
            self._tell_interrupted(record, problem)
        else:
            await self._fail(job_id, problem)

    async def _is_everyones(self) -> bool:
        """Whether what stopped the running job would stop any other: the folder of the settings cannot be used."""
        if self._current is None or self._current.job.folder:
            return False
        folder = picture_path(self._current.job, 0, self._current.submitted, self._pictures).parent
        return await asyncio.to_thread(output_problem, folder) is not None

    async def _lost(self, job_id: str, why: str) -> None:
        if self._stopping:
            await self._give_back(job_id)
        elif job_id in self._cancelled:
            await self._cancel_current(job_id)
        else:
            problem = self._last_words or _worker_died(why)
            record = await self._durably(lambda: self._queue.interrupt(job_id, problem))
            self._tell_interrupted(record, problem)

    async def _give_back(self, job_id: str) -> None:
        await self._durably(lambda: self._queue.give_back(job_id))
        self._tell(JobRequeued(job_id=job_id))

    def _tell_interrupted(self, record: JobRecord, problem: Problem) -> None:
        if record.state == "failed":
            self._tell(JobFailed(job_id=record.job.id, problem=problem, finished=record.finished or time.time()))
        elif record.state == "interrupted":
            self._tell(JobInterrupted(job_id=record.job.id, problem=problem))

    async def _fail(self, job_id: str, problem: Problem) -> None:
        record = await self._durably(lambda: self._queue.end(job_id, "failed", problem))
        self._tell(JobFailed(job_id=job_id, problem=problem, finished=record.finished or time.time()))

    async def _cancel_current(self, job_id: str) -> None:
        record = await self._durably(lambda: self._queue.end(job_id, "cancelled"))
        if record.state == "cancelled":
            self._tell(JobCancelled(job_id=job_id, finished=record.finished or time.time()))

    def _set_hold(self, problem: Problem | None) -> None:
        if problem != self.hold:
            self.hold = problem
            self._on_change()

    # ---- the worker --------------------------------------------------------------------------------------------

    async def _worker(self) -> WorkerLink:
        """A worker that has started; the one there is, or a new one.

        Raises:
            LatenttyError: it cannot start.
            WorkerLost: the engine ends, and starts none any more.
        """
        async with self._starting:
            if self._stopping:
                raise WorkerLost("the engine ends")
            if self._link is not None and self._link.lost is None:
                return self._link
            link = WorkerLink(self._make_home(), self._on_worker_event, self._show)
            self._ready.clear()
            self._last_words = None
            self._set_worker("starting")
            try:
                await link.start()
            except OSError as error:
                self._set_worker("absent")
                raise _cannot_start(str(error.strerror or error)) from None
            self._link = link
            watching = asyncio.create_task(self._watch(link))
            ready = asyncio.create_task(self._ready.wait())
            await asyncio.wait({watching, ready}, timeout=START_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if not self._ready.is_set():
                link.kill()
                if self._stopping:
                    raise WorkerLost("the engine ends")
                raise _cannot_start(link.lost or "it takes too long")
            for command in self._first_orders():
                await link.request(command)
            return link

    async def _watch(self, link: WorkerLink) -> None:
        await link.gone()
        if self._link is link:
            self._link = None
            self._set_stall(None)
            self._set_worker("absent")
            if self._current is None and not link.let_go:
                self._tell(Warning(problem=self._last_words or _worker_died(link.lost or "")))
        self._wake.set()

    async def _try(self, command: WorkerCommand) -> None:
        try:
            if self._link is not None:
                await self._link.request(command)
        except WorkerLost as lost:
            log.info("%s found no worker: %s", command, lost)

    async def _on_worker_event(self, event: WorkerEvent) -> None:
        self._pulse = event if isinstance(event, Pulse) else Pulse(quiet=0.0)
        match event:
            case WorkerChanged(state=state):
                self._set_worker(state)
                if state not in ("starting", "stopping"):
                    self._ready.set()
            case Pulse():
                pass
            case Warning(problem=problem) if problem.code == "device_lost":
                self._last_words = problem
            case SavedFile():
                await self._save(event)
            case JobNote(job_id=job_id, text=text):
                await self._durably(lambda: self._queue.note(job_id, text))
                self._tell(event)
            case _:
                self._tell(event)

    async def _save(self, file: SavedFile) -> None:
        record, picture = await self._durably(lambda: self._queue.save(file))
        if picture is not None:
            self._tell(ImageSaved(picture=picture))
        if record.state == "done":
            self._tell(JobDone(job_id=file.job_id, finished=record.finished or time.time()))

    async def _durably(self, write: Callable[[], Awaitable[T]]) -> T:
        """The result of `write`, tried until the disk takes it: what happened has happened, and its row must follow.

        Raises:
            WorkerLost: the engine ends; the next one finds the job as running, and its pictures where they are.
        """
        while True:
            try:
                return await write()
            except sqlite3.Error as error:
                log.exception("the queue cannot be written")
                self._set_hold(queue_problem(error))
                if self._stopping:
                    raise WorkerLost("the engine ends") from None
                await asyncio.sleep(LOOK_AGAIN)

    def _set_worker(self, state: WorkerState) -> None:
        if state != self.worker:
            self.worker = state
            self._on_change()


def _worker_died(why: str) -> Problem:
    if any(words in why for words in OF_THE_DEVICE):  # and it crashed before it could tell
        return device_lost(f"The device failed, and the process that used it died of that ({why}).")
    return Problem(
        code="worker_died",
        cause=f"The worker process died ({why}).",
        hint=(
            "If memory ran out, try a smaller size; latentty engine logs tells more."
            if why == f"killed by signal {signal.SIGKILL:d}"
            else "Read its last words: latentty engine logs"
        ),
    )


def _cannot_start(why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="worker_broken",
            cause=f"The worker that runs torch cannot start ({why}).",
            hint="Read why: latentty engine logs",
        )
    )


def _stalled(quiet: float) -> Problem:
    return Problem(
        code="worker_hung",
        cause=f"The worker is at work and has given no sign of life for {quiet:.0f} s.",
        hint="Cancel what it does: one that does not obey is ended, and a new one takes the next job.",
    )


def _unexpected(error: Exception) -> Problem:
    return Problem(
        code="internal",
        cause=f"{type(error).__name__} in the engine: {error}.",
        hint="latentty engine logs has the whole story.",
    )


def queue_problem(error: sqlite3.Error) -> Problem:
    """A failed transaction in words."""
    return Problem(
        code="disk_full",
        cause=f"The queue cannot be written: {error}.",
        hint="Free some space in the state folder; jobs go on by themselves.",
    )
