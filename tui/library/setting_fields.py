"""The settings as a table: name, help and kind of each, read from the annotations and docstrings of the settings."""

import ast
import inspect
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tui.library.settings import Settings
from tui.protocol.problem import bad_request

Kind = Literal["text", "switch", "number", "choice", "list"]


class SettingField(Struct, frozen=True, kw_only=True):
    """One setting."""

    name: str
    """Such as "theme" or "engine.exit_after"."""
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    minimum: float = 0
    maximum: float = 1e9
    whole: bool = False
    """Whole numbers only."""
    unit: str = ""

    @property
    def values(self) -> str:
        """What it can be set to, such as "1 to 100" or "minutes, 0 for never"; empty for texts."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "switch":
            return "yes or no"
        if self.kind == "list":
            return "several with commas between"
        if self.kind != "number":
            return ""
        return self.unit or (f"{self.minimum:g} to {self.maximum:g}" if self.maximum < 1e9 else "")

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
                    raise ValueError(f"{self.values} is wanted")
                return text.lower() == "yes"
            case "number":
                return self._number(text)
            case "choice":
                if text not in self.choices:
                    raise ValueError(f"{self.values} is wanted")
                return text
            case "list":
                return [part.strip() for part in text.split(",") if part.strip()]
            case "text":
                return text

    def _number(self, text: str) -> float:
        wanted = f"a {'whole ' if self.whole else ''}number"
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{wanted} is wanted") from None
        if not self.minimum <= number <= self.maximum:
            most = f" to {self.maximum:g}" if self.maximum < 1e9 else " or more"
            raise ValueError(f"{wanted} of {self.minimum:g}{most} is wanted")
        if number == int(number):
            return int(number)
        if self.whole:
            raise ValueError(f"{wanted} is wanted")
        return number


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """Every setting, in the order of the settings file."""
    return tuple(_fields(Settings, ""))


def told_settings(settings: Settings) -> dict[str, str]:
    """Every setting as text, by its name."""
    return {field.name: field.told(settings) for field in setting_fields()}


def read_setting(name: str, text: str) -> object:
    """The value that `text` means for the setting with that name.

    Raises:
        LatenttyError: there is no such setting, or the text means nothing for it.
    """
    field = next((one for one in setting_fields() if one.name == name), None)
    if field is None:
        raise bad_request(f"There is no setting called {name!r}.")
    try:
        return field.read(text)
    except ValueError as error:
        raise bad_request(f"{name} cannot be {text!r}: {error}.") from None


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
            found.append(_field(f"{prefix}{field.name}", inner, told.get(field.name, "")))
    return found


def _field(name: str, kind: msgspec.inspect.Type, told: str) -> SettingField:
    unit = ""
    if isinstance(kind, msgspec.inspect.Metadata):
        unit = (kind.extra or {}).get("unit", "")
        kind = kind.type
    if isinstance(kind, msgspec.inspect.LiteralType):
        return SettingField(name=name, help=told, kind="choice", choices=tuple(str(one) for one in kind.values))
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return SettingField(
            name=name,
            help=told,
            kind="number",
            minimum=kind.ge or 0,
            maximum=1e9 if kind.le is None else kind.le,
            whole=isinstance(kind, msgspec.inspect.IntType),
            unit=unit,
        )
    return SettingField(name=name, help=told, kind=_kind(kind))


def _kind(kind: msgspec.inspect.Type) -> Kind:
    match kind:
        case msgspec.inspect.BoolType():
            return "switch"
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
