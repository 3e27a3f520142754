"""The backup registry: snapshot records, verdicts on versions, and the archive of runs.

Everything but the notes of open runs is written once. Paths below the store's URL:

    flows/{flow_id}/snapshots/{UTC time}-{run_id}.json
    flows/{flow_id}/verdicts/{version_id}/{UTC time}-{good|bad}-{run_id}.json
    flows/{flow_id}/bad-revisions/{sha256 of the revision}.json
    open/{run_id}.json
    runs/{YYYY-MM-DD}/{run_id}.json
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from knowngood.errors import KnownBad, RecordDamaged
from knowngood.genesys.port import Dependency
from knowngood.snapshots.record import SnapshotRecord
from knowngood.snapshots.store import ArtifactStore


@dataclass(frozen=True)
class Verdicts:
    """What is known of a flow's versions; a version that is ever found bad stays bad."""

    known_good: tuple[str, ...]
    known_bad: frozenset[str]


def _revision_path(flow_id: str, revision: str) -> str:
    return f"flows/{flow_id}/bad-revisions/{hashlib.sha256(revision.encode()).hexdigest()}.json"


def _sortable(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


class SnapshotRegistry:
    """Reads and writes the registry."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store

    def write(self, record: SnapshotRecord) -> SnapshotRecord:
        """Write a record once and return what is stored.

        A second write of the same run returns the first one's record, whatever it holds.
        """
        name = f"{_sortable(record.taken_at)}-{record.run_id}.json"
        path = f"flows/{record.flow_id}/snapshots/{name}"
        if self.store.create(path, record.to_bytes()):
            return record
        return self._read(path)

    def paths(self, flow_id: str) -> Sequence[str]:
        """Return the paths of a flow's records, newest first."""
        return list(reversed(self.store.list(f"flows/{flow_id}/snapshots/")))

    def list(self, flow_id: str, limit: int = 20) -> Sequence[SnapshotRecord]:
        """Read a flow's newest records, newest first."""
        return [self._read(path) for path in self.paths(flow_id)[:limit]]

    def latest(self, flow_id: str) -> SnapshotRecord | None:
        """Read a flow's newest record, or None."""
        records = self.list(flow_id, 1)
        return records[0] if records else None

    def find(self, flow_id: str, run_id: str) -> SnapshotRecord | None:
        """Read the record that a run wrote, or None."""
        for path in self.paths(flow_id):
            if path.endswith(f"-{run_id}.json"):
                return self._read(path)
        return None

    def record_of(self, flow_id: str, version_id: str) -> SnapshotRecord | None:
        """Read the newest record whose baseline is a version, or None."""
        for record in self.list(flow_id):
            if record.active_version_id == version_id:
                return record
        return None

    def dependencies_of(self, flow_id: str, version_id: str) -> Sequence[Dependency]:
        """Return what the snapshots recorded that a version needs."""
        record = self.record_of(flow_id, version_id)
        return record.dependencies if record else ()

    def digest_of(self, flow_id: str, version_id: str) -> str | None:
        """Return the recorded digest of a version's configuration, or None."""
        record = self.record_of(flow_id, version_id)
        return record.configuration_digest if record else None

    def mark_good(self, flow_id: str, version_id: str, run_id: str, why: str) -> None:
        """Record that a version served a whole watch and passed."""
        self._mark(flow_id, "good", version_id, run_id, why)

    def mark_bad(self, flow_id: str, version_id: str, run_id: str, why: str) -> None:
        """Record that a version was rolled back from; no later rollback chooses it."""
        self._mark(flow_id, "bad", version_id, run_id, why)

    def mark_revision_bad(self, flow_id: str, revision: str, run_id: str, why: str) -> None:
        """Record that what a revision of the flow's source deployed was rolled back from."""
        content = {"revision": revision, "run_id": run_id, "why": why}
        self.store.create(_revision_path(flow_id, revision), json.dumps(content).encode())

    def refuse_bad_revision(self, flow_id: str, revision: str) -> None:
        """Raise KnownBad when a rollback left a revision as bad."""
        found = self.store.read(_revision_path(flow_id, revision))
        if found is None:
            return
        bad = json.loads(found)
        raise KnownBad(
            f"revision {revision} was deployed before and rolled back ({bad['why']})",
            action="revert or correct it in the flow's source and deploy what comes of that; what "
            f"happened: knowngood status {bad['run_id']}",
        )

    def _mark(self, flow_id: str, verdict: str, version_id: str, run_id: str, why: str) -> None:
        folder = f"flows/{flow_id}/verdicts/{version_id}/"
        ending = f"-{verdict}-{run_id}.json"
        if any(path.endswith(ending) for path in self.store.list(folder)):
            return
        now = datetime.now(UTC)
        content = {
            "flow_id": flow_id,
            "version_id": version_id,
            "verdict": verdict,
            "run_id": run_id,
            "why": why,
            "at": now.isoformat(),
        }
        self.store.create(f"{folder}{_sortable(now)}{ending}", json.dumps(content).encode())

    def verdicts(self, flow_id: str) -> Verdicts:
        """Return a flow's known-good versions, newest first, and its known-bad ones."""
        good: list[tuple[str, str]] = []
        bad: set[str] = set()
        for path in self.store.list(f"flows/{flow_id}/verdicts/"):
            version_id, name = path.split("/")[-2:]
            moment, verdict, _ = name.split("-", 2)
            if verdict == "bad":
                bad.add(version_id)
            else:
                good.append((moment, version_id))
        newest_first = dict.fromkeys(version for _, version in sorted(good, reverse=True))
        known_good = tuple(version for version in newest_first if version not in bad)
        return Verdicts(known_good, frozenset(bad))

    def open_run(self, run_id: str, note: bytes) -> None:
        """Leave a note that a run is about to write, for the day that Redis loses its data."""
        self.store.create(f"open/{run_id}.json", note)

    def open_runs(self) -> Sequence[bytes]:
        """Return the notes of runs that may have written and were not seen to end."""
        notes = (self.store.read(path) for path in self.store.list("open/"))
        return [note for note in notes if note is not None]

    def close_run(self, run_id: str) -> None:
        """Remove a run's note."""
        self.store.delete(f"open/{run_id}.json")

    def archive_run(self, day: str, run_id: str, content: bytes) -> None:
        """Keep an ended run's journal for good; a second time changes nothing."""
        self.store.create(f"runs/{day}/{run_id}.json", content)

    def archived_runs(self, limit: int) -> Sequence[str]:
        """Return the paths of the newest archived runs."""
        return list(reversed(self.store.list("runs/")))[:limit]

    def archived_run(self, run_id: str) -> bytes | None:
        """Read an archived run, or None."""
        for path in reversed(self.store.list("runs/")):
            if path.endswith(f"/{run_id}.json"):
                return self.store.read(path)
        return None

    def _read(self, path: str) -> SnapshotRecord:
        content = self.store.read(path)
        if content is None:
            raise RecordDamaged(
                f"{path} is gone from the artifact store",
                action="restore it from the store's backup, or roll back with --to VERSION",
            )
        return SnapshotRecord.from_bytes(content, path)
