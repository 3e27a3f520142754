// Questions to the API. Its paths are relative, so that the page also works below a proxy's prefix.

import { session } from "./session.js";
import { heardDate } from "./times.js";

const PATIENCE = 15_000;

/** An answer that is an error (RFC 9457), or none at all (`status` 0). */
class Problem extends Error {
  constructor(status, title, detail, retryAfter = null) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.retryAfter = retryAfter;
  }
}

/** Return the headers that say who asks. */
export function credentials() {
  return { Authorization: `Bearer ${session.token}` };
}

/** Ask and return the JSON of the answer; throws a Problem. */
export async function ask(path, { method = "GET", body = null, signal = null } = {}) {
  const headers = { Accept: "application/json", ...credentials() };
  if (body) headers["Content-Type"] = "application/json";
  const patience = AbortSignal.timeout(PATIENCE);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    heardDate(answer.headers.get("Date"));
    if (answer.ok) return await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The API does not answer", "");
  }
  throw await problemOf(answer);
}

/** Return the Problem that an answer holds. */
export async function problemOf(answer) {
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // A proxy in between answered with something of its own: the status tells enough.
  }
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  return new Problem(
    answer.status,
    String(said.title ?? answer.statusText),
    String(said.detail ?? ""),
    retryAfter,
  );
}
