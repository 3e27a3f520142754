"""The record taken before a deployment: written once, verified whenever it is read."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from knowngood.errors import RecordDamaged
from knowngood.genesys.port import Dependency


class SnapshotRecord(BaseModel):
    """What a flow was before a deployment. `active_version_id` is the baseline: what was live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    flow_id: str
    flow_name: str
    snapshot_version_id: str
    active_version_id: str
    routing: Mapping[str, Any]
    dependencies: tuple[Dependency, ...]
    configuration_digest: str | None
    taken_at: datetime
    requested_by: str | None
    description: str
    run_id: str
    revision: str | None = None
    """What was about to be deployed, such as a Git commit."""
    digest: str = ""

    @classmethod
    def seal(cls, **fields: Any) -> Self:
        """Make a record and its digest: sha256 over the canonical JSON of everything else."""
        open_record = cls(**fields)
        return open_record.model_copy(update={"digest": open_record.computed_digest()})

    def computed_digest(self) -> str:
        """Compute the digest that this content must have."""
        content = self.model_dump(mode="json", exclude={"digest"})
        if self.revision is None:
            # Records that are older than this field have digests without it.
            del content["revision"]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return self.model_dump_json(indent=2).encode()

    @classmethod
    def from_bytes(cls, content: bytes, path: str) -> Self:
        """Read a stored record.

        Raises:
            RecordDamaged: it is no record, or its digest does not match.
        """
        action = f"restore {path} from the artifact store's backup, or roll back with --to VERSION"
        try:
            record = cls.model_validate_json(content)
        except ValidationError:
            raise RecordDamaged(f"{path} is not a snapshot record", action=action) from None
        if record.computed_digest() != record.digest:
            raise RecordDamaged(f"{path} does not match its digest", action=action)
        return record
