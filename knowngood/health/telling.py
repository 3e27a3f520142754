"""What a person is told about watches."""

from datetime import datetime
from typing import Final

from knowngood.alerts.alert import Alert, Urgency
from knowngood.errors import Team
from knowngood.health.signals import ALL, LIMITED
from knowngood.health.watch import Watch
from knowngood.runs.model import Run


def held_back_alert(watch: Watch, why: str) -> Alert:
    """Say that a flow is unhealthy and was not rolled back."""
    poll = watch.polls[-1]
    return Alert(
        alert_id=f"{watch.watch_id}.held.{poll.number}",
        kind="watch.held_back",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name} is unhealthy and was not rolled back",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=f"{poll.breaches} breaches in a row: {poll.judgement.why}.",
        what_was_tried=f"The automatic rollback is held back: {why}.",
        what_to_do=(
            "Decide: knowngood rollback "
            f"{watch.flow_id} --reason 'unhealthy'; what was measured: "
            f"knowngood explain {watch.watch_id}"
        ),
        raised_at=poll.at,
        dedupe_key=watch.watch_id,
    )


def rolled_back_alert(watch: Watch, rollback: Run) -> Alert:
    """Say that a flow was rolled back by itself, and that its source still holds the change."""
    left = rollback.from_version or watch.version_id
    spent = rollback.restore_seconds
    after = f" {spent:.0f} s after the flow's lock was held" if spent is not None else ""
    return Alert(
        alert_id=f"{rollback.run_id}.done",
        kind="watch.rolled_back",
        team=Team.OPERATIONS,
        urgency=Urgency.KNOW,
        title=f"{watch.flow_name} was rolled back to version {rollback.target_version}",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=rollback.run_id,
        what_happened=(
            f"After version {left} came: {watch.polls[-1].judgement.why}. Callers hear version "
            f"{rollback.target_version} again{after}."
        ),
        what_was_tried="The rollback is done, and the restored version is watched in its turn.",
        what_to_do=(
            f"Take the change out of the flow's source (git revert) before the next deployment: it "
            f"still holds what was version {left}. What was measured: knowngood explain "
            f"{watch.watch_id}"
        ),
        raised_at=rollback.ended or watch.polls[-1].at,
        dedupe_key=watch.watch_id,
    )


def would_roll_back_alert(watch: Watch, would: str) -> Alert:
    """Say what a dry run would have done; it touched nothing."""
    poll = watch.polls[-1]
    return Alert(
        alert_id=f"{watch.watch_id}.dry.{poll.number}",
        kind="watch.dry_run",
        team=Team.OPERATIONS,
        urgency=Urgency.KNOW,
        title=f"{watch.flow_name} is unhealthy; the dry run changed nothing",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=f"{poll.breaches} breaches in a row: {poll.judgement.why}.",
        what_was_tried=f"Nothing, for this watch is a dry run: {would}.",
        what_to_do=(
            "Judge whether that is right: knowngood explain "
            f"{watch.watch_id}; to roll back now: knowngood rollback {watch.flow_id} "
            "--reason 'unhealthy'"
        ),
        raised_at=poll.at,
        dedupe_key=watch.watch_id,
    )


def broken_alert(watch: Watch, why: str, now: datetime) -> Alert:
    """Say that a watch ended because it could not be judged."""
    return Alert(
        alert_id=f"{watch.watch_id}.end",
        kind="watch.failed",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name}: its watch failed",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=f"The watch ended at poll {watch.number + 1}: {why}.",
        what_was_tried="Nothing was changed: nobody judges this deployment any more.",
        what_to_do=(
            f"Watch the flow by hand, read the worker's log, and start again: knowngood watch "
            f"{watch.flow_id}"
        ),
        raised_at=now,
        dedupe_key=watch.watch_id,
    )


def overdue_alert(watch: Watch, now: datetime) -> Alert:
    """Say that a watch should have ended long ago, for nobody polls it."""
    return Alert(
        alert_id=f"{watch.watch_id}.overdue",
        kind="watch.overdue",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name}: its watch is not polled",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=(
            f"The watch was to end at {watch.bake_until or now:%H:%M:%S} UTC. It was polled "
            f"{watch.number} times, and should have been next at {watch.due:%H:%M:%S} UTC."
        ),
        what_was_tried="It was handed out again; it ends once it is polled.",
        what_to_do="Start beat, and a worker on the queue health; which lacks: knowngood doctor",
        raised_at=now,
        dedupe_key=f"{watch.watch_id}.overdue",
    )


