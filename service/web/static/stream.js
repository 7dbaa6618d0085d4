// The live view of one stream.

import { getJson, sendJson, streamPath } from "./api.js";
import { lossFigure, palette, seriesFigure, symbolFigure } from "./charts.js";
import { css, element, say, show } from "./dom.js";
import { draw, erase, plotly } from "./draw.js";
import { count, duration, moment, percent, rate, score, value } from "./format.js";
import { Pace, stateOf } from "./pace.js";
import { ANOMALY, CAPACITY, MEAN_OF, Series } from "./series.js";
import { trial } from "./trial.js";
import { watch } from "./watch.js";

const BACKLOG = 500; // events shown when the view opens
const FRAME = 250; // milliseconds between two drawings
const LOOK = 3_000; // milliseconds between two requests for the status
const FORECAST = 1_000; // milliseconds between two forecasts
const ANOMALIES = 8; // rows of the table

const TILES = ["Events", "Events/s", "Skill", "Inside 90 % interval", "Learning an event", "Newest anomaly score"];

/** Show a stream in `root`. Returns a function that ends the view. */
export function streamView(root, name) {
  const view = new StreamView(root, name);
  view.start();
  return () => view.end();
}

class StreamView {
  #ending = new AbortController();
  #series = new Series();
  #pace = new Pace();
  #config = null;
  #status = null;
  #backlog = 0; // outcomes up to this version were learnt before the view opened
  #ahead = null; // {after, steps}
  #frame = null;
  #drawn = -Infinity;
  #asked = -Infinity;
  #refused = null;
  #why = "";
  #looking = null;
  #paused = false;

