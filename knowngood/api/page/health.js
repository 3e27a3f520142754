// A watch: what it judges by, its KPIs as plots, and the same as a table.

import { el } from "./dom.js";
import { plot } from "./plot.js";
import { at, clock, moment, span } from "./times.js";
import { isFloor, shown } from "./vocabulary.js";
import { kpiName, plain } from "./words.js";

const WIDEST = 1_080;
const TWO_COLUMNS = 760;

/**
 * Return the section of a watch.
 *
 * `story`: {watch, after, rollbacks}; `after` is the watch of the restored version, or null.
 */
export function healthOf(story, { now, width, live }) {
  const { watch } = story;
  const polls = [...watch.polls, ...(story.after?.polls ?? [])];
  const marks = marksOf(story);
  const kpis = kpisOf(polls, watch);
  const available = Math.min(width, WIDEST) - 34;
  const columns = available >= TWO_COLUMNS && kpis.length > 1 ? 2 : 1;
  const each = Math.floor((available - (columns - 1) * 24) / columns);
  const reach = extent(story, marks, live ? now : null);
  return el(
    "section",
    { class: "card", "aria-labelledby": "health-title" },
    el("h2", { id: "health-title" }, "Health"),
    judgedBy(watch),
    watch.held && el("p", { class: "notice warn" }, `Not rolled back: ${watch.held}.`),
    polls.length === 0 &&
      el(
        "p",
        { class: "muted" },
        `No poll yet; the first one is due at `,
        moment(watch.due, now),
        ".",
      ),
    kpis.length > 0 && [
      markList(marks, now),
      el(
        "div",
        { class: columns === 2 ? "plots two" : "plots" },
        kpis.map((kpi) => figure(kpi, story, marks, reach, each)),
      ),
    ],
    polls.length > 0 && table(polls, kpis, watch, now),
  );
}

function judgedBy(watch) {
  const limits = watch.limits;
  const rows = {
    version: watch.version_id ?? "–",
    policy: watch.policy + (watch.dry_run ? ", dry run" : ""),
    "trips after": `${limits.consecutive_breaches} breaches in a row`,
    window: `${span(watch.window)}, every ${span(watch.interval)}`,
    "fewest calls": `${limits.min_calls} in a window`,
    ends: watch.bake_until ? moment(watch.bake_until) : "never: a standing watch",
  };
  return el(
    "dl",
    { class: "facts" },
    Object.entries(rows).map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value)),
    ),
  );
}

function kpisOf(polls, watch) {
  const seen = new Set();
  const broken = new Set();
  for (const poll of polls) {
    for (const finding of poll.judgement.findings) {
      if (valueOf(poll, finding.kpi) !== null && limitOf(poll, finding.kpi, watch) !== null)
        seen.add(finding.kpi);
      if (finding.verdict === "breach") broken.add(finding.kpi);
    }
  }
  return [...seen].toSorted((a, b) => broken.has(b) - broken.has(a));
}

function findingOf(poll, kpi) {
  return poll.judgement.findings.find((finding) => finding.kpi === kpi) ?? null;
}

function valueOf(poll, kpi) {
  const judged = findingOf(poll, kpi)?.value;
  if (judged !== null && judged !== undefined) return judged;
  const measured = poll.measurement?.values?.[kpi];
  return measured ? measured.numerator / measured.denominator : null;
}

function limitOf(poll, kpi, watch) {
  const judged = findingOf(poll, kpi)?.limit;
  if (judged !== null && judged !== undefined) return judged;
  // A floor is a share of what the flow's history foretells: without a finding it is unknown.
  return isFloor(kpi) ? null : (watch.limits.kpis[kpi] ?? null);
}

function timeOf(poll) {
  return at(poll.measurement?.window.end ?? poll.at);
}

function marksOf({ watch, rollbacks }) {
  const trips = watch.polls.filter((poll) => poll.decision === "trip");
  return [
    {
      at: at(watch.started),
      letter: "D",
      kind: "deployed",
      text: `version ${watch.version_id ?? "?"} deployed, the watch begins`,
    },
    ...trips.map((poll) => ({
      at: at(poll.at),
      letter: "B",
      kind: "breached",
      text: `breach ${poll.breaches} in a row: the watch trips`,
    })),
    ...rollbacks.map((run) => ({
      at: at(run.created),
      letter: "R",
      kind: "rolled",
      text: "the rollback begins",
      run: run.run_id,
    })),
    ...rollbacks
      .filter((run) => run.restored_at)
      .map((run) => ({
        at: at(run.restored_at),
        letter: "✓",
        kind: "restored",
        text: `version ${run.target_version} is live again`,
      })),
  ].toSorted((a, b) => a.at - b.at);
}

function markList(marks, now) {
  return el(
    "ol",
    { class: "marks", "aria-label": "Marks in the plots" },
    marks.map((mark) =>
      el(
        "li",
        {},
        el("span", { class: `flag ${mark.kind}` }, mark.letter),
        " ",
        moment(new Date(mark.at).toISOString(), now),
        " ",
        mark.run ? el("a", { href: `#/runs/${mark.run}` }, mark.text) : mark.text,
      ),
    ),
  );
}

