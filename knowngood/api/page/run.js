// One run, live: what it is for, what to do now, its steps, its health, its journal.

import { ask } from "./api.js";
import { cancel, cancelButton } from "./cancel.js";
import { commandsIn, copyable } from "./commands.js";
import { el } from "./dom.js";
import { healthOf } from "./health.js";
import { show } from "./morph.js";
import { troubleOf } from "./notice.js";
import { stepsOf } from "./steps.js";
import { readStory } from "./story.js";
import { follow } from "./stream.js";
import { moment, serverNow, span } from "./times.js";
import {
  badge,
  capital,
  ENDED,
  FOR_A_PERSON,
  headline,
  purpose,
  standing,
  title,
  tone,
} from "./words.js";

const GATHER = 150;
const TICK = 1_000;
const AGAIN = 3_000;
// A watch polls without a word in the journal when nothing changed.
const LOOK = 5_000;

export class RunPage {
  #frame;
  #root;
  #id;
  #run = null;
  #story = null;
  #others = [];
  #journal = [];
  #trouble = null;
  #refusal = "";
  #end = new AbortController();
  #loading = null;
  #stale = false;

  /** Fills `root`; `frame` is main.js'. */
  constructor(frame, root, id) {
    this.#frame = frame;
    this.#root = root;
    this.#id = id;
  }

