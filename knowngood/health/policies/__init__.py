"""The policies; a new one is one file beside these and one line here."""

from collections.abc import Mapping

from knowngood.errors import Refused
from knowngood.health.policies.base import Policy
from knowngood.health.policies.relative import Relative
from knowngood.health.policies.statistical import Statistical
from knowngood.health.policies.threshold import Threshold

POLICIES: Mapping[str, Policy] = {
    policy.name: policy for policy in (Threshold(), Relative(), Statistical())
}


def policy_named(name: str) -> Policy:
    """Find a policy.

    Raises:
        Refused: there is none of that name.
    """
    if name not in POLICIES:
        raise Refused("policy", name, f"name one of {', '.join(POLICIES)}")
    return POLICIES[name]


__all__ = ["POLICIES", "Policy", "policy_named"]
