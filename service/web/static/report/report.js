// A report. All its data is in the document.

import { lossFigure, OPTIONS, palette, seriesFigure } from "../charts.js";
import { css, element, parts } from "../dom.js";
import { count, duration, rate, value } from "../format.js";

const data = JSON.parse(document.getElementById("data").textContent);
const part = parts(document);

function drawCharts() {
  const view = data.views[Number(part.part.value)];
  const target = part.target.value;
  const colours = palette(css);
  const timed = { timed: data.timed };
  const drawn = { ...view.series[target], ...timed };
  const series = seriesFigure(drawn, { name: target, anomalies: data.anomaly, colours });
  const losses = lossFigure({ ...view.loss, ...timed }, {
    baseline: "persistence", unit: "loss (1 = usual change)", colours,
  });
  window.Plotly.react(part.series, series.data, series.layout, OPTIONS);
  window.Plotly.react(part.losses, losses.data, losses.layout, OPTIONS);
  const all = drawn.x.length === view.events;
  part["series-note"].textContent = all
    ? `All ${count(view.events)} events. A circle is an anomaly: a score above ${data.anomaly}.`
    : `${count(drawn.x.length)} of ${count(view.events)} events: of each stretch the lowest, the highest and the ` +
      `most anomalous are drawn. A circle is an anomaly: a score above ${data.anomaly}.`;
  part["loss-note"].textContent =
    `Running means over ${count(view.mean_of)} events: the squared error, divided by the mean square of the series' ` +
    "own changes. Persistence predicts the last value.";
}

function write() {
  document.title = `${data.stream} · NoBackTrack`;
  part.name.textContent = data.stream;
  const better = data.ratio === null ? "" : ` The error is ${value(data.ratio)} times that of persistence.`;
  part.lead.textContent = `${count(data.events)} events, each predicted before it was known and learnt from right ` +
    `after: ${duration(data.seconds)}, ${rate(data.events_per_second)} events/s.${better}`;
  const number = (label, text) => element("td", { class: "number", "data-label": label }, text);
  part.scores.replaceChildren(...Object.entries(data.targets).map(([name, score]) => element(
    "tr", {},
    element("th", { scope: "row" }, name),
    number("Events scored", count(score.scored)),
    number("Error (RMSE)", value(score.rmse)),
    number("Persistence (RMSE)", value(score.persistence_rmse)),
    number("Ratio", value(score.ratio)),
  )));
  const option = (text, chosen) => element("option", { value: chosen }, text);
  part.target.replaceChildren(...Object.keys(data.targets).map((name) => option(name, name)));
  part["target-label"].hidden = Object.keys(data.targets).length < 2;
  part.part.replaceChildren(...data.views.map((view, i) => option(view.name, String(i))));
  part["part-label"].hidden = data.views.length < 2;
  part.config.textContent = JSON.stringify(data.config, null, 2);
}

write();
drawCharts();
part.target.addEventListener("change", drawCharts);
part.part.addEventListener("change", drawCharts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
