// One line above everything, for what concerns the whole page.

import { say } from "./dom.js";

/** Say it; nothing for an empty text. */
export function banner(text) {
  const node = document.getElementById("banner");
  node.hidden = text === "";
  say(node, text);
}
