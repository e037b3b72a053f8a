"""What a person reads of an alert, on a phone: a line, and a few more below it."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.queries.groups import CountedGroup
from chalicelib.records import App, Version

MAX_TITLE_CHARS = 200
_MAX_LINE_CHARS = 300  # messages of exceptions may be pages


@dataclass(frozen=True, slots=True)
class About:
    """An alert with what it is about, as far as that is still there."""

    alert: Alert
    app: App
    version: Version | None = None
    group: CountedGroup | None = None

    def path(self) -> str:
        """Where the API has it."""
        base = f"/api/2/apps/{self.app.app_id}"
        if self.group is not None:
            return f"{base}/crash_reasons/{self.group.group.group_id}"
        if self.version is not None:
            return f"{base}/app_versions/{self.version.version_id}/crash_reasons"
        return f"{base}/crash_reasons"


def title(about: About) -> str:
    return _line(f"[{about.app.name}] {about.alert.title}")[:MAX_TITLE_CHARS]


def text(about: About) -> str:
    """Lines of text: what happened, in which version, where in the code."""
    lines = [_happened(about.alert)]
    if about.version is not None:
        told = _share(about.alert.version_percent)
        lines.append(_line(f"{told}Version {_named(about.version)}"))
    if about.group is not None:
        lines.append(_line(_share(about.alert.group_percent) + _place(about.group)))
    return "\n".join(line for line in lines if line)


def _happened(alert: Alert) -> str:
    match alert.kind:
        case AlertKind.NEW_GROUP if alert.group_id is None:
            return f"At least {alert.observed} crashes that were not seen before."
        case AlertKind.NEW_GROUP:
            return "A crash that was not seen before."
        case AlertKind.REGRESSED_GROUP if alert.group_id is None:
            return f"At least {alert.observed} crashes that were resolved happen again."
        case AlertKind.REGRESSED_GROUP:
            return "A crash that was resolved happens again."
    expected = f"{alert.expected_milli / 1000:.1f}".removesuffix(".0")
    told = f"{alert.observed} crashes in {alert.minutes} minutes, where {expected}"
    if alert.kind is AlertKind.CRASH_FREE_DROP:
        return f"{told} in as many sessions were to be expected."
    return f"{told} were to be expected."


def _share(percent: int | None) -> str:
    return "" if percent is None else f"{percent} % of the increase: "


def _named(version: Version) -> str:
    if version.name and version.number and version.name != version.number:
        return f"{version.name} ({version.number})"
    return version.name or version.number or "unknown"


def _place(group: CountedGroup) -> str:
    stored = group.group
    function = ".".join(filter(None, [stored.class_name, stored.method]))
    line = "" if stored.line is None else f":{stored.line}"
    place = f"{function} ({stored.file}{line})" if function and stored.file else function
    told = ": ".join(filter(None, [place, stored.exception_type, stored.reason]))
    return _line(told)


def _line(said: str) -> str:
    return " ".join(said.split())[:_MAX_LINE_CHARS]
