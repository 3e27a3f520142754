"""Every call that is ever sent to the Platform API, and the permissions that each needs.

Source: paths from the official SDK, permissions from its generated documentation ("any of").
"""

from typing import NamedTuple
from urllib.parse import quote

from knowngood.genesys.transport import Method


class Call(NamedTuple):
    """One call; its path names the ids that it takes, as the SDK does."""

    method: Method
    path: str
    permissions: tuple[str, ...] = ()

    def at(self, *ids: str) -> str:
        """Return the path with its ids filled in, in order."""
        path = self.path
        for each in ids:
            before, _, after = path.partition("{")
            path = before + quote(each, safe="") + after.partition("}")[2]
        return path


_VIEW = ("architect:flow:view",)

LIST_FLOWS = Call("GET", "/api/v2/flows", _VIEW)
READ_FLOW = Call("GET", "/api/v2/flows/{flowId}", _VIEW)
LIST_VERSIONS = Call("GET", "/api/v2/flows/{flowId}/versions", _VIEW)
READ_VERSION = Call("GET", "/api/v2/flows/{flowId}/versions/{versionId}", _VIEW)
READ_CONFIGURATION = Call("GET", "/api/v2/flows/{flowId}/versions/{versionId}/configuration", _VIEW)
PUBLISH = Call(
    "POST", "/api/v2/flows/actions/publish", ("architect:flow:publish", "architect:flow:unlock")
)
LIST_CONSUMED = Call(
    "GET",
    "/api/v2/architect/dependencytracking/consumedresources",
    ("architect:dependencyTracking:view",),
)
READ_QUEUE = Call("GET", "/api/v2/routing/queues/{queueId}", ("routing:queue:view",))
READ_PROMPT = Call("GET", "/api/v2/architect/prompts/{promptId}", ("architect:userPrompt:view",))
READ_SCHEDULE = Call("GET", "/api/v2/architect/schedules/{scheduleId}", ("routing:schedule:view",))
READ_DATATABLE = Call(
    "GET", "/api/v2/flows/datatables/{datatableId}", ("architect:datatable:view",)
)
READ_ACTION = Call("GET", "/api/v2/integrations/actions/{actionId}", ("integrations:action:view",))
TEST_ACTION = Call(
    "POST",
    "/api/v2/integrations/actions/{actionId}/test",
    ("integrations:action:execute", "bridge:actions:execute"),
)
COUNT_FLOWS = Call(
    "POST", "/api/v2/analytics/flows/aggregates/query", ("analytics:flowAggregate:view",)
)
COUNT_CONVERSATIONS = Call(
    "POST",
    "/api/v2/analytics/conversations/aggregates/query",
    ("analytics:conversationAggregate:view",),
)
READ_LIMITS = Call("GET", "/api/v2/organizations/limits/namespaces/{namespaceName}")
READ_TOKEN = Call("GET", "/api/v2/tokens/me")
READ_GRANTS = Call("GET", "/api/v2/authorization/subjects/me")

CALLS: tuple[Call, ...] = tuple(each for each in list(globals().values()) if type(each) is Call)
