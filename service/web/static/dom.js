// Access to the document: elements by name, text that is never markup.

/** The elements below `root` that have a `data-part`, by its value. */
export const parts = (root) =>
  Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));

/** Put a copy of a template's content into `root`. Returns its parts. */
export function show(root, template) {
  root.replaceChildren(document.getElementById(template).content.cloneNode(true));
  return parts(root);
}

/** A new element. Its content is text or other elements, never markup. */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...content);
  return made;
}

/** Set a text only when it differs, so that a screen reader does not read it twice. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const probe = element("span", { hidden: "" });

/** The present colour of a CSS variable, light or dark. */
export function css(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}