def lost_alert(watch_id: str, run: Run | None, watch: Watch | None, now: datetime) -> Alert:
    """Say that a watch can go on no longer, for Redis lost what it needs."""
    known = run or watch
    flow_id, flow_name = (known.flow_id, known.flow_name) if known else ("-", "unknown flow")
    again = f"knowngood watch {flow_id}" if known else "knowngood watch FLOW"
    return Alert(
        alert_id=f"{watch_id}.lost",
        kind="watch.lost",
        team=Team.OPERATIONS,
        title=f"{flow_name}: its watch is lost",
        flow_id=flow_id,
        flow_name=flow_name,
        run_id=watch_id,
        what_happened=(
            f"Redis no longer holds {'the run' if watch else 'the record'} of watch {watch_id}: it "
            "was deleted or evicted."
        ),
        what_was_tried="The watch was ended: nobody judges this deployment any more.",
        what_to_do=(
            f"Watch the flow again: {again}. See that Redis evicts nothing (maxmemory-policy "
            "noeviction) and persists: knowngood doctor"
        ),
        raised_at=now,
        dedupe_key=watch_id,
    )


def inconclusive_alert(watch: Watch) -> Alert:
    """Say that a watch ended and nobody can tell whether the deployment is healthy."""
    poll = watch.polls[-1]
    return Alert(
        alert_id=f"{watch.watch_id}.end",
        kind="watch.inconclusive",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name}: nobody can say whether the deployment is healthy",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=(
            f"The watch ended after {watch.number} polls without a verdict: {watch.ok_windows} of "
            f"{watch.windows} windows were ok. The last poll: {poll.judgement.why}."
        ),
        what_was_tried="Nothing was changed: inconclusive is never a breach.",
        what_to_do=f"See what was measured: knowngood explain {watch.watch_id}",
        raised_at=poll.at,
        dedupe_key=watch.watch_id,
    )


def breaker_alert(watch: Watch, why: str, episode: str, now: datetime) -> Alert:
    """Say that automatic rollbacks of all flows are held back; one alert for an episode."""
    return Alert(
        alert_id=f"breaker.{episode}",
        kind="watch.breaker",
        team=Team.OPERATIONS,
        title="Many flows fail at once: automatic rollbacks are held back",
        flow_id=watch.flow_id,
        flow_name="many flows",
        run_id=watch.watch_id,
        what_happened=f"{why}. {watch.flow_name} is one of them: {watch.polls[-1].judgement.why}.",
        what_was_tried="No flow is rolled back by itself while this lasts; the watches go on.",
        what_to_do=(
            "See whether Genesys Cloud or the network is at fault, and which flows fail: knowngood "
            f"watches. One flow can be rolled back by hand: knowngood rollback {watch.flow_id} "
            "--reason 'unhealthy'"
        ),
        raised_at=now,
        dedupe_key="breaker",
    )


_LIMIT_TO_DO: Final = (
    "Poll less or ask for more: watch fewer flows, lengthen KNOWNGOOD_HEALTH_INTERVAL, use the "
    "platform API (100 flows a query), give knowngood an OAuth client of its own, or ask Genesys "
    "for a higher limit"
)


def blind_alert(watch: Watch, scope: str, episode: str, now: datetime) -> Alert:
    """Say that analytics has told nothing for a while; one alert for an outage."""
    of_one = scope == watch.flow_id
    title = {
        ALL: "Analytics is down",
        LIMITED: "The rate limit is too low for the watches",
    }.get(scope, f"{watch.flow_name}: analytics tells nothing")
    find_out = "Watch the flows by hand meanwhile, and find the cause: knowngood doctor"
    return Alert(
        alert_id=f"analytics.{scope}.{episode}.began",
        kind="analytics.outage_began",
        team=Team.OPERATIONS,
        title=title,
        flow_id=watch.flow_id,
        flow_name=watch.flow_name if of_one else "all flows",
        run_id=watch.watch_id,
        what_happened=(
            f"Since {watch.blind_since or now:%H:%M:%S} UTC nobody can say how callers fare: "
            f"{watch.polls[-1].judgement.why}."
        ),
        what_was_tried="The watches go on polling; an outage is never taken for a breach.",
        what_to_do=_LIMIT_TO_DO if scope == LIMITED else find_out,
        raised_at=now,
        dedupe_key=f"analytics.{scope}",
    )


def seeing_alert(watch: Watch, scope: str, episode: str, now: datetime) -> Alert:
    """Say that an outage of analytics that was told is over."""
    of_one = scope == watch.flow_id
    title = {
        ALL: "Analytics answers again",
        LIMITED: "The rate limit is enough for the watches again",
    }.get(scope, f"Analytics answers again: {watch.flow_name}")
    since = datetime.fromtimestamp(float(episode), now.tzinfo)
    return Alert(
        alert_id=f"analytics.{scope}.{episode}.ended",
        kind="analytics.outage_ended",
        team=Team.OPERATIONS,
        urgency=Urgency.OVER,
        title=title,
        flow_id=watch.flow_id,
        flow_name=watch.flow_name if of_one else "all flows",
        run_id=watch.watch_id,
        what_happened=f"The outage of analytics that was told at {since:%H:%M:%S} UTC is over.",
        what_was_tried="The watches judge as before.",
        what_to_do="Nothing.",
        raised_at=now,
        dedupe_key=f"analytics.{scope}",
    )
