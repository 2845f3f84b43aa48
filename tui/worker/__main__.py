"""The worker process: `python -m tui.worker FD`, started by the engine with one end of a socket pair.

It ends when the other end closes, however busy the device thread is: an orphan would hold the GPU.
"""

import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

from tui.library.paths import Paths
from tui.library.settings import load_settings
from tui.protocol.events import WorkerEvent
from tui.protocol.frames import MAX_FRAME, Order, Preview, Told, encode, orders, read_frame
from tui.worker.device import DeviceThread
from tui.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from tui.protocol.problem import Problem
    from tui.worker.supervisor import DeviceWork

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Serve the engine at the other end of the file descriptor given as the only argument."""
    # should the engine die while the interpreter is stuck in foreign code
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(capture=True)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


async def serve(connection: socket.socket) -> None:
    """Answer orders until the engine's end closes."""
    reader, writer = await asyncio.open_connection(sock=connection)
    loop = asyncio.get_running_loop()

    def send(frame: Told | Preview) -> None:
        """From any thread; frames keep their order."""
        loop.call_soon_threadsafe(writer.write, encode(frame))

    def tell(event: WorkerEvent) -> None:
        send(Told(event=event))

    def open_device() -> "DeviceWork":
        from tui.worker.pipelines import Pipelines  # imports torch, on the device thread

        paths = Paths.of_user()
        return Pipelines(tell, send, paths.cache, load_settings(paths).models())

    supervisor = Supervisor(DeviceThread(), open_device, tell, _explain)
    serving = asyncio.create_task(supervisor.run())
    serving.add_done_callback(_end_if_failed)

    async def answer(order: Order) -> None:
        reply = await supervisor.post(order)
        loop.call_soon_threadsafe(writer.write, encode(reply))

    answering: set[asyncio.Task[None]] = set()
    while (frame := await read_frame(reader, MAX_FRAME)) is not None:
        task = asyncio.create_task(answer(orders.decode(frame)))
        answering.add(task)
        task.add_done_callback(answering.discard)
    os._exit(0)


def _explain(error: Exception, doing: str) -> "Problem":
    from tui.worker.explain import explain  # imports torch, which is there by now

    return explain(error, doing)


def _end_if_failed(serving: "asyncio.Task[None]") -> None:
    """A supervisor that cannot start or broke its own rules takes the process with it; the engine starts another."""
    error = None if serving.cancelled() else serving.exception()
    if error is not None:
        logging.getLogger(__name__).error("the supervisor ended", exc_info=error)
        os._exit(1)


if __name__ == "__main__":
    main()
