"""`knowngood snapshots`."""

from knowngood.cli.options import FlowArgument, JsonOption


def snapshots(flow: FlowArgument, *, as_json: JsonOption = False) -> None:
    """List a flow's snapshots, the newest first."""
    from knowngood.cli.flow_id import checked_flow_id  # noqa: PLC0415
    from knowngood.cli.output import print_json, print_table  # noqa: PLC0415
    from knowngood.runs.narrative import moment  # noqa: PLC0415 - slow to import
    from knowngood.settings import load  # noqa: PLC0415
    from knowngood.snapshots.registry import SnapshotRegistry  # noqa: PLC0415
    from knowngood.snapshots.store import open_store  # noqa: PLC0415

    registry = SnapshotRegistry(open_store(load().artifacts_url))
    records = registry.list(checked_flow_id(flow), limit=1_000)
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
        return
    print_table(
        ("TAKEN", "BASELINE", "SNAPSHOT", "NEEDS", "BY", "DESCRIPTION"),
        [
            (
                moment(record.taken_at),
                record.active_version_id,
                record.snapshot_version_id,
                str(len(record.dependencies)),
                record.requested_by or "-",
                record.description,
            )
            for record in records
        ],
        empty=f"no snapshots of this flow; take one with: knowngood snapshot {flow}",
    )
