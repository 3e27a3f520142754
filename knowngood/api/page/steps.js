// A run's steps on one axis of time: a bar an attempt, the waits between, a mark for each fault.

import { el, svg } from "./dom.js";
import { at, moment, span } from "./times.js";
import { awaited, ENDED, plain } from "./words.js";

const WORDS = {
  working: "under way",
  waiting: "waits",
  done: "done",
  stopped: "stopped",
  skipped: "not needed",
};

/** Return the section of a run's steps; `now` is where those under way end for the time being. */
export function stepsOf(run, now) {
  const axis = axisOf(run, now);
  return el(
    "section",
    { class: "card", "aria-labelledby": "steps-title" },
    el("h2", { id: "steps-title" }, "Steps"),
    el(
      "ol",
      { class: "steps" },
      run.steps.map((step) => item(step, axis, now, ENDED.has(run.state))),
    ),
    axis &&
      el(
        "p",
        { class: "axis", "aria-hidden": "true" },
        el("span", {}, "0 s"),
        el("span", {}, span((axis.end - axis.start) / 1000)),
      ),
    axis && legend(run),
  );
}

function axisOf(run, now) {
  const begins = run.steps.map((step) => at(step.started)).filter(Boolean);
  if (!begins.length) return null;
  const start = Math.min(at(run.created), ...begins);
  const end = ENDED.has(run.state) ? (at(run.ended) ?? now) : Math.max(now, at(run.due) ?? 0);
  return { start, end: Math.max(end, start + 1) };
}

function item(step, axis, now, ended) {
  const faults = new Set(step.faults.map((each) => each.what));
  const waits = grouped(step.waits).map((wait) => ({ ...wait, faulty: faults.delete(wait.why) }));
  return el(
    "li",
    { class: "step", "data-state": step.state, "data-key": step.name },
    el(
      "div",
      { class: "step-name" },
      el("strong", {}, plain(step.name)),
      " ",
      el("span", { class: "muted" }, standing(step, ended), tries(step)),
    ),
    axis && bar(step, axis, now),
    el("div", { class: "step-took" }, took(step, now)),
    (waits.length > 0 || faults.size > 0) &&
      el(
        "ul",
        { class: "notes" },
        waits.map((wait) => waited(wait, now)),
        // One that a wait tells of already is not told twice.
        step.faults.filter((each) => faults.has(each.what)).map((each) => fault(each, now)),
      ),
  );
}

function standing(step, ended) {
  if (step.state === "pending") return ended ? "not reached" : "to come";
  return WORDS[step.state] ?? plain(step.state);
}

function tries(step) {
  return step.attempts.length > 1 ? `, ${step.attempts.length} attempts` : "";
}

function took(step, now) {
  if (!step.started) return "";
  return span(((at(step.ended) ?? now) - at(step.started)) / 1000);
}

// A step that asks again and again for the same reason is told of in one line.
function grouped(waits) {
  const groups = [];
  for (const wait of waits) {
    const last = groups.at(-1);
    if (last && last.waiting_on === wait.waiting_on && last.why === wait.why) {
      last.times += 1;
      last.ended = wait.ended;
      last.seconds += wait.seconds;
    } else {
      groups.push({ ...wait, times: 1 });
    }
  }
  return groups;
}

function waited(wait, now) {
  const length = wait.ended ? (at(wait.ended) - at(wait.started)) / 1000 : wait.seconds;
  const times = wait.times > 1 ? `, ${wait.times} times` : "";
  const verb = wait.ended ? "waited" : "waits";
  return el(
    "li",
    { class: wait.faulty ? "fault" : "wait" },
    moment(wait.started, now),
    ` ${verb} ${span(length)} for ${awaited(wait.waiting_on)}${times}: ${wait.why}`,
  );
}

function fault(each, now) {
  return el("li", { class: "fault" }, moment(each.at, now), " ", each.what);
}

function bar(step, axis, now) {
  const share = (time) =>
    (100 * (Math.min(Math.max(time, axis.start), axis.end) - axis.start)) / (axis.end - axis.start);
  const block = (from, to, kind, title) => {
    const left = share(from);
    const width = Math.max(share(to) - left, 0);
    return svg(
      "rect",
      { class: kind, x: `${left}%`, width: `${width}%`, y: 5, height: 14, rx: 2 },
      svg("title", {}, title),
    );
  };
  return svg(
    "svg",
    { class: "bar", height: 24, "aria-hidden": "true", focusable: "false" },
    svg("line", { class: "rail", x1: 0, x2: "100%", y1: 12, y2: 12 }),
    step.waits.map((wait) => {
      const end = at(wait.ended) ?? Math.max(now, at(wait.started) + wait.seconds * 1000);
      return block(
        at(wait.started),
        end,
        "waits",
        `waits for ${awaited(wait.waiting_on)}: ${wait.why}`,
      );
    }),
    step.attempts.map((attempt, index) => {
      const end = at(attempt.ended) ?? now;
      const length = span((end - at(attempt.started)) / 1000);
      return block(
        at(attempt.started),
        end,
        `attempt ${attempt.end ?? "working"}`,
        `attempt ${index + 1}: ${plain(attempt.end ?? "under way")}, ${length}, ${attempt.worker}`,
      );
    }),
    step.faults.map((each) =>
      svg(
        "svg",
        { x: `${share(at(each.at))}%`, y: 0, overflow: "visible" },
        svg("path", { class: "fault-mark", d: "M-5 0h10L0 8z" }, svg("title", {}, each.what)),
      ),
    ),
  );
}

function legend(run) {
  const has = (kind) => run.steps.some((step) => step[kind].length > 0);
  const key = (kind, text) => el("li", { class: `key ${kind}` }, text);
  return el(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    key("works", "works"),
    has("waits") && key("waits", "waits"),
    has("faults") && key("faults", "fault"),
  );
}
