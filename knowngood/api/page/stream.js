// Server-sent events by fetch, since EventSource cannot send the token as a header. A stream that
// breaks is taken up again after the last event that came, for as long as it is wanted.

import { credentials, problemOf } from "./api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
// A stream that told nothing and broke sooner was none: the pauses go on growing.
const STEADY = 5_000;
// The API sends a sign of life at least each 15 s; a phone that slept through them asks anew.
const SILENCE = 45_000;
// Browsers open few connections to one host: a tab that nobody looks at gives its own back.
const OUT_OF_SIGHT = 300_000;

/**
 * Follow a stream of events until `signal` aborts, or until the server says that it has ended: by an
 * event named `end`, or by 204 where nothing is left to tell.
 *
 * `take({id, event, data})` gets each event; `link(up)` hears when the stream stands or broke.
 * Throws the Problem of an answer that asking again cannot mend.
 */
export async function follow(path, { take, link, signal }) {
  const heard = { last: null, over: false, told: false };
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    let asked = 0;
    await inSight(signal);
    heard.told = false;
    const began = performance.now();
    try {
      await readOnce(path, heard, { take, link, signal });
    } catch (error) {
      if (signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      asked = 1_000 * (error.retryAfter ?? 0);
    }
    if (signal.aborted || heard.over) return;
    link(false);
    const stood = heard.told || performance.now() - began > STEADY;
    pause = stood ? FIRST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE);
    // Jittered, so that a restarted API does not meet everybody in the same moment.
    await resting(Math.max(pause * (0.75 + Math.random() / 2), asked), signal);
  }
}

async function readOnce(path, heard, { take, link, signal }) {
  const silent = new AbortController();
  const either = AbortSignal.any([signal, silent.signal]);
  let watchdog = setTimeout(() => silent.abort(), SILENCE);
  const hidden = whenHidden(() => silent.abort());
  try {
    const headers = { Accept: "text/event-stream", ...credentials() };
    if (heard.last) headers["Last-Event-ID"] = heard.last;
    const answer = await fetch(path, { headers, cache: "no-store", signal: either });
    if (!answer.ok) throw await problemOf(answer);
    link(true);
    heard.over = answer.status === 204;
    if (heard.over) return;
    const parser = new Parser();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => silent.abort(), SILENCE);
      for (const event of parser.feed(value)) {
        if (event.id) heard.last = event.id;
        if (event.event === "end") heard.over = true;
        heard.told = true;
        take(event);
      }
    }
  } finally {
    clearTimeout(watchdog);
    hidden.abort();
    silent.abort();
  }
}

function whenHidden(act) {
  const end = new AbortController();
  let timer = null;
  const look = () => {
    clearTimeout(timer);
    timer = document.visibilityState === "hidden" ? setTimeout(act, OUT_OF_SIGHT) : null;
  };
  document.addEventListener("visibilitychange", look, { signal: end.signal });
  end.signal.addEventListener("abort", () => clearTimeout(timer));
  return end;
}

function inSight(signal) {
  if (document.visibilityState === "visible" || signal.aborted) return null;
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true, signal });
    signal.addEventListener("abort", resolve);
  });
}

/** Cuts a text/event-stream into events (HTML Standard, "Interpreting an event stream"). */
export class Parser {
  #rest = "";
  #id = "";
  #event = "";
  #data = [];

  /** Take in a piece of the stream, however it was cut, and return the events it completed. */
  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) {
          events.push({
            id: this.#id,
            event: this.#event || "message",
            data: this.#data.join("\n"),
          });
        }
        this.#data = [];
        this.#event = "";
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") this.#data.push(value);
      else if (field === "event") this.#event = value;
      else if (field === "id" && !value.includes("\0")) this.#id = value;
    }
    return events;
  }
}

// Ends early when the network or the person comes back.
function resting(milliseconds, signal) {
  return new Promise((resolve) => {
    const awake = () => {
      if (document.visibilityState === "visible") done();
    };
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", awake);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", awake);
    signal.addEventListener("abort", done);
  });
}
