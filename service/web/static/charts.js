// Figures for plotly, made from columns. Nothing here uses the service or the document: reports share this file.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export const OPTIONS = { displayModeBar: false, responsive: true, showTips: false, doubleClick: "reset" };

/** The page's colours for charts; `css` returns the value of a CSS variable. */
export const palette = (css) =>
  Object.fromEntries(
    ["ink", "muted", "line", "surface", "accent", "band", "ahead", "alarm", "other"].map((n) => [n, css(`--${n}`)]),
  );

/** Actual values, predictions with their intervals, anomalies, and the forecast. */
export function seriesFigure(columns, { name, anomalies, ahead = null, colours }) {
  const { x, actual, predicted } = columns;
  const width = x.length > 1_500 ? 1 : 1.5;
  const sure = keep(columns, (i) => columns.lower[i] !== null && columns.upper[i] !== null);
  const odd = keep(columns, (i) => columns.anomaly[i] !== null && columns.anomaly[i] > anomalies && actual[i] !== null);
  const edge = { type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
  const data = [
    { ...edge, x: sure.x, y: sure.lower, showlegend: false },
    { ...edge, x: sure.x, y: sure.upper, fill: "tonexty", fillcolor: colours.band, name: "90 % interval" },
    {
      ...line(x, predicted, "predicted", colours.accent, width),
      text: columns.lower.map((lower, i) => (lower === null ? "" : ` (${brief(lower)} to ${brief(columns.upper[i])})`)),
      hovertemplate: "%{y:.5~g}%{text}",
    },
    line(x, actual, "actual", colours.ink, width),
    {
      type: "scatter", mode: "markers", x: odd.x, y: odd.actual, name: "anomaly",
      marker: { color: colours.alarm, size: 9, symbol: "circle-open", line: { width: 2 } },
      text: odd.anomaly.map((score) => score.toFixed(3)), hovertemplate: "score %{text}<extra>anomaly</extra>",
    },
  ];
  const shapes = [];
  if (ahead !== null && ahead.mean.some((value) => value !== null)) {
    const bounded = ahead.lower.every((value) => value !== null);
    if (bounded) {
      data.push(
        { ...edge, x: ahead.x, y: ahead.lower, showlegend: false },
        { ...edge, x: ahead.x, y: ahead.upper, fill: "tonexty", fillcolor: colours.ahead, showlegend: false },
      );
    }
    data.push({ ...line(ahead.x, ahead.mean, "forecast", colours.accent, 2), line: {
      color: colours.accent, width: 2, dash: "dot" } });
    shapes.push({
      type: "line", xref: "x", yref: "paper", x0: x.at(-1), x1: x.at(-1), y0: 0, y1: 1,
      line: { color: colours.muted, width: 1, dash: "dash" },
    });
  }
  return { data, layout: layout(columns.timed, name, colours, { shapes }) };
}

/** The probability that was predicted for each symbol that came. */
export function symbolFigure(columns, { seen, anomalies, colours }) {
  const odd = keep(columns, (i) => columns.anomaly[i] !== null && columns.anomaly[i] > anomalies);
  const data = [
    {
      ...line(columns.x, columns.predicted, "probability of the symbol seen", colours.accent, 1),
      mode: "lines+markers", marker: { color: colours.accent, size: 4 },
      text: seen.map(literal), hovertemplate: "%{text}: %{y:.3f}<extra></extra>",
    },
    {
      type: "scatter", mode: "markers", x: odd.x, y: odd.predicted, name: "anomaly", hoverinfo: "skip",
      marker: { color: colours.alarm, size: 9, symbol: "circle-open", line: { width: 2 } },
    },
  ];
  const made = layout(columns.timed, "probability", colours, {});
  made.yaxis.range = [0, 1.03];
  return { data, layout: made };
}

/** Running means of the loss and of the baseline's loss. */
export function lossFigure(columns, { baseline, unit, colours }) {
  const data = [
    { ...line(columns.x, columns.baseline, baseline, colours.other, 1.5) },
    { ...line(columns.x, columns.loss, "this stream", colours.accent, 2), fill: "tozeroy", fillcolor: colours.ahead },
  ];
  const made = layout(columns.timed, unit, colours, {});
  made.yaxis.rangemode = "tozero";
  return { data, layout: made };
}

const line = (x, y, name, color, width) => ({
  type: "scatter", mode: "lines", x, y, name, line: { color, width }, connectgaps: false,
  hovertemplate: "%{y:.5~g}",
});

/** The columns at the places where `test` is true. */
function keep(columns, test) {
  const places = columns.x.map((_, i) => i).filter(test);
  const of = (name) => places.map((i) => columns[name][i]);
  return Object.fromEntries(["x", "actual", "predicted", "lower", "upper", "anomaly"].map((n) => [n, of(n)]));
}

const brief = (number) => String(Number(number.toPrecision(4)));

/** Text that plotly shows letter by letter: it interprets some tags otherwise. */
const literal = (text) => text?.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const short = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);

function layout(timed, unit, colours, more) {
  const narrow = matchMedia("(max-width: 720px)").matches;
  const axis = {
    gridcolor: colours.line, linecolor: colours.line, zeroline: false, tickcolor: colours.line, ticks: "outside",
    tickfont: { size: 12 }, automargin: true,
  };
  return {
    autosize: true,
    margin: { l: 8, r: 12, t: 8, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: FONT, size: 12, color: colours.muted },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colours.surface, bordercolor: colours.line, font: { color: colours.ink, size: 12 } },
    legend: {
      orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", traceorder: "normal", font: { size: 12 },
    },
    uirevision: `${timed} ${unit}`,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: {
      ...axis, type: timed ? "date" : "linear", nticks: narrow ? 4 : 8, tickangle: 0,
      title: { text: timed ? "time (UTC)" : "event", font: { size: 12 }, standoff: 6 },
      ...(timed ? { hoverformat: "%Y-%m-%d %H:%M:%S" } : { tickformat: ",d" }),
    },
    yaxis: { ...axis, title: { text: short(unit), font: { size: 12 }, standoff: 8 }, separatethousands: true },
    ...more,
  };
}
