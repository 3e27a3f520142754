// The newest runs, live, with filters that are part of the address.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { show } from "./morph.js";
import { remark, troubleOf } from "./notice.js";
import { follow } from "./stream.js";
import { ago, at, serverNow } from "./times.js";
import { vocabulary } from "./vocabulary.js";
import { badge, ENDED, FOR_A_PERSON, headline, plain, purpose, standing, title } from "./words.js";

const MOST = 200;
const GROUPS = {
  "under-way": ["queued", "running", "waiting"],
  "for-a-person": ["needs_attention", "failed"],
};
const GATHER = 250;
// All of them are many: a busy fleet is read once a second.
const BUSY = 1_000;
const TICK = 5_000;
const AGAIN = 3_000;
const ONE_BY_ONE = 5;
const FLOW_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export class RunList {
  #frame;
  #root;
  #filters;
  #runs = new Map();
  #dirty = new Set();
  #loaded = false;
  #trouble = null;
  #end = new AbortController();
  #asking = null;
  #all = false;
  #filterForm;
  #results = el("div", { class: "results" });

  /** Fills `root`; `frame` is main.js'. */
  constructor(frame, root, filters) {
    this.#frame = frame;
    this.#root = root;
    this.#filters = {
      state: filters.get("state") ?? "",
      kind: filters.get("kind") ?? "",
      flow: filters.get("flow") ?? "",
    };
  }

  start() {
    document.title = "Runs · knowngood";
    this.#filterForm = this.#form();
    this.#root.append(el("h1", { tabindex: -1 }, "Runs"), this.#filterForm, this.#results);
    this.#setFields();
    this.#results.addEventListener("keydown", (event) => arrows(event, this.#results));
    const signal = this.#end.signal;
    const ticking = setInterval(() => this.#draw(), TICK);
    signal.addEventListener("abort", () => clearInterval(ticking));
    this.#draw();
    follow("v1/events", {
      signal,
      take: ({ data }) => this.#want(JSON.parse(data).run_id),
      link: (up) => {
        this.#frame.linked(up);
        // What came while the link was down may never be told.
        if (up) this.#want();
      },
    }).catch((problem) => this.#frame.fail(problem));
    this.#want(null, 0);
  }

  stop() {
    this.#end.abort();
    clearTimeout(this.#asking);
  }

  // One question at a time, so that no older answer can follow a newer one.
  #want(id = null, wait = GATHER) {
    if (id) this.#dirty.add(id);
    else this.#all = true;
    this.#asking ??= setTimeout(() => this.#answer(), wait);
  }

  async #answer() {
    const ids = [...this.#dirty];
    const all = this.#all || ids.length > ONE_BY_ONE;
    this.#dirty.clear();
    this.#all = false;
    try {
      if (all) await this.#readAll();
      else await Promise.all(ids.map((id) => this.#readOne(id)));
      this.#trouble = null;
    } catch (problem) {
      if (this.#end.signal.aborted) return;
      if (problem.status === 401) return this.#frame.fail(problem);
      this.#trouble = problem;
      setTimeout(() => this.#end.signal.aborted || this.#want(), AGAIN);
    }
    this.#draw();
    this.#asking = null;
    if (this.#all || this.#dirty.size) this.#want([...this.#dirty][0], all ? BUSY : GATHER);
  }

  async #readAll() {
    const { runs } = await ask(`v1/runs?${this.#query()}`, { signal: this.#end.signal });
    const [former, first] = [this.#runs, !this.#loaded];
    this.#runs = new Map(runs.map((run) => [run.run_id, run]));
    this.#loaded = true;
    if (first) {
      this.#draw();
      this.#arrive();
    } else {
      for (const run of runs) this.#tell(former.get(run.run_id), run);
    }
  }

  async #readOne(id) {
    try {
      const run = await ask(`v1/runs/${encodeURIComponent(id)}`, { signal: this.#end.signal });
      this.#tell(this.#runs.get(id), run);
      this.#runs.set(id, run);
    } catch (problem) {
      // The feed may name a run that is kept no longer.
      if (problem.status !== 404) throw problem;
      this.#runs.delete(id);
    }
    if (this.#runs.size > 2 * MOST) this.#all = true;
  }

  // From a run back to its row, for whoever goes by keyboard.
  #arrive() {
    if (!this.#frame.came) return;
    const row = [...this.#results.querySelectorAll("tbody tr")].find(
      (each) => each.dataset.key === this.#frame.lastRun,
    );
    (row?.querySelector("a") ?? this.#root.querySelector("h1")).focus();
  }

  #query() {
    const { state, kind, flow } = this.#filters;
    const query = new URLSearchParams({ limit: MOST });
    for (const each of GROUPS[state] ?? (state ? [state] : [])) query.append("state", each);
    if (kind) query.append("kind", kind);
    if (FLOW_ID.test(flow)) query.append("flow", flow.toLowerCase());
    return query;
  }

  #tell(former, run) {
    if (former?.state === run.state || (!ENDED.has(run.state) && former)) return;
    this.#frame.say(`${title(run)}: ${standing(run)}`);
  }

  #matches(run) {
    const { state, kind, flow } = this.#filters;
    const states = GROUPS[state] ?? (state ? [state] : null);
    const sought = flow.trim().toLowerCase();
    return (
      (!states || states.includes(run.state)) &&
      (!kind || run.kind === kind) &&
      (!sought ||
        run.flow_name.toLowerCase().includes(sought) ||
        run.flow_id.includes(sought) ||
        run.run_id.startsWith(sought))
    );
  }

  #draw() {
    const now = serverNow();
    const runs = [...this.#runs.values()]
      .filter((run) => this.#matches(run))
      .toSorted((a, b) => at(b.created) - at(a.created))
      .slice(0, MOST);
    const full = this.#runs.size >= MOST;
    show(
      this.#results,
      this.#trouble &&
        this.#loaded &&
        el("p", { class: "notice warn" }, `Not up to date: ${this.#trouble.message}`),
      el(
        "p",
        { class: "count muted", role: "status" },
        this.#loaded ? this.#count(runs, full) : this.#trouble ? "" : "Loading…",
      ),
      !this.#loaded && this.#trouble && troubleOf(this.#trouble, remark),
      this.#loaded && (runs.length ? table(runs, now) : this.#nothing()),
    );
  }

  #count(runs, full) {
    const number = `${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
    const people = runs.filter((run) => FOR_A_PERSON.has(run.state)).length;
    const told = people ? `${number}, ${people} for a person` : number;
    return full
      ? `${told}; the newest ${MOST} are looked through, a filter by state or kind reaches further back`
      : told;
  }

  #nothing() {
    const { state, kind, flow } = this.#filters;
    if (state || kind || flow) {
      return remark("No run matches", el("p", {}, el("a", { href: "#/" }, "Show all runs")));
    }
    return remark(
      "No run yet",
      "A run is one rollback, one snapshot or one watch. Start the first, where knowngood is installed:",
      el(
        "pre",
        {},
        'knowngood snapshot FLOW\nknowngood watch FLOW\nknowngood rollback FLOW --reason "…"',
      ),
    );
  }

  #form() {
    const { states, kinds } = vocabulary();
    const choice = (name, label, options) =>
      el(
        "label",
        {},
        el("span", {}, label),
        el(
          "select",
          { name },
          options.map(([value, text]) => el("option", { value }, text)),
        ),
      );
    const form = el(
      "form",
      { class: "filters", role: "search", "aria-label": "Filter the runs" },
      choice("state", "State", [
        ["", "all"],
        ["under-way", "under way"],
        ["for-a-person", "for a person"],
        ...states.map((state) => [state, plain(state)]),
      ]),
      choice("kind", "Kind", [["", "all"], ...kinds.map((kind) => [kind, kind])]),
      el(
        "label",
        { class: "grow" },
        el("span", {}, "Flow"),
        el("input", {
          name: "flow",
          type: "search",
          placeholder: "name or id",
          autocomplete: "off",
          spellcheck: "false",
        }),
      ),
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => this.#chosen());
    return form;
  }

  #setFields() {
    for (const [name, value] of Object.entries(this.#filters))
      this.#filterForm.elements[name].value = value;
  }

  #chosen() {
    const former = this.#query().toString();
    for (const name of Object.keys(this.#filters))
      this.#filters[name] = this.#filterForm.elements[name].value;
    const given = Object.entries(this.#filters).filter(([, value]) => value);
    this.#frame.list = given.length ? `#/?${new URLSearchParams(given)}` : "#/";
    history.replaceState(null, "", this.#frame.list);
    if (this.#query().toString() !== former) this.#want(null, 0);
    this.#draw();
  }
}

function table(runs, now) {
  return el(
    "table",
    { class: "runs", role: "table" },
    el("caption", { class: "unseen" }, "Runs, the newest first"),
    el(
      "thead",
      { role: "rowgroup" },
      el(
        "tr",
        { role: "row" },
        ["State", "Flow", "Kind", "What for", "Where it stands", "Asked"].map((header) =>
          el("th", { scope: "col", role: "columnheader" }, header),
        ),
      ),
    ),
    el(
      "tbody",
      { role: "rowgroup" },
      runs.map((run) => row(run, now)),
    ),
  );
}

// The roles are named since a phone shows rows as blocks, which takes a table's own ones away.
function row(run, now) {
  const cell = (name, ...children) => el("td", { role: "cell", class: name }, children);
  return el(
    "tr",
    { role: "row", "data-key": run.run_id, "data-state": run.state },
    cell("state", badge(run)),
    el(
      "th",
      { role: "rowheader", scope: "row", class: "flow" },
      el("a", { href: `#/runs/${encodeURIComponent(run.run_id)}` }, run.flow_name),
    ),
    cell("kind", run.kind),
    cell("purpose", purpose(run)),
    cell("stands", briefly(run, now)),
    cell("age", ago(run.created, now)),
  );
}

function briefly(run, now) {
  if (run.kind === "watch" && !ENDED.has(run.state))
    return run.state === "running" ? "watches" : "";
  return headline({ ...run, steps: vocabulary().steps[run.kind] ?? [] }, now);
}

const MOVES = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

function arrows(event, root) {
  const move = MOVES[event.key];
  const links = [...root.querySelectorAll("tbody a")];
  const index = links.indexOf(document.activeElement);
  if (!move || index < 0) return;
  event.preventDefault();
  links[Math.min(Math.max(index + move, 0), links.length - 1)].focus();
}
