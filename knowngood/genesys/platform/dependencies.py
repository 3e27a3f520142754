"""What a version uses inside Genesys Cloud, and whether it is still there.

Dependency tracking is asked first. It may be incomplete (206 while the org rebuilds it) or know
nothing of an old version: then the manifest in the version's own configuration is read, and the
answer is called incomplete. Neither is ever taken for broken.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from knowngood.errors import AccessDenied, ApiUnavailable, BadAnswer, FlowGone
from knowngood.genesys.platform.caller import Caller
from knowngood.genesys.platform.calls import (
    LIST_CONSUMED,
    READ_ACTION,
    READ_CONFIGURATION,
    READ_DATATABLE,
    READ_FLOW,
    READ_PROMPT,
    READ_QUEUE,
    READ_SCHEDULE,
    TEST_ACTION,
    Call,
)
from knowngood.genesys.platform.wire import (
    ActionTest,
    Configuration,
    ConsumedAnswer,
    ConsumedPage,
    Entity,
    FlowAnswer,
)
from knowngood.genesys.port import (
    Dependencies,
    Dependency,
    DependencyCheck,
    DependencyKind,
    DependencyVerdict,
)

_PAGE: Final = 100

KINDS: Final = {
    "QUEUE": DependencyKind.QUEUE,
    "DATAACTION": DependencyKind.DATA_ACTION,
    "USERPROMPT": DependencyKind.PROMPT,
    "SCHEDULE": DependencyKind.SCHEDULE,
    "DATATABLE": DependencyKind.DATATABLE,
    "WORKFLOW": DependencyKind.FLOW,
}
"""Dependency tracking's types; the manifest has the same names in another case."""

_READS: Final[Mapping[DependencyKind, Call]] = {
    DependencyKind.QUEUE: READ_QUEUE,
    DependencyKind.PROMPT: READ_PROMPT,
    DependencyKind.SCHEDULE: READ_SCHEDULE,
    DependencyKind.DATATABLE: READ_DATATABLE,
    DependencyKind.DATA_ACTION: READ_ACTION,
}


class DependencyReader:
    """Lists what versions use and asks whether it is still there."""

    def __init__(self, caller: Caller, test_inputs: Mapping[str, Mapping[str, Any]]) -> None:
        self._caller = caller
        self._test_inputs = test_inputs

    def of(self, flow_id: str, version_id: str) -> Dependencies:
        """List what a version uses: from dependency tracking, else from its manifest.

        Tracking knows what was deleted. Only what it cannot know is left to be asked for: whether
        a flow is published, and whether a data action works.
        """
        try:
            consumed, complete = self.tracked(flow_id, version_id)
        except (AccessDenied, ApiUnavailable, BadAnswer, FlowGone):
            consumed, complete = [], False
        known = [_dependency(each) for each in consumed if not each.deleted]
        present = [each for each in known if complete and not self._says_more(each)]
        items = [each for each in known if each not in present]
        if not complete:
            items = [*items, *self._in_manifest(flow_id, version_id)]
        return Dependencies(
            items=tuple({(each.kind, each.target): each for each in items}.values()),
            present=tuple(present),
            gone=tuple(_dependency(each) for each in consumed if each.deleted),
            complete=complete,
        )

    def tracked(self, flow_id: str, version_id: str) -> tuple[list[ConsumedAnswer], bool]:
        """Ask dependency tracking; say also whether its answer is complete."""
        kind = self._caller.read(FlowAnswer, READ_FLOW, flow_id).type or ""
        query: dict[str, str | int] = {
            "id": flow_id,
            "version": version_id,
            "objectType": tracked_type(kind),
            "pageSize": _PAGE,
        }
        found: list[ConsumedAnswer] = []
        complete, number, last = True, 0, 1
        while number < last:
            number += 1
            page = self._caller.read(
                ConsumedPage, LIST_CONSUMED, query=query | {"pageNumber": number}
            )
            found.extend(page.entities)
            last = page.pageCount
            complete = complete and not page.partial
        return found, complete and not any(each.stateUnknown for each in found)

    def check(self, dependency: Dependency) -> DependencyCheck:
        """Ask whether a dependency is still there; a data action is executed only where named.

        A permission that is missing for it leaves it unknown.
        """
        try:
            broken = self._fault_of(dependency)
        except FlowGone:
            return _checked(dependency, DependencyVerdict.BROKEN, "it does not exist any more")
        except AccessDenied as error:
            return _checked(dependency, DependencyVerdict.UNKNOWN, error.action)
        if broken is None:
            detail = f"the Platform API cannot check a {dependency.kind}"
            return _checked(dependency, DependencyVerdict.UNKNOWN, detail)
        verdict = DependencyVerdict.BROKEN if broken else DependencyVerdict.OK
        return _checked(dependency, verdict, broken)

    def _says_more(self, dependency: Dependency) -> bool:
        """Say whether asking for it tells more than that it exists."""
        tested = dependency.target in self._test_inputs
        return dependency.kind is DependencyKind.FLOW or (
            dependency.kind is DependencyKind.DATA_ACTION and tested
        )

    def _in_manifest(self, flow_id: str, version_id: str) -> Iterator[Dependency]:
        try:
            exported = self._caller.read(Configuration, READ_CONFIGURATION, flow_id, version_id)
        except FlowGone:
            # Whether the version is gone is for its activation to find out.
            return
        manifest = exported.root.get("manifest")
        for name, entries in manifest.items() if isinstance(manifest, dict) else ():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("id"), str):
                    label = entry.get("name")
                    yield Dependency(
                        kind=_kind(name.upper()),
                        target=entry["id"],
                        name=label if isinstance(label, str) else None,
                    )

    def _fault_of(self, dependency: Dependency) -> str | None:
        """Say what is wrong, "" when nothing is, None when it cannot be asked."""
        kind, target = dependency.kind, dependency.target
        if kind is DependencyKind.FLOW:
            flow = self._caller.read(FlowAnswer, READ_FLOW, target)
            return "" if flow.publishedVersion else "it has no published version"
        if kind not in _READS:
            return None
        self._caller.read(Entity, _READS[kind], target)
        if kind is not DependencyKind.DATA_ACTION or target not in self._test_inputs:
            return ""
        test = self._caller.read(ActionTest, TEST_ACTION, target, body=self._test_inputs[target])
        if test.success:
            return ""
        said = (test.error.message or test.error.code) if test.error else None
        return f"its test failed: {said or 'no reason given'}"


def tracked_type(flow_type: str) -> str:
    """Return dependency tracking's name of a flow's type."""
    return flow_type if flow_type.endswith("FLOW") else f"{flow_type}FLOW"


def _dependency(consumed: ConsumedAnswer) -> Dependency:
    return Dependency(kind=_kind(consumed.type), target=consumed.id, name=consumed.name)


def _kind(name: str) -> DependencyKind:
    if name.endswith("FLOW"):
        return DependencyKind.FLOW
    return KINDS.get(name, DependencyKind.OTHER)


def _checked(dependency: Dependency, verdict: DependencyVerdict, detail: str) -> DependencyCheck:
    return DependencyCheck(dependency=dependency, verdict=verdict, detail=detail)
