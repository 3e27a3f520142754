// The frame: who looks, which page, and whether it is live.

import { copyOnPress } from "./commands.js";
import { el } from "./dom.js";
import { RunList } from "./list.js";
import { notice, troubleOf } from "./notice.js";
import { RunPage } from "./run.js";
import { session } from "./session.js";
import { roleOf, signIn } from "./signin.js";
import { learn } from "./vocabulary.js";

const main = document.getElementById("main");
const linkState = document.getElementById("link");
const said = document.getElementById("said");
const leave = document.getElementById("leave");

/** What a view works with. `came` is false on the first page, which a browser focuses itself. */
const frame = { role: null, list: "#/", lastRun: null, came: false, say, linked, fail };
let view = null;

/** Tell a screen reader what changed. */
function say(text) {
  said.textContent = "";
  // In two strokes: the same words twice are a change too.
  setTimeout(() => (said.textContent = text), 50);
}

/** Show whether news arrives: true, false, or null where none is to be expected. */
function linked(up) {
  linkState.dataset.up = up;
  linkState.textContent = up === null ? "" : up ? "Live" : "Reconnecting…";
}

/** Take the view away: its token is no good, or the API refuses. */
function fail(problem) {
  if (problem.status === 401) {
    session.forget();
    askForToken("The API does not, or no longer, know this tab's token: sign in again.");
  } else {
    stop();
    main.replaceChildren(troubleOf(problem));
  }
}

function stop() {
  view?.stop();
  view = null;
  linked(null);
}

function askForToken(why = "") {
  stop();
  leave.hidden = true;
  document.title = "Sign in · knowngood";
  main.replaceChildren(signIn(why, signedIn));
  document.getElementById("token").focus();
}

function signedIn(role) {
  frame.role = role;
  frame.came = true;
  route();
}

function route() {
  stop();
  if (!session.token) return askForToken();
  leave.hidden = false;
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const id = /^\/runs\/([^/]+)$/.exec(path)?.[1];
  const root = el("div", { class: "view" });
  if (id) {
    frame.lastRun = decoded(id);
    view = new RunPage(frame, root, frame.lastRun);
  } else if (path === "" || path === "/") {
    frame.list = location.hash || "#/";
    view = new RunList(frame, root, new URLSearchParams(query));
  } else {
    root.append(notice("There is no such page", el("p", {}, el("a", { href: "#/" }, "All runs"))));
  }
  main.replaceChildren(root);
  scrollTo(0, 0);
  view?.start();
}

function decoded(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

// A reload: the tab still has its token.
async function takeUp() {
  if (!session.token) return;
  try {
    frame.role = await roleOf();
  } catch (problem) {
    // Whatever else is amiss, the view that is asked for tells of it.
    if (problem.status === 401) session.forget();
  }
}

leave.addEventListener("click", () => {
  session.forget();
  frame.role = null;
  askForToken();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  // Its address would be taken for a view's.
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  frame.came = true;
  route();
});
addEventListener("keydown", (event) => {
  const free = !event.defaultPrevented && !document.querySelector("dialog[open]");
  if (event.key === "Escape" && free && location.hash.startsWith("#/runs/"))
    location.hash = frame.list;
});
copyOnPress(main, say);

await learn();
await takeUp();
route();
