// What stands where there is nothing to show: why, and what to do about it.

import { el } from "./dom.js";

/** Return a notice that is a whole page; `rest` are its paragraphs and links. */
export function notice(heading, ...rest) {
  return told(el("h1", { tabindex: -1 }, heading), rest);
}

/** Return a notice that is a part of a page. */
export function remark(heading, ...rest) {
  return told(el("h2", {}, heading), rest);
}

function told(heading, rest) {
  const paragraphs = rest.map((each) => (typeof each === "string" ? el("p", {}, each) : each));
  return el("section", { class: "notice card" }, heading, paragraphs);
}

/** Return a notice that says what an error means for the person. */
export function troubleOf(problem, as = notice) {
  const all = el("p", {}, el("a", { href: "#/" }, "All runs"));
  switch (problem.status) {
    case 0:
      return as(
        "The API does not answer",
        "This page tries again by itself. If it stays like this, see that `knowngood api` runs, and that this device reaches it.",
      );
    case 404:
      return as(
        "There is no such run",
        "The id in the address is wrong, or the run is older than what the journal keeps; the artifact store has its record.",
        all,
      );
    case 403:
      return as("This token may not see that", problem.message, all);
    case 503:
      return as(
        "A part of knowngood does not answer",
        problem.message,
        "This page tries again by itself; `knowngood doctor` tells more.",
      );
    default:
      return as(`The API answered ${problem.status}: ${problem.title}`, problem.message, all);
  }
}
