// What belongs together: a watch, the rollbacks that it started, and the watch of what they restored.

import { ask } from "./api.js";

/**
 * Return {watch, after, rollbacks} for a watch or for a rollback that a watch asked for, else null.
 *
 * `runs` are the newest runs of the flow, the run among them.
 */
export async function readStory(run, runs, signal) {
  const watch = run.watch ?? (await watchOf(run.request?.watch_id, signal));
  if (!watch) return null;
  const rollbacks = runs.filter((each) => each.request?.watch_id === watch.watch_id);
  const restored = new Set(rollbacks.map((each) => `restored:${each.run_id}`));
  const next = runs.find((each) => restored.has(each.request?.idempotency_key));
  return { watch, rollbacks, after: await watchOf(next?.run_id, signal) };
}

async function watchOf(id, signal) {
  if (!id) return null;
  try {
    return (await ask(`v1/runs/${encodeURIComponent(id)}`, { signal })).watch;
  } catch (problem) {
    // It may be older than what the journal keeps.
    if (problem.status === 404) return null;
    throw problem;
  }
}
