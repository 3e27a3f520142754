// What the server knows of KPIs, steps and states, so that a new one needs no change here.

let known = { kpis: {}, steps: {}, no_return: {}, states: [], kinds: [] };

/** Read the server's vocabulary, once. */
export async function learn() {
  const answer = await fetch("page/vocabulary.json");
  known = await answer.json();
}

export function vocabulary() {
  return known;
}

/** Show a KPI's value in its unit: 4.2 %, 31 s, 12. */
export function shown(kpi, value) {
  if (value === null || value === undefined) return "–";
  switch (known.kpis[kpi]?.unit) {
    case "share":
      return `${trimmed(100 * value, 1)} %`;
    case "seconds":
      return `${trimmed(value, 1)} s`;
    default:
      return trimmed(value, 1);
  }
}

function trimmed(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** Say whether too little of a KPI is the breach. */
export function isFloor(kpi) {
  return Boolean(known.kpis[kpi]?.is_floor);
}

/** Say whether a run is past the point from where it goes on to its end. */
export function pastReturn(run) {
  const steps = known.steps[run.kind] ?? [];
  const limit = steps.indexOf(known.no_return[run.kind]);
  return limit >= 0 && (run.position > limit || (run.position === limit && run.attempt > 0));
}