function extent({ watch, after }, marks, now) {
  const polls = [...watch.polls, ...(after?.polls ?? [])];
  const starts = polls.map((poll) => at(poll.measurement?.window.start)).filter(Boolean);
  // A standing watch began long before the polls that it still remembers.
  const first = starts.length ? Math.min(...starts) : at(watch.started);
  const start =
    first - at(watch.started) > 2 * (timeOf(polls.at(-1) ?? { at: watch.due }) - first)
      ? first
      : Math.min(first, at(watch.started));
  const ends = [...polls.map(timeOf), ...marks.map((mark) => mark.at), now ?? 0];
  const end = Math.max(...ends, start + 1_000);
  return { start, end: end + (end - start) * 0.02 };
}

function figure(kpi, { watch, after }, marks, reach, width) {
  const series = [watch, after].filter(Boolean).map((each) =>
    each.polls
      .filter((poll) => valueOf(poll, kpi) !== null)
      .map((poll) => ({
        at: timeOf(poll),
        value: valueOf(poll, kpi),
        verdict: findingOf(poll, kpi)?.verdict ?? "not_judged",
        text: `${clock(timeOf(poll))}: ${shown(kpi, valueOf(poll, kpi))}, ${plain(findingOf(poll, kpi)?.verdict ?? "not judged")}`,
      })),
  );
  const points = series.flat();
  const limits = limitsOf(kpi, watch, after, reach);
  const breaches = points.filter((point) => point.verdict === "breach").length;
  const name = kpiName(kpi);
  const last = points.at(-1);
  const bound = limits.length
    ? `${isFloor(kpi) ? "At least" : "At most"} ${shown(kpi, limits.at(-1).value)} is healthy.`
    : "";
  const description = `${points.length} windows, ${breaches} of them a breach; the last one ${shown(kpi, last.value)}. ${bound} The table below holds every value.`;
  return el(
    "figure",
    { "data-key": kpi },
    el(
      "figcaption",
      {},
      el("strong", {}, name),
      " ",
      el("span", { class: "muted" }, `last ${shown(kpi, last.value)}`),
    ),
    plot({
      id: `plot-${kpi}`,
      title: `${name} of ${watch.flow_name}`,
      description,
      width,
      span: reach,
      series,
      limits,
      isFloor: isFloor(kpi),
      marks: marks.filter((mark) => mark.at >= reach.start && mark.at <= reach.end),
      show: (value) => shown(kpi, value),
    }),
  );
}

// Limits that stay the same join; a relative policy's differ from window to window.
function limitsOf(kpi, watch, after, reach) {
  const polls = [watch, after]
    .filter(Boolean)
    .flatMap((each) => each.polls.map((poll) => ({ poll, limit: limitOf(poll, kpi, each) })));
  const spans = [];
  let from = reach.start;
  for (const { poll, limit } of polls) {
    const to = timeOf(poll);
    if (limit !== null) {
      const last = spans.at(-1);
      if (last && last.value === limit) last.to = to;
      else spans.push({ from, to, value: limit });
    }
    from = to;
  }
  if (spans.length) spans.at(-1).to = reach.end;
  return spans;
}

function table(polls, kpis, watch, now) {
  const headers = [
    "Poll",
    "Time",
    "Calls",
    ...kpis.map(kpiName),
    "Verdict",
    "In a row",
    "Decision",
    "Why",
  ];
  return el(
    "details",
    {},
    el(
      "summary",
      {},
      watch.number > watch.polls.length
        ? `The last ${polls.length} polls as a table`
        : `The ${polls.length} polls as a table`,
    ),
    el(
      "div",
      { class: "scroll", role: "region", tabindex: 0, "aria-label": "Polls" },
      el(
        "table",
        { class: "polls" },
        el("caption", { class: "unseen" }, `Polls of ${watch.flow_name}`),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            headers.map((header) => el("th", { scope: "col" }, header)),
          ),
        ),
        el(
          "tbody",
          {},
          polls.map((poll) => row(poll, kpis, watch, now)),
        ),
      ),
    ),
  );
}

function row(poll, kpis, watch, now) {
  return el(
    "tr",
    { "data-verdict": poll.judgement.verdict },
    el("th", { scope: "row" }, String(poll.number)),
    el("td", {}, moment(poll.at, now)),
    el("td", {}, poll.measurement?.volume ?? "–"),
    kpis.map((kpi) => {
      const broken = findingOf(poll, kpi)?.verdict === "breach";
      return el(
        "td",
        { class: broken && "broken" },
        shown(kpi, valueOf(poll, kpi)),
        broken && " !",
      );
    }),
    el("td", {}, plain(poll.judgement.verdict)),
    el("td", {}, poll.breaches || "–"),
    el("td", {}, plain(poll.decision)),
    el("td", { class: "why" }, poll.judgement.why),
  );
}
