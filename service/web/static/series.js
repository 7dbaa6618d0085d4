// The newest events of a stream and their outcomes, at most CAPACITY.

export const CAPACITY = 2_000;
export const MEAN_OF = 100; // events in a running mean
export const ANOMALY = 0.99; // on noise a higher score comes once in a hundred windows (model/scores/anomaly.py)

/** The data that the charts are drawn from. */
export class Series {
  rows = [];

  get last() {
    return this.rows.at(-1) ?? null;
  }

  /** Append outcomes. Those that are known already are skipped. */
  add(outcomes) {
    for (const outcome of outcomes) {
      if (this.last && outcome.version <= this.last.version) continue;
      this.rows.push({ ...outcome, at: outcome.time === null ? null : Date.parse(outcome.time) });
    }
    if (this.rows.length > CAPACITY) this.rows.splice(0, this.rows.length - CAPACITY);
  }

  /** Whether time can be the axis: every event has a time, and times never go back. */
  get timed() {
    const { rows } = this;
    return rows.length > 0 && rows.every((row, i) => row.at !== null && (i === 0 || row.at >= rows[i - 1].at));
  }

  /** How many of the events have a loss. */
  get scored() {
    return this.rows.filter((row) => row.loss !== null).length;
  }

  /** 1 - √(loss/baseline) over these events: 0 equals persistence, 1 is perfect; null without scored events. */
  get skill() {
    const scored = this.rows.filter((row) => row.loss !== null && row.baseline_loss !== null);
    const [loss, baseline] = ["loss", "baseline_loss"].map((of) => scored.reduce((sum, row) => sum + row[of], 0));
    return baseline > 0 ? 1 - Math.sqrt(loss / baseline) : null;
  }

  /** Share of the measurements inside their interval. */
  get coverage() {
    let [inside, judged] = [0, 0];
    for (const { y, lower, upper } of this.rows) {
      for (const [target, actual] of Object.entries(y)) {
        if (actual === null || (lower[target] ?? null) === null) continue;
        judged += 1;
        if (lower[target] <= actual && actual <= upper[target]) inside += 1;
      }
    }
    return judged ? inside / judged : null;
  }

  /** Columns of the newest `count` rows for one target; `x` is milliseconds or versions. */
  columns(target, count) {
    const { timed } = this;
    const rows = this.rows.slice(-count);
    const of = (field) => rows.map((row) => row[field]?.[target] ?? null);
    const means = (field) => runningMean(this.rows.map((row) => row[field]), MEAN_OF).slice(-count);
    return {
      timed,
      version: rows.map((row) => row.version),
      x: rows.map((row) => (timed ? row.at : row.version)),
      actual: of("y"),
      predicted: of("prediction"),
      lower: of("lower"),
      upper: of("upper"),
      anomaly: rows.map((row) => row.anomaly),
      loss: means("loss"),
      baseline: means("baseline_loss"),
    };
  }

  /** The x of the `steps` after the newest event, at the median distance of recent events. */
  ahead(steps) {
    const rows = this.rows.slice(-50);
    const { timed, last } = this;
    const gaps = rows.slice(1).map((row, i) => row.at - rows[i].at).sort((a, b) => a - b);
    const step = timed ? gaps[gaps.length >> 1] ?? 1000 : 1;
    return Array.from({ length: steps }, (_, i) => (timed ? last.at : last.version) + (i + 1) * step);
  }
}

/** Running means over the last `width` values, without missing ones; null before the first value. */
export function runningMean(values, width) {
  const means = [];
  let [sum, there] = [0, 0];
  values.forEach((value, i) => {
    if (value !== null) [sum, there] = [sum + value, there + 1];
    const old = i >= width ? values[i - width] : null;
    if (old !== null) [sum, there] = [sum - old, there - 1];
    means.push(there ? Math.max(0, sum / there) : null);
  });
  return means;
}
