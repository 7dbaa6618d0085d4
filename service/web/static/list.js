// The list of streams, a page at a time. Versions are fetched often; a status, which costs more, seldom and only after
// new events.

import { getJson, streamPath } from "./api.js";
import { banner } from "./banner.js";
import { element, say, show } from "./dom.js";
import { count, percent, rate } from "./format.js";
import { Pace, stateOf } from "./pace.js";

const PAGE = 25;
const LOOK = 2_000;
const LOOK_CLOSER = 10_000; // milliseconds between two requests for the status of one stream
const ENOUGH = 20; // scored events before a skill is shown
const TYPING = 250;

const CURL = (origin) => `curl -X PUT ${origin}v1/streams/taxi -d '{"targets": ["rides"]}'
curl ${origin}v1/streams/taxi/events -d '{"time": "2026-01-01T00:00:00Z", "y": {"rides": 10844}}'
curl ${origin}v1/streams/taxi/events -d '{"time": "2026-01-01T00:30:00Z", "y": {"rides": 8127}}'`;

/** Show the list in `root`. Returns a function that ends the view. */
export function listView(root) {
  document.title = "Streams · NoBackTrack";
  const parts = show(root, "list-view");
  const filter = root.querySelector("#filter");
  const ending = new AbortController();
  const { signal } = ending;
  const rows = new Map(); // the rows of the page that is shown, by name
  const before = []; // where the pages before this one began
  let [after, next, timer, round] = [null, null, null, 0];

  async function look() {
    const mine = ++round;
    clearTimeout(timer);
    let wait = LOOK;
    try {
      if (!document.hidden) await refresh(mine);
      if (mine === round) banner("");
    } catch (problem) {
      if (signal.aborted || mine !== round) return;
      banner(problem.message);
      wait = Math.max(wait, 1000 * (problem.retryAfter ?? 0));
    }
    if (!signal.aborted && mine === round) timer = setTimeout(look, wait);
  }

  async function refresh(mine) {
    const query = new URLSearchParams({ detail: "true", limit: String(PAGE) });
    if (after !== null) query.set("after", after);
    if (filter.value) query.set("contains", filter.value);
    const list = await getJson(`v1/streams?${query}`, { signal });
    if (mine !== round) return;
    next = list.next ?? null;
    draw(list.heads);
    await lookCloser(mine);
  }

  function draw(heads) {
    const names = new Set(heads.map((head) => head.name));
    for (const name of rows.keys()) if (!names.has(name)) rows.delete(name);
    for (const head of heads) {
      if (!rows.has(head.name)) rows.set(head.name, new Row(head.name));
      rows.get(head.name).head(head);
    }
    const wanted = heads.map((head) => rows.get(head.name).node);
    if (wanted.length !== parts.rows.children.length || wanted.some((node, i) => node !== parts.rows.children[i])) {
      parts.rows.replaceChildren(...wanted);
    }
    const none = heads.length === 0 && after === null;
    parts.table.hidden = heads.length === 0;
    parts.empty.hidden = !none || filter.value !== "";
    parts.nothing.hidden = !none || filter.value === "";
    filter.hidden = !parts.empty.hidden;
    parts.pages.hidden = before.length === 0 && next === null;
    parts.back.disabled = before.length === 0;
    parts.more.disabled = next === null;
    say(parts.where, `page ${before.length + 1}`);
  }

  /** Fetch the status of each stream whose version has changed, one after the other. */
  async function lookCloser(mine) {
    const now = performance.now();
    for (const row of [...rows.values()].filter((one) => one.due(now))) {
      if (mine !== round || signal.aborted) return;
      try {
        row.status(await getJson(streamPath(row.name), { signal }));
      } catch (problem) {
        if (problem.status !== 404) throw problem; // deleted meanwhile
      }
    }
  }

  function turn(to) {
    after = to;
    rows.clear();
    look();
  }

  let typing = null;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      before.length = 0;
      turn(null);
    }, TYPING);
  });
  parts.more.addEventListener("click", () => {
    before.push(after);
    turn(next);
  });
  parts.back.addEventListener("click", () => turn(before.pop()));
  parts.curl.textContent = CURL(new URL(".", document.baseURI).href);
  parts.copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(parts.curl.textContent);
      say(parts.copied, "Copied.");
    } catch {
      say(parts.copied, "Select the lines and copy them by hand.");
    }
  });
  document.addEventListener("visibilitychange", look, { signal });
  look();
  return () => {
    clearTimeout(timer);
    clearTimeout(typing);
    ending.abort();
    banner("");
  };
}

/** One stream of the list. */
class Row {
  #pace = new Pace();
  #recent = null;
  #looked = -Infinity;
  #known = -1; // version of the status that is shown

  constructor(name) {
    this.name = name;
    this.version = 0;
    this.link = element("a", { href: `#/streams/${encodeURIComponent(name)}` }, name);
    this.targets = element("span", { class: "muted small" });
    this.state = element("span", { class: "state" });
    this.bar = element("progress", { max: "1", value: "0", "aria-hidden": "true", hidden: "" });
    this.skill = element("span", {}, "–");
    const cell = (label, kind, ...content) => element("td", { "data-label": label, class: kind }, ...content);
    this.events = cell("Events", "number");
    this.rate = cell("Events/s", "number");
    this.node = element(
      "tr", {},
      element("th", { scope: "row" }, this.link, this.targets),
      cell("State", "", this.state),
      this.events,
      this.rate,
      cell("Skill", "skill", this.bar, this.skill),
    );
  }

  head({ version, targets }) {
    if (version < this.version) this.#pace = new Pace();
    this.version = version;
    this.#pace.add(version, performance.now());
    say(this.events, count(version));
    say(this.rate, rate(this.#pace.perSecond));
    say(this.targets, targets.length > 3 ? `${targets.slice(0, 3).join(", ")} and ${targets.length - 3} more`
      : targets.join(", "));
    this.#drawState();
  }

  due(now) {
    return this.version !== this.#known && now - this.#looked > LOOK_CLOSER;
  }

  status({ version, recent }) {
    this.#looked = performance.now();
    this.#known = version;
    this.#recent = recent;
    const skill = recent.events < ENOUGH ? null : recent.skill;
    this.bar.value = Math.max(0, Math.min(1, skill ?? 0));
    this.bar.hidden = skill === null;
    say(this.skill, percent(skill));
    this.#drawState();
  }

  #drawState() {
    const [kind, text] = stateOf(this.#pace, this.#recent);
    this.state.dataset.state = kind;
    say(this.state, text);
  }
}
