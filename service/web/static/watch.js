// Server-sent events read with fetch, because the browser's own EventSource cannot send a key.

import { Problem, request, streamPath } from "./api.js";

const SILENCE = 40_000; // milliseconds; the service sends at least a comment every 15 s
const FIRST_WAIT = 400;
const LONGEST_WAIT = 5_000;

/** Turns text into events; a piece of text may end anywhere. */
export class EventReader {
  #rest = "";
  #event = { kind: "message", data: [], id: null };

  *read(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line) {
        this.#field(line);
        continue;
      }
      const { kind, data, id } = this.#event;
      if (data.length) yield { kind, data: data.join("\n"), id };
      this.#event = { kind: "message", data: [], id: null };
    }
  }

  #field(line) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "data") this.#event.data.push(value);
    else if (name === "event") this.#event.kind = value;
    else if (name === "id") this.#event.id = value;
  }
}

/**
 * Follow a stream until `signal` is aborted. A connection that ends is opened again, after the last version seen.
 *
 * `begin()` resolves to the version to begin after; it is called again when the stream has gone back. `seen(outcomes)`
 * gets the outcomes, a batch at a time. `state(text, problem)` gets the state of the connection.
 */
export async function watch(stream, { signal, begin, seen, state }) {
  let after = null;
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    try {
      after ??= await begin();
      for await (const { kind, data } of events(stream, after, signal, () => state("live"))) {
        const outcomes = data.map((one) => JSON.parse(one));
        if (kind === "problem") throw new Problem(outcomes[0].status, outcomes[0].detail);
        const version = outcomes.at(-1).version;
        if (kind === "gap" && version < after) {
          after = null;
          break;
        }
        after = version;
        wait = FIRST_WAIT;
        if (kind === "message") seen(outcomes);
      }
      if (after !== null) throw new Problem(0, "The service has closed the connection.");
    } catch (error) {
      if (signal.aborted) return;
      const problem = error instanceof Problem ? error : new Problem(0, "The connection was lost.");
      if (problem.status === 404) after = null;
      state("reconnecting", problem);
      await pause(Math.max(wait, 1000 * (problem.retryAfter ?? 0)), signal);
      wait = Math.min(LONGEST_WAIT, 2 * wait);
    }
  }
}

/** The events of one connection; events of one kind that arrive together are one batch. */
async function* events(stream, after, signal, opened) {
  const ending = new AbortController();
  const end = () => ending.abort();
  signal.addEventListener("abort", end);
  let silence = setTimeout(end, SILENCE);
  try {
    const response = await request(streamPath(stream, "live"), {
      headers: { "Last-Event-ID": String(after), Accept: "text/event-stream" },
      signal: ending.signal,
    });
    opened();
    const reader = new EventReader();
    const bytes = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await bytes.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE);
      let batch = null;
      for (const { kind, data } of reader.read(value)) {
        if (batch && batch.kind !== kind) {
          yield batch;
          batch = null;
        }
        batch ??= { kind, data: [] };
        batch.data.push(data);
      }
      if (batch) yield batch;
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", end);
    end();
  }
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
