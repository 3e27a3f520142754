#!/usr/bin/env bash
# Deploys one Architect flow under knowngood's eyes. The pipelines beside this file call it:
#
#   rollout.sh snapshot            records what is live; refuses a revision that was rolled back
#   rollout.sh deploy COMMAND...   runs the deployment
#   rollout.sh watch               waits until callers have shown whether the new version holds
#   rollout.sh settle              last, whatever happened: leaves no half or unwatched deployment
#
# FLOW is the flow's id, REVISION what is deployed (a Git commit), ROLLOUT this job's own name, the
# same in all four calls. BAKE_TIME is how long the watch lasts, in seconds (3600).
# Exit codes: 0 done; 1 failed; 2 refused, nothing was changed; 3 a person must look; 4 not decided
# yet, and knowngood goes on by itself.
set -euo pipefail

STATE=${STATE:-.rollout}
# How often, and after how many seconds each, a knowngood that does not answer is asked again.
TRIES=${TRIES:-5}
PAUSE=${PAUSE:-10}

say() { echo "rollout: $*"; }

complain() {
    echo "rollout: $*" >&2
    if [ "${GITHUB_ACTIONS-}" ]; then echo "::error::$*"; fi
    if [ "${TF_BUILD-}" ]; then echo "##vso[task.logissue type=error]$*"; fi
}

phase() { cat "$STATE/phase" 2>/dev/null || echo none; }
enter() { echo "$1" >"$STATE/phase"; }

# field A.B <document.json
field() {
    python3 -c '
import json, sys
found = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    found = (found or {}).get(name)
print("" if found is None else found)' "$1"
}

# document COMMAND...: prints the JSON that knowngood answers, whatever exit code comes with it;
# asks again while there is none because a part of knowngood does not answer (1).
document() {
    local try code found
    for ((try = 1; ; try++)); do
        code=0
        found=$(knowngood "$@" --json) || code=$?
        if [ "$found" ]; then
            echo "$found"
            return 0
        fi
        if [ "$code" != 1 ] || [ "$try" -ge "$TRIES" ]; then return "$code"; fi
        sleep "$PAUSE"
    done
}

# begin COMMAND...: enqueues a run and prints its id. ROLLOUT makes a repetition harmless.
begin() {
    local found
    found=$(document "$@") || return
    field run_id <<<"$found"
}

# follow RUN TIMEOUT: shows a run until it ends; leaves its record in RUN_RECORD.
follow() {
    # A connection that breaks ends this wait, and never the run.
    knowngood status "$1" --wait --timeout "$2" || true
    RUN_RECORD=$(document status "$1") || RUN_RECORD='{}'
    ENDED=$(field state <<<"$RUN_RECORD"):$(field outcome <<<"$RUN_RECORD")
}

live_version() {
    document versions "$FLOW" | python3 -c '
import json, sys
print(next(v["version_id"] for v in json.load(sys.stdin)["versions"] if "live" in v["notes"]))'
}

start_watch() {
    begin watch "$FLOW" --bake-time "$BAKE_TIME" --idempotency-key "$ROLLOUT-$1"
}

snapshot() {
    rm -rf "$STATE"
    mkdir -p "$STATE"
    local run
    run=$(begin snapshot "$FLOW" --revision "$REVISION" --description "before $ROLLOUT" \
        --idempotency-key "$ROLLOUT-snapshot") || return
    follow "$run" 900
    case $ENDED in
    succeeded:*) ;;
    needs_attention:*)
        complain "nothing was deployed: $(field error <<<"$RUN_RECORD"). $(field action <<<"$RUN_RECORD")"
        return 3
        ;;
    failed:* | cancelled:*)
        complain "nothing was deployed: there is no snapshot (run $run)"
        return 1
        ;;
    *)
        # Recorded later, it would hold another moment than the one before this deployment.
        knowngood cancel "$run" || true
        complain "nothing was deployed: the snapshot was not done in time (run $run)"
        return 4
        ;;
    esac
    field results.snapshot.active_version <<<"$RUN_RECORD" >"$STATE/baseline"
    enter recorded
}

