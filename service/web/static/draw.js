// plotly.js, loaded when the first chart is drawn: the list of streams does not need it.

import { OPTIONS } from "./charts.js";

let loading = null;

/** The library. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector('meta[name="plotly"]').content;
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      loading = null;
      script.remove();
      reject(new Error("The charts cannot be loaded: plotly.js did not arrive."));
    });
    document.head.append(script);
  });
  return loading;
}

/** Draw a figure in a node, or update the one that is there. */
export async function draw(node, { data, layout }) {
  const library = await plotly();
  if (node.isConnected) await library.react(node, data, layout, OPTIONS);
}

/** Free the memory of the charts in these nodes. */
export function erase(...nodes) {
  if (window.Plotly) for (const node of nodes) window.Plotly.purge(node);
}
