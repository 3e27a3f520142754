"""A flow's versions, with what the registry knows of them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from knowngood import parts
from knowngood.cli.door import read_known_flow
from knowngood.cli.flow_id import checked_flow_id
from knowngood.cli.narrative import moment
from knowngood.genesys.port import Flow, Version, VersionStatus

HEADERS = ("VERSION", "STATUS", "CREATED", "BY", "TAGS", "NOTES")


@dataclass(frozen=True)
class VersionLine:
    """One version. `notes`: live, activated, known-good, known-bad, baseline."""

    version_id: str
    status: str
    created_at: datetime | None
    created_by: str | None
    tags: tuple[str, ...]
    notes: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        """Return the version as a row."""
        return (
            self.version_id,
            self.status,
            moment(self.created_at),
            self.created_by or "-",
            " ".join(self.tags) or "-",
            ", ".join(self.notes),
        )


@dataclass(frozen=True)
class History:
    """A flow's versions, newest first."""

    flow_id: str
    name: str
    lock: str | None
    lines: tuple[VersionLine, ...]

    def document(self) -> dict[str, Any]:
        """Return the history as machines read it; times in ISO 8601, UTC."""
        return {
            "flow_id": self.flow_id,
            "name": self.name,
            "lock": self.lock,
            "versions": [
                asdict(line)
                | {"created_at": line.created_at.isoformat() if line.created_at else None}
                for line in self.lines
            ],
        }


def read_history(flow_id: str) -> History:
    """Read a flow's versions from the org and the registry.

    Raises:
        Refused: the id is malformed, or there is no such flow.
    """
    flow = read_known_flow(checked_flow_id(flow_id))
    registry = parts.registry()
    verdicts = registry.verdicts(flow_id)
    baselines = [record.active_version_id for record in registry.list(flow_id)]
    drafts = {
        record.snapshot_version_id
        for record in registry.list(flow_id)
        if record.snapshot_version_id != record.active_version_id
    }

    def notes(version: Version) -> tuple[str, ...]:
        found = {
            _activity(flow, version): True,
            "known-good": version.version_id in verdicts.known_good,
            "known-bad": version.version_id in verdicts.known_bad,
            "baseline": version.version_id in baselines[:1],
            "earlier baseline": version.version_id in baselines[1:]
            and version.version_id not in baselines[:1],
            "snapshot": version.version_id in drafts,
        }
        return tuple(name for name, so in found.items() if so and name)

    holder = flow.lock if parts.gateway().lock_is_in_flow else parts.gateway().read_lock(flow_id)
    return History(
        flow.flow_id,
        flow.name,
        str(holder) if holder else None,
        tuple(
            VersionLine(
                version.version_id,
                str(version.status),
                version.created_at,
                version.created_by,
                version.tags,
                notes(version),
            )
            for version in flow.versions
        ),
    )


def _activity(flow: Flow, version: Version) -> str:
    if flow.active is None or flow.active.version_id != version.version_id:
        return ""
    return {
        VersionStatus.PUBLISHED: "live",
        VersionStatus.PUBLISHING: "being published",
    }.get(flow.active.status, "activated, not published")
