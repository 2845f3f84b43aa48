"""Imported by every Python process of a test that puts this folder on PYTHONPATH: there is no network, and no pickle.

What is tried all the same is written down in the file that TRIED names, and fails.
"""

import os
import sys

ASKED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "urllib.Request")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
        _refuse(event, arguments[1])
    elif event in ASKED or event == "pickle.find_class":
        _refuse(event, arguments)


def _refuse(event: str, what: object) -> None:
    descriptor = os.open(os.environ["TRIED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{sys.argv[:3]} {event} {what}\n".encode())
    os.close(descriptor)
    raise OSError(f"{event} is not allowed here")


sys.addaudithook(_hook)
