"""What can be tried on a real org without changing anything; `knowngood doctor --live` does so."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from knowngood.errors import AccessDenied, BadAnswer, FlowGone
from knowngood.genesys.platform.caller import Caller
from knowngood.genesys.platform.calls import (
    COUNT_CONVERSATIONS,
    COUNT_FLOWS,
    LIST_CONSUMED,
    LIST_FLOWS,
    LIST_VERSIONS,
    PUBLISH,
    READ_ACTION,
    READ_CONFIGURATION,
    READ_FLOW,
    READ_GRANTS,
    READ_LIMITS,
    READ_QUEUE,
    READ_TOKEN,
    Call,
)
from knowngood.genesys.platform.counting import Counting
from knowngood.genesys.platform.dependencies import DependencyReader
from knowngood.genesys.platform.wire import (
    Entity,
    FlowPage,
    GrantsAnswer,
    Limits,
    TokenAnswer,
)
from knowngood.genesys.port import FlowGateway, Probe

_RATES = ("token.rate.per.minute", "client.credentials.token.rate.per.minute")


class Probing:
    """Makes the probes of one org, on one flow."""

    def __init__(
        self,
        gateway: FlowGateway,
        caller: Caller,
        counting: Counting,
        dependencies: DependencyReader,
        *,
        flow_id: str | None,
        test_actions: Sequence[str],
    ) -> None:
        self._gateway = gateway
        self._caller = caller
        self._counting = counting
        self._tracking = dependencies
        self._flow_id = flow_id
        self._test_actions = test_actions

    def probes(self) -> Sequence[Probe]:
        """List the probes, what everything else rests on first."""
        return [
            _probe("token", READ_TOKEN, self._token),
            _probe("limits", READ_LIMITS, self._limits, needed=False),
            _probe("flow", READ_FLOW, self._flow),
            _probe("versions", LIST_VERSIONS, self._versions),
            _probe("configuration", READ_CONFIGURATION, self._configuration, needed=False),
            _probe("publish", PUBLISH, self._may_publish),
            _probe("flow analytics", COUNT_FLOWS, self._count),
            _probe("dependencies", LIST_CONSUMED, self._dependencies, needed=False),
            *self._named_in_settings(),
        ]

    def _named_in_settings(self) -> list[Probe]:
        found = []
        queues = self._counting.places("queueId")
        if queues or self._counting.places("dnis"):
            found.append(_probe("call analytics", COUNT_CONVERSATIONS, self._count))
        for queue in queues:
            ask = partial(self._exists, READ_QUEUE, queue)
            remedy = "correct KNOWNGOOD_GENESYS_CALLERS"
            found.append(_probe(f"queue {queue}", READ_QUEUE, ask, needed=False, remedy=remedy))
        for action in self._test_actions:
            ask = partial(self._exists, READ_ACTION, action)
            remedy = "correct KNOWNGOOD_GENESYS_TEST_ACTIONS"
            name = f"data action {action}"
            found.append(_probe(name, READ_ACTION, ask, needed=False, remedy=remedy))
        return found

    def _token(self) -> str:
        token = self._caller.read(TokenAnswer, READ_TOKEN)
        client, org = token.OAuthClient, token.organization
        return f"OAuth client {_name(client)} of organization {_name(org)}"

    def _limits(self) -> str:
        found = self._caller.read(Limits, READ_LIMITS, "platform.api").entities
        told = [f"{limit.key} {limit.value}" for limit in found if limit.key in _RATES]
        return ", ".join(told) or "the org names no rate limit"

    def _flow(self) -> str:
        flow = self._gateway.read_flow(self._chosen(), history=False)
        live = f"version {flow.active.version_id} is live" if flow.active else "none is live"
        held = f", locked by {flow.lock}" if flow.lock else ""
        last = f", last operation {flow.operation}" if flow.operation else ""
        return f"{flow.name}: {live}{held}{last}"

    def _versions(self) -> str:
        found = self._gateway.read_flow(self._chosen()).versions
        dated = sum(version.status == "PUBLISHED" for version in found)
        return f"{len(found)} without drafts, {dated} of them were published"

    def _configuration(self) -> str:
        flow = self._gateway.read_flow(self._chosen(), history=False)
        if flow.active is None:
            return "nothing to export: the flow was never published"
        first, again = (
            self._gateway.configuration_digest(flow.flow_id, flow.active.version_id)
            for _ in range(2)
        )
        if first != again:
            raise BadAnswer(
                "exported twice, with different content",
                action="each rollback to a recorded version will call a person to compare it",
            )
        return f"exported twice, with the same digest {str(first)[:19]}…"

    def _may_publish(self) -> str:
        # Only the roles tell: no publish is harmless enough to be tried.
        query = {"includeFullRoles": "true"}
        granted = self._caller.read(GrantsAnswer, READ_GRANTS, query=query)
        policies = granted.policies
        if granted.grants and not policies:
            return "not tried, and the org does not tell what the OAuth client's roles permit"
        for permission in PUBLISH.permissions:
            if any(policy.permits(permission) for policy in policies):
                return f"not tried; the OAuth client's roles hold {permission}"
        raise AccessDenied(
            "the OAuth client's roles do not hold it",
            action=f"give the OAuth client's role {PUBLISH.permissions[0]}",
            permissions=PUBLISH.permissions[:1],
        )

    def _count(self) -> str:
        end = datetime.now(UTC).replace(microsecond=0)
        flow_id = self._chosen()
        found = self._counting.count([flow_id], end - timedelta(minutes=1), end).get(flow_id)
        if found is None:
            return "no calls in the last minute"
        return f"{found.total_calls} calls in the last minute, {found.error_count} with an error"

    def _dependencies(self) -> str:
        flow = self._gateway.read_flow(self._chosen(), history=False)
        if flow.active is None:
            return "nothing to ask: the flow was never published"
        found, complete = self._tracking.tracked(flow.flow_id, flow.active.version_id)
        deleted = sum(each.deleted for each in found)
        told = f"{len(found)} tracked, {deleted} of them deleted"
        return told if complete else f"{told}; the org's tracking is not complete (206)"

    def _exists(self, call: Call, target: str) -> str:
        return f"{self._caller.read(Entity, call, target).id or target} exists"

    def _chosen(self) -> str:
        if self._flow_id is None:
            page = self._caller.read(FlowPage, LIST_FLOWS, query={"pageSize": 1})
            if not page.entities:
                raise FlowGone(
                    "the OAuth client sees no flow at all",
                    action="give its role the flows' division, or name a flow: --flow FLOW",
                )
            self._flow_id = page.entities[0].id
        return self._flow_id


def _probe(
    name: str, call: Call, ask: Callable[[], str], *, needed: bool = True, remedy: str = ""
) -> Probe:
    return Probe(name, ask, call.permissions, needed, remedy)


def _name(entity: object) -> str:
    return str(getattr(entity, "name", None) or getattr(entity, "id", None) or "unknown")
