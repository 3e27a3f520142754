"""A run's journal in words: one line for each entry. Times are UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from knowngood.errors import Waiting
from knowngood.runs.model import JournalEntry

_WAITS = {
    Waiting.LOCK: "waits {seconds} for the flow's lock",
    Waiting.CONFLICT: "waits {seconds} for the other operation on the flow",
    Waiting.RATE: "waits {seconds} for the API's rate limit",
    Waiting.API: "asks again in {seconds}",
}


def clock(at: datetime | None) -> str:
    """Show a time of day, `12:03:04Z`."""
    return f"{at:%H:%M:%S}Z" if at else "-"


def moment(at: datetime | None) -> str:
    """Show a date and time, `2026-11-24 12:03:04Z`."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z" if at else "-"


def span(seconds: float | None) -> str:
    """Show a duration, `4 ms`, `0.42 s`, `12 s` or `5 min 3 s`."""
    if seconds is None:
        return "-"
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f}".removesuffix(".00") + " s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def say(entry: JournalEntry) -> str:
    """Say what one journal entry reports."""
    detail = entry.detail
    match entry.event:
        case "accepted":
            return "accepted" + _asked(detail)
        case "step-started":
            again = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
            return f"{entry.step} begins{again}"
        case "step-ended":
            return f"{entry.step} done{_found(detail)}"
        case "step-waits":
            return f"{entry.step} {waiting(detail)}: {detail.get('error')}"
        case "fell-back":
            return f"{detail.get('error')}: takes the next version"
        case "taken-over":
            return f"its worker was silent: {entry.step} is handed to another"
        case "polled":
            return f"poll {detail.get('number')}: {detail.get('verdict')}: {detail.get('why')}"
        case "rollback-started":
            return f"the rollback begins: run {detail.get('rollback')}"
        case "run-ended":
            why = detail.get("error")
            return f"ended: {detail.get('outcome')}" + (f": {why}" if why else "")
        case other:
            told = ", ".join(f"{name} {value}" for name, value in detail.items())
            return f"{other}{': ' if told else ''}{told}"


def waiting(detail: Mapping[str, Any]) -> str:
    """Say what a step waits for, and how long."""
    kind = Waiting(detail.get("waiting_on", Waiting.API))
    return _WAITS[kind].format(seconds=span(float(detail.get("seconds", 0))))


def _asked(detail: Mapping[str, Any]) -> str:
    who, why = detail.get("requested_by"), detail.get("reason") or detail.get("description")
    return (f", asked for by {who}" if who else "") + (f": {why}" if why else "")


def _found(detail: Mapping[str, Any]) -> str:
    if "target" in detail:
        return f": version {detail['target']}, {detail.get('reason')}"
    told = [f"{name.replace('_', ' ')} {value}" for name, value in detail.items() if _plain(value)]
    return f": {', '.join(told)}" if told else ""


def _plain(value: object) -> bool:
    return value is not None and not isinstance(value, dict | list)
