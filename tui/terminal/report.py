"""What `latentty doctor` tells of the terminal."""

from tui.library.plain_text import plain
from tui.terminal.choice import Preview, choose
from tui.terminal.terminal import Terminal


def terminal_lines(terminal: Terminal, wanted: Preview = "auto") -> list[tuple[str, str]]:
    """Pairs of what is told and what it is, in order; the text holds no control characters.

    `terminal` is from :func:`tui.terminal.probe.look`, `wanted` is the setting `preview`.
    """
    choice = choose(terminal, wanted)
    lines = [
        ("Terminal", _name(terminal)),
        ("Size", _size(terminal)),
        ("Way to it", _way(terminal)),
        ("Colours", _colours(terminal)),
        ("Answered in", "no answer" if terminal.answered is None else f"{terminal.answered * 1000:.0f} ms"),
        ("Pictures", f"{choice.protocol}: {choice.reason}"),
    ]
    if choice.advice:
        lines.append(("Better", choice.advice))
    return [(label, plain(told)) for label, told in lines]


def _name(terminal: Terminal) -> str:
    if not terminal.is_terminal:
        return "none: input or output is no terminal, or its size is zero"
    inner = terminal.name or terminal.term or "unknown"
    return f"{inner} in {terminal.tmux.outer or 'unknown'}" if terminal.tmux is not None else inner


def _size(terminal: Terminal) -> str:
    cells = f"{terminal.columns} × {terminal.rows} cells"
    if not terminal.cell_width:
        return f"{cells}, their pixels unknown"
    return f"{cells} of {terminal.cell_width} × {terminal.cell_height} pixels"


def _way(terminal: Terminal) -> str:
    way: list[str] = [terminal.between] if terminal.between else []
    if terminal.tmux is not None:
        way = [f"tmux, passthrough {'on' if terminal.tmux.passthrough else 'off'}"]
    return ", ".join([*way, "SSH"] if terminal.over_ssh else way) or "direct"


def _colours(terminal: Terminal) -> str:
    depth = "none" if not terminal.colours else "truecolor" if terminal.truecolor else "256 at most"
    return f"{depth}, {'updates all at once' if terminal.synchronized else 'updates line by line'}"
