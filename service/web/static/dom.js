// The document: parts by name, text as text.

/** What is below `root`, by its `data-part`. */
export const parts = (root) =>
  Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));

/** A copy of a template's content in `root`, and its parts. */
export function show(root, template) {
  root.replaceChildren(document.getElementById(template).content.cloneNode(true));
  return parts(root);
}

/** A new element; what it contains is text or other elements, never markup. */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...content);
  return made;
}

/** Set text only where it is another one, so that a screen reader is not told twice. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const probe = element("span", { hidden: "" });

/** The colour that a CSS variable is now, light or dark. */
export function css(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}
