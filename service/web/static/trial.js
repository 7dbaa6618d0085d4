// The form that sends one event.

import { sendJson, streamPath } from "./api.js";
import { duration } from "./format.js";

/** An example event for the stream: its newest event one step later, or zeros. */
function example(config, series) {
  const { last } = series;
  const first = config.alphabet?.[0] ?? 0;
  const measured = (name) => last?.y[name] ?? first;
  const event = { y: Object.fromEntries(config.targets.map((name) => [name, measured(name)])) };
  if (config.inputs?.length) event.x = Object.fromEntries(config.inputs.map((name) => [name, 0]));
  return series.timed ? { time: new Date(series.ahead(1)[0]).toISOString(), ...event } : event;
}

/** Let the form of a view send events. Returns a function that fills in an example, unless the user has edited it. */
export function trial(stream, parts, signal, series) {
  let config = null;
  let suggested = "";

  const fill = () => {
    if (config) parts.event.value = suggested = JSON.stringify(example(config, series()), null, 2);
  };

  function answer(kind, text, body) {
    parts.answer.hidden = false;
    parts["answer-line"].dataset.kind = kind;
    parts["answer-line"].textContent = text;
    parts["answer-body"].textContent = body;
    parts["answer-body"].parentElement.hidden = body === "";
  }

  parts.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      JSON.parse(parts.event.value);
    } catch (error) {
      answer("refused", `This is not JSON: ${error.message}`, "");
      return;
    }
    parts.send.disabled = true;
    const start = performance.now();
    try {
      const outcome = await sendJson(streamPath(stream, "events"), parts.event.value, { signal });
      const seconds = (performance.now() - start) / 1000;
      const what = outcome.pending ? "Predicted; it waits for its label" : `Learnt, version ${outcome.version}`;
      answer("learnt", `${what}. Round trip ${duration(seconds)}.`, JSON.stringify(outcome, null, 2));
    } catch (problem) {
      if (signal.aborted) return;
      const field = problem.field ? ` (${problem.field})` : "";
      const title = problem.title ? `${problem.title}${field}: ` : "";
      answer("refused", `${title}${problem.message}`, "");
    } finally {
      parts.send.disabled = false;
    }
  });
  parts.refill.addEventListener("click", fill);
  return (known) => {
    config = known;
    if (parts.event.value === suggested) fill();
  };
}