deploy() {
    if [ "$(phase)" != recorded ]; then
        complain "nothing was deployed: rollout.sh snapshot comes first"
        return 2
    fi
    enter deploying
    local code=0
    "$@" || code=$?
    if [ "$code" != 0 ]; then
        complain "the deployment failed: $1 ended with $code; rollout.sh settle sees what is live"
        return 1
    fi
    enter deployed
}

watch() {
    if [ "$(phase)" != deployed ]; then
        complain "there is nothing to watch: rollout.sh deploy comes first"
        return 2
    fi
    local run
    if ! run=$(start_watch watch); then
        complain "$FLOW was deployed and nobody watches it: knowngood watch $FLOW"
        return 3
    fi
    echo "$run" >"$STATE/watch"
    enter watching
    # Longer than the bake time: a breach in the last window is looked into, and a rollback awaited.
    follow "$run" "${WATCH_TIMEOUT:-$((BAKE_TIME + 1800))}"
    case $ENDED in
    succeeded:passed)
        enter settled
        say "$REVISION holds"
        ;;
    succeeded:rolled_back)
        enter settled
        complain "$REVISION made callers suffer and knowngood has rolled $FLOW back (watch $run)." \
            "The source still holds it: revert it before the next deployment," \
            "for this revision is refused from now on."
        return 1
        ;;
    succeeded:superseded | cancelled:*)
        enter settled
        complain "the watch $run was ended by a later deployment or a person"
        return 1
        ;;
    succeeded:* | needs_attention:* | failed:*)
        # Held back by a safeguard, without a verdict, a dry run, or a rollback that failed. To roll
        # back from here would go round the safeguards: a person decides.
        enter settled
        complain "a person must look at $FLOW, where $REVISION may be live" \
            "($(field outcome <<<"$RUN_RECORD")): knowngood explain $run; $(field action <<<"$RUN_RECORD")"
        return 3
        ;;
    *)
        complain "the watch goes on, and rolls back if it must: knowngood status $run --wait"
        return 4
        ;;
    esac
}

restore() {
    local baseline run
    baseline=$(cat "$STATE/baseline")
    say "the deployment broke off: makes sure that callers hear version $baseline"
    # It waits for a publication under way, and changes nothing where the baseline is live. The
    # revision is not to blame for a job that was cancelled: it may be deployed again.
    if run=$(begin rollback "$FLOW" --to "$baseline" --no-blame \
        --reason "$ROLLOUT broke off" --idempotency-key "$ROLLOUT-restore"); then
        follow "$run" 1800
    fi
    if [ "$(live_version)" != "$baseline" ]; then
        complain "callers may not hear version $baseline: knowngood versions $FLOW"
        return 3
    fi
    enter settled
    # A publication that its tool no longer waits for may still arrive.
    start_watch after >/dev/null || complain "nobody watches $FLOW: knowngood watch $FLOW"
}

settle() {
    case $(phase) in
    deploying) restore ;;
    deployed)
        local run
        if ! run=$(start_watch watch); then
            complain "$FLOW was deployed and nobody watches it: knowngood watch $FLOW"
            return 3
        fi
        echo "$run" >"$STATE/watch"
        enter watching
        settle
        ;;
    watching)
        say "the watch goes on without this job, and rolls back if it must:" \
            "knowngood status $(cat "$STATE/watch") --wait"
        ;;
    *) say "nothing is left to do" ;;
    esac
}

case ${1-} in
snapshot | deploy | watch | settle)
    : "${FLOW:?is the id of the flow}" "${REVISION:?is what is deployed, such as a Git commit}"
    : "${ROLLOUT:?is the name of this job}" "${BAKE_TIME:=3600}"
    "$@"
    ;;
*)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
