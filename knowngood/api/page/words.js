// A run in words: short ones for a list, one sentence for its own page.

import { el } from "./dom.js";
import { at, rough, span } from "./times.js";

export const ENDED = new Set(["succeeded", "needs_attention", "failed", "cancelled"]);
export const FOR_A_PERSON = new Set(["needs_attention", "failed"]);

// A shape beside each colour, for those who cannot tell the colours apart.
const SHAPES = {
  queued: "○",
  running: "◐",
  waiting: "◷",
  succeeded: "✓",
  needs_attention: "!",
  failed: "✕",
  cancelled: "–",
};
const NOT_PASSED = new Set(["rolled_back", "would_roll_back", "inconclusive"]);
const AWAITED = {
  lock: "the flow's lock",
  conflict: "the other operation on the flow",
  rate: "the API's rate limit",
  api: "Genesys Cloud",
};

/** Write a name of the journal for people: needs_attention becomes needs attention. */
export function plain(name) {
  return String(name ?? "").replaceAll("_", " ");
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function awaited(what) {
  return AWAITED[what] ?? plain(what);
}

/** Return a run's state as a badge. */
export function badge(run) {
  const shape = el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[run.state] ?? "?");
  return el("span", { class: "badge", "data-state": tone(run) }, shape, standing(run));
}

/** Say a run's state, with what it waits for or what a watch came to. */
export function standing(run) {
  if (run.state === "waiting" && run.waiting_on) return `waiting: ${run.waiting_on}`;
  if (run.kind === "watch" && run.state === "succeeded") return plain(run.outcome);
  return plain(run.state);
}

/** Return the state whose colour a run is shown in: a watch that did not pass is no plain success. */
export function tone(run) {
  return NOT_PASSED.has(run.outcome) ? "waiting" : run.state;
}

/** Say what a run is for, in one line. */
export function purpose(run) {
  const asked = run.request ?? {};
  if (asked.reason) return asked.reason;
  if (run.kind === "snapshot") {
    const revision = asked.revision && `revision ${asked.revision}`;
    return [asked.description, revision].filter(Boolean).join(", ");
  }
  if (run.kind === "watch") {
    const version = asked.version_id ? `version ${asked.version_id}` : "the live version";
    const how = asked.standing ? ", for ever" : asked.dry_run ? ", dry run" : "";
    return `${version}${how}`;
  }
  return "";
}

/** Return a KPI's name for people; an abbreviation is written as one. */
export function kpiName(kpi) {
  return kpi.length <= 3 ? kpi.toUpperCase() : capital(plain(kpi));
}

/** Return a run's title: Rollback of Sales IVR. */
export function title(run) {
  return `${capital(run.kind)} of ${run.flow_name}`;
}

/** Say in one sentence where a run stands or how it ended. */
export function headline(run, now) {
  const steps = run.steps ?? [];
  switch (run.state) {
    case "queued":
      return `Waits for a worker since ${rough((now - at(run.created)) / 1000)}.`;
    case "running":
      if (run.kind === "watch") return watching(run, now);
      return `Step ${Math.min(run.position + 1, steps.length)} of ${steps.length}: ${plain(run.step)}.`;
    case "waiting":
      return `Step ${plain(run.step)} waits for ${awaited(run.waiting_on)}${because(run)}${again(run, now)}.`;
    case "succeeded":
      return success(run);
    case "cancelled":
      return run.outcome === "superseded"
        ? "A later watch of the flow took its place."
        : sentence(run.error || "cancelled");
    default:
      return sentence(run.error || run.outcome);
  }
}

/** Begin a text with a capital and end it with a full stop. */
function sentence(text) {
  const told = capital(String(text ?? ""));
  return /[.!?]$|^$/.test(told) ? told : `${told}.`;
}

function because(run) {
  const why = run.steps?.find((step) => step.name === run.step)?.waits?.at(-1)?.why;
  return why ? ` (${why})` : "";
}

function again(run, now) {
  const left = run.due ? (at(run.due) - now) / 1000 : 0;
  return left > 0.5 ? `; it looks again in ${span(Math.ceil(left))}` : "; it looks again now";
}

function watching(run, now) {
  const watch = run.watch;
  if (!watch) return "The watch begins.";
  if (watch.rollback_id) return "It tripped: the rollback is under way.";
  const row = watch.breaches
    ? `; ${watch.breaches} of ${watch.limits.consecutive_breaches} breaches in a row`
    : "";
  const next = Math.max(0, Math.ceil((at(watch.due) - now) / 1000));
  return `${watch.number} ${watch.number === 1 ? "poll" : "polls"} so far${row}; the next one in ${span(next)}.`;
}

const OUTCOMES = {
  passed: "The version held: the watch passed.",
  rolled_back: "The version did not hold: it was rolled back.",
  would_roll_back: "Dry run: the version did not hold and would have been rolled back.",
  already_live: "Nothing was to be done: the target was live already.",
  inconclusive: "Nobody can say whether the version holds: too little was measured.",
};

function success(run) {
  if (
    run.kind === "rollback" &&
    run.restore_seconds !== null &&
    run.restore_seconds !== undefined
  ) {
    return `Version ${run.target_version} is live again, restored in ${span(run.restore_seconds)}.`;
  }
  if (run.kind === "snapshot") {
    const found = run.results?.snapshot ?? {};
    return found.active_version
      ? `Recorded: a rollback returns to version ${found.active_version}.`
      : "Recorded.";
  }
  return OUTCOMES[run.outcome] ?? `${capital(plain(run.outcome || run.state))}.`;
}
