"""What the readers of other programs' metadata collect, and the names that they share."""

from typing import Any, Final

from tui.library.schedulers import SCHEDULERS

MAX_SHOWN: Final = 2_000
"""Letters of a value that is only told."""


class Found:
    """The fields of a job that were recovered, and what was told beside them."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.unmapped: dict[str, str] = {}

    def text(self, name: str, value: object) -> None:
        """A field that is text."""
        if isinstance(value, str) and value:
            self.fields[name] = value

    def whole(self, name: str, value: object, told_as: str = "") -> None:
        """A field that is a whole number."""
        number = number_of(value)
        if number is not None and number == int(number):
            self.fields[name] = int(number)
        elif value is not None:
            self.leave(told_as or name, value)

    def number(self, name: str, value: object, told_as: str = "") -> None:
        """A field that is a number."""
        number = number_of(value)
        if number is not None:
            self.fields[name] = number
        elif value is not None:
            self.leave(told_as or name, value)

    def adapter(self, name: object, weight: object = 1.0, text_weight: object = None) -> None:
        """A LoRA, by the name that the file has for it."""
        if not isinstance(name, str) or not name:
            return
        one: dict[str, Any] = {"path": name, "weight": number_or(weight, 1.0)}
        if text_weight is not None and number_of(text_weight) not in (None, one["weight"]):
            one["text_weight"] = number_of(text_weight)
        self.fields.setdefault("adapters", []).append(one)

    def leave(self, name: str, value: object) -> None:
        """Something that fits no field."""
        if value not in (None, "", [], {}):
            self.unmapped[name] = str(value)[:MAX_SHOWN]

    def scheduler(self, sampler: str, schedule: str = "") -> None:
        """A sampler and its schedule, by the names that this file uses; where we have only the sampler, that."""
        found, left = scheduler_called(sampler, schedule)
        if found:
            self.fields["scheduler"] = found
            self.leave("schedule", left)
        else:
            self.leave("sampler", f"{sampler} {schedule}".strip())


def number_of(value: object) -> float | None:
    """`value` as a finite number, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return int(value) if isinstance(value, int) else _exact(value, number)


def _exact(value: float | str, number: float) -> float:
    """Seeds have more digits than a float keeps."""
    if isinstance(value, str):
        digits = value.strip().lstrip("+-")
        if digits.isascii() and digits.isdigit() and len(digits) < 40:
            return int(value)
    return number


def listed(value: object) -> list[Any]:
    """`value` as a list: what stands where others have one may be anything."""
    return value if isinstance(value, list) else []


def number_or(value: object, otherwise: float) -> float:
    """`value` as a number, or `otherwise`."""
    number = number_of(value)
    return otherwise if number is None else number


_ALIASES: Final = {
    "euler_ancestral": "Euler a",
    "k_euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "euler ancestral": "Euler a",
    "k_euler_a": "Euler a",
    "eulera": "Euler a",
    "euler": "Euler",
    "k_euler": "Euler",
    "heun": "Heun",
    "k_heun": "Heun",
    "dpm_2": "DPM2",
    "kdpm_2": "DPM2",
    "k_dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "kdpm_2_a": "DPM2 a",
    "k_dpm_2_ancestral": "DPM2 a",
    "dpm_2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_gpu": "DPM++ 2M SDE",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m": "DPM++ 3M",
    "dpmpp_2s": "DPM++ 2S",
    "k_dpmpp_2s": "DPM++ 2S",
    "ddim": "DDIM",
    "ddim_v3": "DDIM",
    "ddpm": "DDPM",
    "plms": "PLMS",
    "pndm": "PLMS",
    "unipc": "UniPC",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "deis": "DEIS",
    "lcm": "LCM",
    "tcd": "TCD",
    "dpm++ 2m": "DPM++ 2M",
    "dpm++2m": "DPM++ 2M",
    "dpm++2mv2": "DPM++ 2M",
    "dpm++2s_a": "DPM++ 2S",
    "unipcmultistepscheduler": "UniPC",
    "dpmsolvermultistepscheduler": "DPM++ 2M",
    "eulerdiscretescheduler": "Euler",
    "eulerancestraldiscretescheduler": "Euler a",
    "heundiscretescheduler": "Heun",
    "kdpm2discretescheduler": "DPM2",
    "kdpm2ancestraldiscretescheduler": "DPM2 a",
    "ddimscheduler": "DDIM",
    "ddpmscheduler": "DDPM",
    "pndmscheduler": "PLMS",
    "deismultistepscheduler": "DEIS",
    "lcmscheduler": "LCM",
    "tcdscheduler": "TCD",
    "flowmatcheulerdiscretescheduler": "Euler",
}
"""The names of ComfyUI, InvokeAI, NovelAI, Fooocus and diffusers, by A1111's."""

_SCHEDULES: Final = {"karras": "Karras", "exponential": "Exponential"}
_PLAIN_SCHEDULES: Final = {
    "",
    "automatic",
    "normal",
    "native",
    "simple",
    "default",
    "uniform",
    "sgm_uniform",
    "discrete",
}


def scheduler_called(sampler: str, schedule: str = "") -> tuple[str, str]:
    """The id of the scheduler that other programs call `sampler` with `schedule`; empty when we have none.

    Where we have the sampler with its own schedule alone, the second is the one that was asked for.
    """
    name, shape = _parted(sampler, schedule)
    if found := _scheduler(name, shape):
        return found, ""
    return _scheduler(name, ""), schedule.strip() or shape


def _parted(sampler: str, schedule: str) -> tuple[str, str]:
    """A sampler by A1111's name and the schedule, which may stand behind its name."""
    name, shape = sampler.strip(), schedule.strip().lower().replace(" ", "_")
    for suffix in (*_SCHEDULES, *_PLAIN_SCHEDULES - {""}):
        tails = (f" {suffix}", f"_{suffix}", f"_{suffix[0]}" if suffix in _SCHEDULES else f" {suffix}")
        tail = next((one for one in tails if name.lower().endswith(one)), "")
        if tail and name.lower() not in _ALIASES:
            name, shape = name[: -len(tail)], suffix
    return _ALIASES.get(name.lower(), name), shape


def _scheduler(name: str, shape: str) -> str:
    """The id of the scheduler with A1111's `name` and the schedule `shape`; empty when we have none."""
    if shape not in _PLAIN_SCHEDULES and shape not in _SCHEDULES:
        return ""
    wanted = _SCHEDULES.get(shape, "")
    for entry in SCHEDULERS.values():
        if entry.sampler.casefold() == name.casefold() and entry.schedule == wanted:
            return entry.id
    return ""
