"""Jobs on their way into the queue: completed, checked, and refused before they are accepted."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from tui.engine.model_index import ModelIndex
from tui.engine.stores import Stores
from tui.library.acceptance import refuse_impossible
from tui.library.addons import Addons, NoSuchAddon
from tui.library.preparation import missing_from, prepare
from tui.library.prompt.wildcards import Wildcards
from tui.library.settings import Settings
from tui.library.sweeps import cells, in_order
from tui.library.token_counts import count_tokens
from tui.protocol.commands import CountTokens
from tui.protocol.events import JobRecord
from tui.protocol.job import Job
from tui.protocol.prompts import TokenCounts
from tui.protocol.sweep import Sweep


class Intake:
    """Takes jobs in."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        stores: Stores,
        models: ModelIndex,
        addons: Addons,
        wildcards: Wildcards,
        look_again: Callable[[], Awaitable[None]],
        queued: Callable[[JobRecord], None],
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._models = models
        self._addons = addons
        self._wildcards = wildcards
        self._look_again = look_again
        self._queued = queued

    async def submit(self, job: Job) -> JobRecord:
        """Take `job` in; the same one, sent again, is the one that is there.

        Raises:
            LatenttyError: it cannot be drawn.
        """
        record, new = await self._stores.queue.submit(await self._accept(job))
        if new:
            self._queued(record)
        return record

    async def retry(self, job_id: str) -> JobRecord:
        """Have a job that has ended wait once more.

        Raises:
            LatenttyError: there is none.
        """
        record = await self._stores.queue.retry(job_id)
        self._queued(record)
        return record

    async def start_sweep(self, sweep: Sweep) -> None:
        """Take in the jobs of all of its cells, or none.

        Raises:
            LatenttyError: one of them cannot be drawn.
        """
        jobs = [await self._accept(cell.job) for cell in in_order(cells(sweep))]
        await self._stores.sweeps.save(sweep)
        for job in jobs:
            record, new = await self._stores.queue.submit(job)
            if new:
                self._queued(record)

    async def count_tokens(self, command: CountTokens) -> TokenCounts:
        """How many tokens a prompt has for each encoder of its model, and what is not understood in it.

        Raises:
            LatenttyError: there is no such model.
        """
        model = await self._models.find(command.model)

        def count() -> TokenCounts:
            known = self._addons.embeddings() if model.weighting else {}
            vectors = {name: self._addons.header(path).rows for name, path in known.items()}
            counts = count_tokens(model, command.prompt, command.steps, vectors)
            missing = missing_from(command.prompt, self._wildcards, self._addons)
            return replace(counts, notices=[*counts.notices, *missing])

        return await asyncio.to_thread(count)

    async def _accept(self, job: Job) -> Job:
        """`job` with everything filled in that the engine fills in.

        Raises:
            LatenttyError: it cannot be drawn.
        """
        await self._models.look_for(*(control.model for control in job.controls))
        model = await self._models.find(job.model)
        if not job.format and self._settings().picture_format != "png":
            job = replace(job, format=self._settings().picture_format, quality=self._settings().picture_quality)
        try:
            job = await asyncio.to_thread(prepare, job, model, self._wildcards, self._addons)
        except NoSuchAddon:  # it may have been put there a moment ago
            await self._look_again()
            job = await asyncio.to_thread(prepare, job, model, self._wildcards, self._addons)
        refuse_impossible(job, model, {info.name: info for info in self._models.controlnets})
        return job