  constructor(root, name) {
    document.title = `${name} · NoBackTrack`;
    this.name = name;
    this.parts = show(root, "stream-view");
    this.parts.name.textContent = name;
    this.tiles = TILES.map((title) => {
      const node = element("dd", {}, "–");
      this.parts.tiles.append(element("div", {}, element("dt", {}, title), node));
      return node;
    });
    this.suggest = trial(name, this.parts, this.signal, () => this.#series);
  }

  get signal() {
    return this.#ending.signal;
  }

  start() {
    const { parts, signal } = this;
    plotly().catch(() => {}); // loaded again when a chart is drawn, and an error is shown then
    for (const part of [parts.target, parts.span]) part.addEventListener("change", () => this.draw());
    parts.horizon.addEventListener("change", () => {
      this.#asked = -Infinity;
      this.#ahead = null;
      this.draw();
    });
    parts.pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      parts.pause.setAttribute("aria-pressed", String(this.#paused));
      say(parts.pause, this.#paused ? "Go on" : "Pause");
      this.draw();
    });
    document.addEventListener("theme", () => this.draw(), { signal });
    document.addEventListener("visibilitychange", () => this.draw(), { signal });
    watch(this.name, {
      signal,
      begin: async () => {
        const { version } = await this.look();
        this.#series = new Series();
        this.#backlog = version;
        return Math.max(0, version - BACKLOG);
      },
      seen: (outcomes) => {
        const { last } = this.#series;
        this.#series.add(outcomes.slice(-CAPACITY));
        if (last === null || last.version < this.#backlog) this.suggest(this.#config);
        else this.#pace.add(this.#series.last.version, performance.now());
        this.draw();
      },
      state: (text, problem) => this.link(text, problem),
    });
    const again = async () => {
      if (!document.hidden && this.#config) await this.#lookAgain().catch(() => {});
      if (!signal.aborted) this.#looking = setTimeout(again, LOOK);
    };
    this.#looking = setTimeout(again, LOOK);
  }

  end() {
    this.#ending.abort();
    clearTimeout(this.#looking);
    clearTimeout(this.#frame);
    erase(this.parts.series, this.parts.losses);
  }

  /** The stream's status. */
  async look() {
    const status = await getJson(streamPath(this.name), { signal: this.signal });
    if (this.#config === null || status.fingerprint !== this.#status.fingerprint) this.configure(status.config);
    this.#status = status;
    this.#pace.add(status.version, performance.now());
    this.draw();
    return status;
  }

  /** Fetch the status again if events have come since. */
  async #lookAgain() {
    if (this.#series.last === null || this.#series.last.version > this.#status.version) await this.look();
    else this.#pace.add(this.#status.version, performance.now());
    this.draw();
  }

  configure(config) {
    const { parts } = this;
    const symbols = Boolean(config.alphabet);
    this.#config = config;
    parts.body.hidden = false;
    parts.target.replaceChildren(...config.targets.map((target) => element("option", { value: target }, target)));
    parts["target-label"].hidden = parts["anomaly-note"].hidden = config.targets.length < 2;
    parts["horizon-label"].hidden = symbols;
    say(parts.title, symbols ? "Probability given to what came" : "Predicted before it was known");
    say(parts["loss-title"], symbols ? "Bits per symbol" : "Loss against persistence");
    say(parts["loss-note"], symbols
      ? `Running means over ${MEAN_OF} events. The baseline knows only how frequent each symbol is.`
      : `Running means over ${MEAN_OF} events: the squared error, divided by the mean square of the series' own ` +
        "changes. Persistence predicts the last value.");
    parts.config.textContent = JSON.stringify(config, null, 2);
    this.suggest(config);
  }

  link(text, problem) {
    const { link, notice, state } = this.parts;
    const gone = problem?.status === 404;
    link.dataset.link = text;
    say(link, gone ? "waiting for the stream" : text);
    state.hidden = this.#config === null || gone;
    notice.hidden = !problem?.status;
    say(notice, gone ? "There is no stream with this name." : problem?.message ?? "");
  }

  /** Draw soon. Many calls become one drawing. */
  draw() {
    if (this.#frame !== null || this.signal.aborted) return;
    const wait = Math.max(0, this.#drawn + FRAME - performance.now());
    this.#frame = setTimeout(async () => {
      if (!document.hidden && this.#config) await this.#draw().catch((error) => this.#failed(error));
      this.#drawn = performance.now();
      this.#frame = null;
    }, wait);
  }

  #failed(error) {
    if (this.signal.aborted) return;
    this.parts.notice.hidden = false;
    say(this.parts.notice, error.message);
  }

  async #draw() {
    this.#drawTiles();
    const series = this.#series;
    if (this.#paused || series.last === null) {
      if (series.last === null) say(this.parts["series-note"], "No events yet: the chart begins with the first event.");
      return;
    }
    const { parts } = this;
    const colours = palette(css);
    const target = parts.target.value;
    const columns = series.columns(target, Number(parts.span.value));
    if (this.#config.alphabet) await this.#drawSymbols(columns, target, colours);
    else await this.#drawValues(columns, target, colours);
    const baseline = this.#config.alphabet ? "frequencies" : "persistence";
    const unit = this.#config.alphabet ? "bits per symbol" : "loss (1 = usual change)";
    await draw(parts.losses, lossFigure(columns, { baseline, unit, colours }));
    const [loss, other] = [columns.loss.at(-1), columns.baseline.at(-1)];
    parts.losses.setAttribute("aria-label", `Loss ${value(loss)}; loss of ${baseline} ${value(other)}`);
    this.#drawAnomalies(columns);
  }

  async #drawValues(columns, target, colours) {
    const { parts } = this;
    this.#forecast();
    // Steps whose events have come since the request are no longer a forecast.
    const steps = this.#ahead?.steps.slice(Math.max(0, this.#series.last.version - this.#ahead.after)) ?? [];
    const ahead = steps.length === 0 ? null : {
      x: this.#series.ahead(steps.length),
      ...Object.fromEntries(["mean", "lower", "upper"].map((of) => [of, steps.map((step) => step[of][target])])),
    };
    await draw(parts.series, seriesFigure(columns, { name: target, anomalies: ANOMALY, ahead, colours }));
    const zoom = matchMedia("(pointer: coarse)").matches ? "" : " Drag to zoom, double-click to go back.";
    const refused = Number(parts.horizon.value) === this.#refused ? ` No forecast: ${this.#why}.` : "";
    const inputs = this.#config.inputs?.length && ahead ? " The forecast is made without future inputs." : refused;
    say(parts["series-note"],
      `The last ${count(columns.x.length)} events${ahead ? "; the forecast follows the dashed line" : ""}.` +
      `${zoom}${inputs}`);
    parts.series.setAttribute("aria-label",
      `${target}: newest actual value ${value(columns.actual.at(-1))}, predicted ${value(columns.predicted.at(-1))}`);
  }

  async #drawSymbols(columns, target, colours) {
    const { parts } = this;
    const given = { ...columns, predicted: columns.actual.map((seen, i) => columns.predicted[i]?.[seen] ?? null) };
    const options = { seen: columns.actual, anomalies: ANOMALY, colours };
    await draw(parts.series, symbolFigure(given, options));
    const next = Object.entries(this.#series.last.next?.[target] ?? {}).sort(([, a], [, b]) => b - a).slice(0, 5);
    say(parts["series-note"], next.length
      ? `Next: ${next.map(([symbol, share]) => `${symbol} ${percent(share)}`).join(", ")}.`
      : `The last ${count(columns.x.length)} events.`);
    parts.series.setAttribute("aria-label",
      `Newest symbol ${columns.actual.at(-1)}, predicted with probability ${value(given.predicted.at(-1))}`);
  }

  /** Request a forecast, at most every FORECAST milliseconds; it is drawn when it arrives. */
  async #forecast() {
    const horizon = Number(this.parts.horizon.value);
    const { last } = this.#series;
    const now = performance.now();
    if (horizon === 0 || horizon === this.#refused || now - this.#asked < FORECAST) return;
    if (this.#ahead?.after === last.version) return;
    this.#asked = now;
    const path = streamPath(this.name, "forecast");
    const unknown = Object.fromEntries((this.#config.inputs ?? []).map((input) => [input, null]));
    try {
      const { version, steps } = this.#config.inputs?.length
        ? await sendJson(path, JSON.stringify({ x: Array(horizon).fill(unknown) }), { signal: this.signal })
        : await getJson(`${path}?horizon=${horizon}`, { signal: this.signal });
      if (horizon === Number(this.parts.horizon.value)) this.#ahead = { after: version, steps };
    } catch (error) {
      this.#ahead = null;
      if (![400, 413, 422].includes(error.status)) return; // the state of the connection shows these errors
      this.#refused = horizon;
      this.#why = error.message;
    }
    this.draw();
  }

  #drawTiles() {
    const { recent, version, update_seconds: update, pending } = this.#status;
    // A service that has just started remembers fewer events than are shown here.
    const { skill, coverage } = recent.events < this.#series.scored ? this.#series : recent;
    const newest = Math.max(version, this.#series.last?.version ?? 0);
    const texts = [
      count(newest) + (pending ? ` + ${count(pending)} waiting` : ""),
      rate(this.#pace.perSecond),
      percent(skill),
      percent(coverage),
      duration(update),
      score(this.#series.last?.anomaly),
    ];
    this.tiles.forEach((tile, i) => say(tile, texts[i]));
    const [kind, text] = stateOf(this.#pace, recent);
    this.parts.state.dataset.state = kind;
    say(this.parts.state, text);
  }

  #drawAnomalies({ timed, x, version, actual, predicted, anomaly }) {
    const { parts } = this;
    const places = x.map((_, i) => i).filter((i) => anomaly[i] > ANOMALY).slice(-ANOMALIES).reverse();
    const shown = places.map((i) => version[i]).join();
    parts["no-anomalies"].hidden = places.length > 0;
    parts.anomalies.hidden = places.length === 0;
    if (parts.anomalies.dataset.shown === `${shown} ${parts.target.value}`) return;
    parts.anomalies.dataset.shown = `${shown} ${parts.target.value}`;
    const number = (text) => element("td", { class: "number" }, text);
    const said = (one, i) => (typeof one === "object" && one !== null ? percent(one[actual[i]]) : value(one));
    say(parts.when, timed ? "Time (UTC)" : "Event");
    parts["anomaly-rows"].replaceChildren(...places.map((i) => element(
      "tr", {},
      element("td", {}, timed ? moment(x[i]) : count(version[i])),
      number(typeof actual[i] === "string" ? actual[i] : value(actual[i])),
      number(said(predicted[i], i)),
      number(score(anomaly[i])),
    )));
  }
}
