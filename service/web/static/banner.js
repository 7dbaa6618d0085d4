// One line at the top, for messages about the whole page.

import { say } from "./dom.js";

/** Show `text`, or hide the line when it is empty. */
export function banner(text) {
  const node = document.getElementById("banner");
  node.hidden = text === "";
  say(node, text);
}
