// Numbers and times as people read them.

const DASH = "–";

/** A measurement with four significant digits, or more for large numbers. */
export function value(number) {
  if (number === null || number === undefined || !Number.isFinite(number)) return DASH;
  const size = Math.abs(number);
  if (size !== 0 && (size >= 1e7 || size < 1e-3)) return number.toExponential(2);
  const digits = size >= 1000 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(size || 1)));
  return number.toLocaleString("en", { maximumFractionDigits: digits });
}

export const count = (number) => number.toLocaleString("en");

export const percent = (share) =>
  share === null || share === undefined ? DASH : `${(100 * share).toFixed(0).replace("-", "−")} %`;

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return DASH;
  return perSecond === 0 ? "0" : perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds < 1e-3) return `${(1e6 * seconds).toFixed(0)} µs`;
  return seconds < 1 ? `${(1e3 * seconds).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

/** An anomaly score, with three digits after the point: only values near 1 matter. */
export const score = (number) => (number === null || number === undefined ? DASH : number.toFixed(3));

/** A time in UTC, to the second. */
export const moment = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ");
