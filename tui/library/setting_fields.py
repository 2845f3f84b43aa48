"""The settings as a table: name, help and kind of each, read from the annotations and docstrings of the settings."""

import ast
import inspect
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tui.library.settings import Settings

Kind = Literal["text", "switch", "number", "choice", "list"]


class SettingField(Struct, frozen=True, kw_only=True):
    """One setting."""

    name: str
    """Such as "theme" or "engine.exit_after"."""
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()

    def value_of(self, settings: Settings) -> Any:
        """What it is set to."""
        value: Any = settings
        for part in self.name.split("."):
            value = getattr(value, part)
        return value

    def told(self, settings: Settings) -> str:
        """The same as text, which :meth:`read` takes."""
        value = self.value_of(settings)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return ", ".join(value)
        return f"{value:g}" if isinstance(value, float | int) else str(value)

    def read(self, text: str) -> object:
        """The value that `text` means.

        Raises:
            ValueError: it means none; the message says what it should be.
        """
        text = text.strip()
        match self.kind:
            case "switch":
                if text.lower() not in ("yes", "no"):
                    raise ValueError("yes or no is wanted")
                return text.lower() == "yes"
            case "number":
                try:
                    number = float(text)
                except ValueError:
                    raise ValueError("a number is wanted") from None
                if not 0 <= number < 1e9:
                    raise ValueError("a number of 0 or more is wanted")
                return int(number) if number == int(number) else number
            case "choice":
                if text not in self.choices:
                    raise ValueError(f"one of {', '.join(self.choices)} is wanted")
                return text
            case "list":
                return [part.strip() for part in text.split(",") if part.strip()]
            case "text":
                return text


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """Every setting, in the order of the settings file."""
    return tuple(_fields(Settings, ""))


def _fields(kind: type[Struct], prefix: str) -> list[SettingField]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    told = _docstrings(kind)
    found: list[SettingField] = []
    for field in info.fields:
        inner = field.type
        if isinstance(inner, msgspec.inspect.StructType):
            found += _fields(inner.cls, f"{prefix}{field.name}.")
        else:
            choices = tuple(str(one) for one in inner.values) if isinstance(inner, msgspec.inspect.LiteralType) else ()
            name = f"{prefix}{field.name}"
            found.append(SettingField(name=name, help=told.get(field.name, ""), kind=_kind(inner), choices=choices))
    return found


def _kind(kind: msgspec.inspect.Type) -> Kind:
    match kind:
        case msgspec.inspect.BoolType():
            return "switch"
        case msgspec.inspect.FloatType() | msgspec.inspect.IntType():
            return "number"
        case msgspec.inspect.LiteralType():
            return "choice"
        case msgspec.inspect.ListType():
            return "list"
        case _:
            return "text"


def _docstrings(kind: type[Struct]) -> dict[str, str]:
    """The string below each field of a class, which is its help."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for statement in definition.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=field)):
                name = field
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                found[name] = " ".join(text.split())
    return found
