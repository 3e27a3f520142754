"""`knowngood versions`."""

from knowngood.cli.options import FlowArgument, JsonOption


def versions(flow: FlowArgument, *, as_json: JsonOption = False) -> None:
    """List a flow's versions: live, known-good, known-bad, baseline."""
    from knowngood import parts  # noqa: PLC0415 - slow to import
    from knowngood.cli.door import no_such_flow  # noqa: PLC0415
    from knowngood.cli.flow_id import checked_flow_id  # noqa: PLC0415
    from knowngood.cli.output import print_json, print_table  # noqa: PLC0415
    from knowngood.errors import FlowGone  # noqa: PLC0415
    from knowngood.runs.narrative import moment  # noqa: PLC0415
    from knowngood.snapshots.history import read_known_versions  # noqa: PLC0415

    flow_id = checked_flow_id(flow)
    try:
        history = read_known_versions(parts.gateway(), parts.registry(), flow_id)
    except FlowGone:
        raise no_such_flow(flow_id) from None
    if as_json:
        print_json(history.model_dump(mode="json"))
        return
    print(f"{history.name} ({history.flow_id})")
    if history.lock:
        print(f"locked by {history.lock}")
    print_table(
        ("VERSION", "STATUS", "CREATED", "BY", "TAGS", "NOTES"),
        [
            (
                version.version_id,
                version.status,
                moment(version.created_at),
                version.created_by or "-",
                " ".join(version.tags) or "-",
                ", ".join(version.notes),
            )
            for version in history.versions
        ],
        empty="no versions",
    )
