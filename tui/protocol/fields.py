"""The fields of a job as a table: label, unit, range and help, read from the annotations of :class:`Job`."""

from functools import cache
from math import ceil, floor
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from tui.protocol.job import Job

CLOSE: Final = 1e-9
"""What floating point may miss a whole number of steps by."""


class Field(Struct, frozen=True, kw_only=True):
    """How one field of a job is called and which values it takes."""

    name: str
    label: str
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = None
    max_length: int | None = None
    whole: bool = False
    """Whole numbers only."""
    step: float = 1
    """How far a key takes it at a time."""

    def stepped(self, value: float, by: int) -> float:
        """`value` taken `by` steps on, to a whole number of steps, within the range."""
        there: float
        if self.whole:  # exact, for seeds too
            number, step = int(value), int(self.step)
            there = (number // step + by if by > 0 else -(-number // step) + by) * step
        else:
            steps = value / self.step
            there = round(((floor(steps + CLOSE) if by > 0 else ceil(steps - CLOSE)) + by) * self.step, 6)
        low, high = self.minimum, self.maximum
        return min(max(there, there if low is None else low), there if high is None else high)

    @property
    def range(self) -> str:
        """The range in words, such as "64 to 8192, in steps of 8"; empty for text."""
        if self.minimum is None or self.maximum is None:
            return ""
        steps = f", in steps of {self.multiple_of:g}" if self.multiple_of else ""
        return f"{_plain(self.minimum)} to {_plain(self.maximum)}{steps}"

    def complaint(self, value: object) -> str | None:
        """Why `value` does not fit this field, as one sentence; None when it fits."""
        if isinstance(value, str):
            if self.max_length is not None and len(value) > self.max_length:
                return f"{self.label} is longer than {self.max_length} characters."
            return None
        if self.minimum is None and self.maximum is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.whole and value != int(value)):
            return f"{self.label} must be a {'whole ' if self.whole else ''}number."
        low = self.minimum is not None and value < self.minimum
        high = self.maximum is not None and value > self.maximum
        # not (x in range): so that NaN is refused as well
        if low or high or value != value or (self.multiple_of and value % self.multiple_of):
            return f"{self.label} {value:g} is not possible: it must be {self.range}."
        return None


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def job_fields() -> dict[str, Field]:
    """The fields of a job by name, in the order of the job."""
    return fields_of(Job)


@cache
def fields_of(kind: type[Struct]) -> dict[str, Field]:
    """The fields of a struct by name, in its order."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.name: _field(field) for field in info.fields}


def _field(field: inspect.Field) -> Field:
    kind: Any = field.type
    told: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if isinstance(kind, inspect.Metadata):
        told, extra, kind = kind.extra_json_schema or {}, kind.extra or {}, kind.type
    return Field(
        name=field.name,
        label=told.get("title", field.name.capitalize()),
        help=told.get("description", ""),
        unit=extra.get("unit", ""),
        minimum=getattr(kind, "ge", None),
        maximum=getattr(kind, "le", None),
        multiple_of=getattr(kind, "multiple_of", None),
        max_length=getattr(kind, "max_length", None),
        whole=isinstance(kind, inspect.IntType),
        step=extra.get("step")
        or getattr(kind, "multiple_of", None)
        or (1 if isinstance(kind, inspect.IntType) else 0.05),
    )


def complaints(job: Job) -> list[str]:
    """Everything about `job` that lies outside its fields' ranges, one sentence each."""
    values = msgspec.structs.asdict(job)
    found = (field.complaint(values[name]) for name, field in job_fields().items() if name != "id")
    return [complaint for complaint in found if complaint is not None]
