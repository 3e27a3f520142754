// Times as the viewer's zone shows them, with UTC in the title, and durations in words.

import { el } from "./dom.js";

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const MINUTE = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

// A phone's clock may be minutes off, and every age here is told against the server's times.
const TOLERANCE = 5_000;
let skew = 0;

/** Learn the server's time from an answer's Date header. */
export function heardDate(text) {
  const ahead = Date.parse(text) - Date.now();
  if (!Number.isNaN(ahead)) skew = Math.abs(ahead) > TOLERANCE ? ahead : 0;
}

/** Return the server's time in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + skew;
}

/** Return milliseconds since 1970 of a time of the API, or null. */
export function at(text) {
  return text ? Date.parse(text) : null;
}

function utc(time) {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Return a <time> with the time of day, and the day unless it is today. */
export function moment(text, now = serverNow()) {
  const time = at(text);
  if (time === null) return null;
  const today = DAY.format(now) === DAY.format(time);
  return tagged(time, (today ? "" : `${DAY.format(time)}, `) + CLOCK.format(time));
}

/** Return a <time> with how long ago something was. */
export function ago(text, now) {
  const time = at(text);
  return tagged(time, `${rough((now - time) / 1000)} ago`);
}

function tagged(time, text) {
  return el("time", { datetime: new Date(time).toISOString(), title: utc(time) }, text);
}

/** Return a time of day for a drawing, to the minute when `span` (ms) is long. */
export function clock(time, span = 0) {
  return (span > 20 * 60_000 ? MINUTE : CLOCK).format(time);
}

/** Say a duration in seconds exactly: 4 ms, 0.42 s, 12 s, 5 min 3 s, 2 h 5 min. */
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  const length = Math.max(0, seconds);
  if (length > 0 && length < 0.1) return `${Math.max(1, Math.round(length * 1000))} ms`;
  if (length < 10) return `${Number(length.toFixed(2))} s`;
  if (length < 120) return `${Math.round(length)} s`;
  const minutes = Math.floor(Math.round(length) / 60);
  if (minutes < 120)
    return `${minutes} min${Math.round(length) % 60 ? ` ${Math.round(length) % 60} s` : ""}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.round(hours / 24)} days`;
}

/** Say a duration in seconds in one unit: 12 s, 5 min, 3 h, 4 days. */
export function rough(seconds) {
  const length = Math.max(0, seconds);
  if (length < 60) return `${Math.floor(length)} s`;
  if (length < 3_600) return `${Math.floor(length / 60)} min`;
  if (length < 48 * 3_600) return `${Math.floor(length / 3_600)} h`;
  return `${Math.floor(length / 86_400)} days`;
}
