"""What stands in each row of the terminal, so that rows which are drawn again as they are cost nothing.

Textual draws the whole screen when the layout or the focus changes, and twice when a dialog closes.
"""

import re
from typing import Final

_MOVE: Final = re.compile(r"\x1b\[(\d+);(\d+)H")


class Rows:
    """Used by the driver alone; knows only what went through it."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}
        """What was written of each row that was last written whole."""

    def forget(self) -> None:
        """The terminal may show anything now."""
        self._shown.clear()

    def changed(self, frame: str, height: int) -> str:
        """`frame`, for a terminal of `height` rows, without the whole rows that stand there already."""
        head, *moves = _MOVE.split(frame)
        rows, columns, texts = moves[::3], moves[1::3], moves[2::3]
        whole = height if rows[:height] == [str(row) for row in range(1, height + 1)] else 0
        if set(columns[:whole]) - {"1"}:
            whole = 0
        told = [head]
        for index, (row, column, text) in enumerate(zip(rows, columns, texts, strict=True)):
            number = int(row)
            if index < whole:
                if self._shown.get(number) == text:
                    continue
                self._shown[number] = text
            elif text:
                self._shown.pop(number, None)
            told.append(f"\x1b[{row};{column}H{text}")
        return "".join(told)
