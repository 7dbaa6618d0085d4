// How many events a stream learns per second, from its versions over time.

const WINDOW = 12_000;
const IDLE_AFTER = 10_000;

/** The newest versions and the time when each was seen. */
export class Pace {
  #seen = []; // {version, at}
  #moved = null;

  add(version, at) {
    const last = this.#seen.at(-1);
    if (last && version !== last.version) this.#moved = at;
    this.#seen.push({ version, at });
    while (this.#seen.length > 2 && at - this.#seen[1].at > WINDOW) this.#seen.shift();
  }

  /** Events per second in the last WINDOW milliseconds; null before two versions are known. */
  get perSecond() {
    if (this.#seen.length < 2) return null;
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    return (1000 * Math.max(0, last.version - first.version)) / Math.max(1, last.at - first.at);
  }

  /** Whether anything was learnt in the last ten seconds. */
  get moving() {
    return this.#moved !== null && performance.now() - this.#moved < IDLE_AFTER;
  }
}

/** [kind, text] of a stream's state. */
export function stateOf(pace, recent) {
  if (recent?.drift) return ["drift", "drift"];
  return pace.moving ? ["learning", "learning"] : ["idle", "idle"];
}
