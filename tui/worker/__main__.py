"""The worker process: `python -m tui.worker FD`, started by the engine with one end of a socket pair.

It ends when the other end closes, however busy the device thread is: an orphan would hold the GPU.
"""

import asyncio
import ctypes
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tui.library.paths import Paths
from tui.library.places import lending
from tui.library.settings import load_settings
from tui.protocol.events import Pulse, Warning, WorkerEvent
from tui.protocol.frames import MAX_FRAME, PULSE_EVERY, Order, Preview, Told, encode, orders, read_frame
from tui.worker.device import DeviceThread
from tui.worker.lost_device import end_at_loss, loss
from tui.worker.supervisor import DeviceWork, Supervisor

if TYPE_CHECKING:
    from tui.protocol.problem import Problem

log = logging.getLogger(__name__)

OpenWork = Callable[[Callable[[WorkerEvent], None], Callable[[Preview], None]], DeviceWork]
"""Makes what the supervisor has done on the device thread, given where events and previews go."""

PR_SET_PDEATHSIG: Final = 1

TELL_WITHIN: Final = 2.0
"""Seconds that the engine has to read why this process ends."""

CHATTY: Final = ("bitsandbytes.autograd._functions", "torchao", "torch.utils._pytree")
"""Loggers that warn, each time, of what nobody here uses or can change."""

FIRST_TO_GO: Final = "500"
"""How readily the kernel ends this process for want of memory: as if it held half of all there is on top of its own."""

MAX_UNREAD: Final = 1 << 20
"""Bytes that the engine has not read yet, above which previews are left out."""


def main() -> None:
    """Serve the engine at the other end of the file descriptor given as the only argument."""
    # should the engine die while the interpreter is stuck in foreign code
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):  # where memory runs out for all, this process goes, not the one that has the queue
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), _pipelines))


async def serve(connection: socket.socket, open_work: OpenWork) -> None:
    """Answer orders until the engine's end closes; `open_work` is called on the device thread."""
    reader, writer = await asyncio.open_connection(sock=connection)
    loop = asyncio.get_running_loop()

    def tell(event: WorkerEvent) -> None:
        """From any thread; events keep their order."""
        loop.call_soon_threadsafe(writer.write, encode(Told(event=event)))

    def show(preview: Preview) -> None:
        """From any thread; left out while the engine has no time to read."""
        loop.call_soon_threadsafe(show_now, preview)

    def show_now(preview: Preview) -> None:
        if writer.transport.get_write_buffer_size() < MAX_UNREAD:
            writer.write(encode(preview))

    supervisor = Supervisor(DeviceThread(), lambda: open_work(tell, show), tell, _explain)

    async def tell_loss(error: Exception) -> None:
        writer.transport.set_write_buffer_limits(0)  # drained is what the engine's end has
        writer.write(encode(Told(event=Warning(problem=loss(error, supervisor.doing)))))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(TELL_WITHIN):
                await writer.drain()
        os._exit(1)

    def end(error: Exception) -> NoReturn:
        """On the thread that met it, which goes no further: whatever it let go of would touch the device."""
        gc.disable()  # nor may another thread collect what it holds
        log.error("the device is lost", exc_info=error)
        asyncio.run_coroutine_threadsafe(tell_loss(error), loop)
        while True:
            time.sleep(TELL_WITHIN)

    end_at_loss(end)
    serving = asyncio.create_task(supervisor.run())
    serving.add_done_callback(_end_if_failed)
    pulse = asyncio.create_task(_tell_pulse(supervisor, tell))
    pulse.add_done_callback(_end_if_failed)

    async def answer(order: Order) -> None:
        reply = await supervisor.post(order)
        loop.call_soon_threadsafe(writer.write, encode(reply))

    answering: set[asyncio.Task[None]] = set()
    while (frame := await read_frame(reader, MAX_FRAME)) is not None:
        task = asyncio.create_task(answer(orders.decode(frame)))
        answering.add(task)
        task.add_done_callback(answering.discard)
    os._exit(0)


def _pipelines(tell: Callable[[WorkerEvent], None], show: Callable[[Preview], None]) -> DeviceWork:
    from tui.worker.pipelines import Pipelines  # imports torch, on the device thread

    paths = Paths.of_user()
    settings = load_settings(paths)
    folders = list(dict.fromkeys([*settings.models(), *lending(settings)]))
    return Pipelines(tell, show, paths.cache, folders, compiling=settings.compile_models)


async def _tell_pulse(supervisor: Supervisor, tell: Callable[[WorkerEvent], None]) -> None:
    while True:
        await asyncio.sleep(PULSE_EVERY)
        if (quiet := supervisor.quiet) is not None:
            tell(Pulse(quiet=quiet))


def _explain(error: Exception, doing: str) -> "Problem":
    from tui.worker.explain import explain  # imports torch, which is there by now

    return explain(error, doing)


def _end_if_failed(serving: "asyncio.Task[None]") -> None:
    """A supervisor that cannot start or broke its own rules takes the process with it; the engine starts another."""
    error = None if serving.cancelled() else serving.exception()
    if error is not None:
        log.error("the supervisor ended", exc_info=error)
        os._exit(1)


if __name__ == "__main__":
    main()