  start() {
    const signal = this.#end.signal;
    document.title = "Run · knowngood";
    this.#root.addEventListener("click", (event) => this.#pressed(event));
    addEventListener("resize", () => this.#draw(), { signal });
    const ticking = setInterval(() => this.#tick(), TICK);
    const looking = setInterval(() => this.#look(), LOOK);
    signal.addEventListener("abort", () => [ticking, looking].forEach(clearInterval));
    this.#draw();
    this.#load(0);
    follow(`v1/runs/${encodeURIComponent(this.#id)}/events`, {
      signal,
      take: (event) => this.#heard(event),
      link: (up) => {
        this.#frame.linked(up);
        if (up) this.#load();
      },
    })
      .then(() => signal.aborted || this.#frame.linked(null))
      // A run that is not there is told of by the answer to the question for it.
      .catch((problem) => problem.status === 404 || this.#frame.fail(problem));
  }

  stop() {
    this.#end.abort();
    clearTimeout(this.#loading);
  }

  #heard({ id, event, data }) {
    if (event === "message" && !this.#journal.some((line) => line.entry_id === id)) {
      this.#journal.push(JSON.parse(data));
    }
    this.#load();
  }

  // One question at a time: what came since the last one was asked is a reason for one more.
  #load(wait = GATHER) {
    this.#stale = true;
    this.#loading ??= setTimeout(async () => {
      this.#stale = false;
      await this.#read();
      this.#loading = null;
      if (this.#stale && !this.#end.signal.aborted) this.#load();
    }, wait);
  }

  async #read() {
    const signal = this.#end.signal;
    try {
      const former = this.#run;
      const run = await ask(`v1/runs/${encodeURIComponent(this.#id)}`, { signal });
      this.#run = run;
      this.#trouble = null;
      if (former && former.state !== run.state)
        this.#frame.say(`${title(run)}: ${standing(run)}. ${headline(run, serverNow())}`);
      this.#draw();
      if (!former && this.#frame.came) this.#root.querySelector("h1").focus();
      const { runs } = await ask(
        `v1/runs?${new URLSearchParams({ flow: run.flow_id, limit: 50 })}`,
        { signal },
      );
      this.#others = runs.filter((each) => each.run_id !== run.run_id);
      this.#story = await readStory(run, runs, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 401) return this.#frame.fail(problem);
      this.#trouble = problem;
      if (problem.status !== 404) setTimeout(() => signal.aborted || this.#load(), AGAIN);
    }
    this.#draw();
  }

  #tick() {
    if (this.#run && !ENDED.has(this.#run.state)) this.#draw();
  }

  #look() {
    if (this.#run && this.#story && !ENDED.has(this.#run.state)) this.#load();
  }

  async #pressed(event) {
    if (!event.target.closest("[data-cancel]")) return;
    const answer = await cancel(this.#run);
    if (!answer) return;
    this.#refusal = answer.done ? "" : answer.text;
    this.#frame.say(answer.text);
    this.#load(0);
    this.#draw();
  }

  #draw() {
    const now = serverNow();
    const run = this.#run;
    const back = el("p", { class: "back" }, el("a", { href: this.#frame.list }, "← Runs"));
    if (!run) {
      show(
        this.#root,
        back,
        this.#trouble ? troubleOf(this.#trouble) : el("p", { class: "muted" }, "Loading…"),
      );
      return;
    }
    document.title = `${standing(run)} · ${title(run)} · knowngood`;
    const width = this.#root.clientWidth;
    show(
      this.#root,
      back,
      this.#trouble &&
        el("p", { class: "notice warn" }, `Not up to date: ${this.#trouble.message}`),
      head(run, now),
      toDo(run),
      FOR_A_PERSON.has(run.state) &&
        el("section", { class: "card", "aria-label": "What was asked" }, facts(run, now)),
      this.#refusal && el("p", { class: "notice warn", role: "alert" }, this.#refusal),
      showsSteps(run) && stepsOf(run, now),
      this.#story && healthOf(this.#story, { now, width, live: !ENDED.has(run.state) }),
      this.#journalOf(now),
      this.#othersOf(now),
      actions(run, this.#frame.role),
    );
  }

  #journalOf(now) {
    if (!this.#journal.length) return null;
    return el(
      "section",
      { class: "card", "aria-labelledby": "journal-title" },
      el(
        "details",
        {},
        el(
          "summary",
          {},
          el("h2", { id: "journal-title" }, "Journal"),
          el("span", { class: "muted" }, ` ${this.#journal.length} entries`),
        ),
        el(
          "ol",
          { class: "journal" },
          this.#journal.map((line) =>
            el(
              "li",
              { "data-key": line.entry_id },
              moment(line.at, now),
              el("span", {}, line.text),
            ),
          ),
        ),
      ),
    );
  }

  #othersOf(now) {
    if (!this.#others.length) return null;
    return el(
      "section",
      { class: "card", "aria-labelledby": "others-title" },
      el("h2", { id: "others-title" }, "Other runs of this flow"),
      el(
        "ul",
        { class: "others" },
        this.#others
          .slice(0, 8)
          .map((run) =>
            el(
              "li",
              { "data-key": run.run_id },
              badge(run),
              " ",
              el("a", { href: `#/runs/${run.run_id}` }, run.kind),
              " ",
              el(
                "span",
                { class: "muted" },
                moment(run.created, now),
                " ",
                related(run, this.#run, this.#story),
              ),
            ),
          ),
      ),
    );
  }
}

function head(run, now) {
  return el(
    "section",
    { class: "card head", "data-state": tone(run) },
    el("h1", { tabindex: -1 }, title(run)),
    el(
      "p",
      { class: "state-line" },
      badge(run),
      " ",
      el("span", { class: "headline" }, headline(run, now)),
    ),
    !FOR_A_PERSON.has(run.state) && facts(run, now),
  );
}

// Below what is to be done, where something is.
function facts(run, now) {
  const asked = run.request ?? {};
  const watchId = asked.watch_id;
  const follows = /^restored:(.+)$/.exec(asked.idempotency_key ?? "")?.[1];
  const rows = {
    "what for": purpose(run),
    "asked by": asked.requested_by,
    asked: moment(run.created, now),
    ended: run.ended && [
      moment(run.ended, now),
      ` after ${span((Date.parse(run.ended) - Date.parse(run.created)) / 1000)}`,
    ],
    from: run.kind === "rollback" && run.from_version && `version ${run.from_version}`,
    to: run.kind === "rollback" && run.target_version && `version ${run.target_version}`,
    waited: run.lock_wait > 0 && `${span(run.lock_wait)} for the flow's lock`,
    "worker lost":
      run.takeovers > 0 &&
      `${run.takeovers} ${run.takeovers === 1 ? "time" : "times"}; another took the run up`,
    watch:
      watchId &&
      el("a", { href: `#/runs/${encodeURIComponent(watchId)}` }, "the watch that tripped"),
    rollback:
      run.watch?.rollback_id &&
      el(
        "a",
        { href: `#/runs/${encodeURIComponent(run.watch.rollback_id)}` },
        "the rollback it started",
      ),
    after:
      follows &&
      el(
        "a",
        { href: `#/runs/${encodeURIComponent(follows)}` },
        "the rollback whose version it watches",
      ),
  };
  return [
    terms(rows),
    terms({ flow: identity(run.flow_id), run: identity(run.run_id) }, "facts ids"),
  ];
}

function terms(rows, kind = "facts") {
  return el(
    "dl",
    { class: kind },
    Object.entries(rows)
      .filter(([, value]) => value)
      .map(([name, value]) =>
        el("div", { "data-key": name }, el("dt", {}, name), el("dd", {}, value)),
      ),
  );
}

function identity(id) {
  return [
    el("code", {}, id),
    " ",
    el(
      "button",
      { type: "button", class: "quiet small", "data-copy": id, "aria-label": `Copy ${id}` },
      "Copy",
    ),
  ];
}

// What a person must do now, with each command to be copied.
function toDo(run) {
  if (!FOR_A_PERSON.has(run.state)) return null;
  const told = capital(run.action || "read what happened, then decide.");
  const commands = [...commandsIn(told), `knowngood status ${run.run_id}`];
  return el(
    "section",
    { class: "card todo", "aria-labelledby": "todo-title" },
    el("h2", { id: "todo-title" }, "Do now"),
    el("p", {}, told),
    [...new Set(commands)].map((command) => copyable(command)),
  );
}

function showsSteps(run) {
  return run.kind !== "watch" || run.steps.some((step) => step.waits.length || step.faults.length);
}

function actions(run, role) {
  const button = cancelButton(run, role);
  return button && el("div", { class: "actions" }, button);
}

function related(other, run, story) {
  if (other.run_id === run.watch?.rollback_id) return "its rollback";
  if (other.run_id === run.request?.watch_id) return "the watch that tripped";
  if (story?.after && other.run_id === story.after.watch_id) return "watches the restored version";
  return "";
}
