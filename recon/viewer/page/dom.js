/** Building of the page's elements. */

/**
 * Create an element.
 * @param {string} tag Name of the tag; `svg:` before it for drawings.
 * @param {Record<string, unknown>} [attributes] `on…` are listeners, `class` and others attributes; false leaves one out.
 * @param {...(Node|string|null)} children
 */
export function element(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let count = 0;

/** Label above or beside a control. */
export function labelled(text, control, hint = "") {
  control.id ||= `control-${++count}`;
  return element("div", { class: "field" }, element("label", { for: control.id, title: hint || false }, text), control);
}

/** Choice from a list; `options` are [value, text] pairs. */
export function select(options, onchange) {
  const node = element("select", { onchange: () => onchange(node.value) });
  setOptions(node, options);
  return node;
}

/** Replace the options of a list, unless they are the same. */
export function setOptions(node, options, value = node.value) {
  const key = JSON.stringify(options);
  if (node.dataset.options !== key) {
    node.dataset.options = key;
    node.replaceChildren(...options.map(([id, text]) => element("option", { value: id }, text)));
  }
  node.value = value;
}

/** Box to tick. */
export function checkbox(text, onchange, hint = "") {
  const box = element("input", { type: "checkbox", onchange: () => onchange(box.checked) });
  const node = element("label", { class: "check", title: hint || false }, box, text);
  return Object.assign(node, { box });
}

/** Button with text. */
export const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);

const ICONS = {
  maximise: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  picture: "M2 4h3l1-1.5h4L11 4h3v9H2zM8 6.2a2.4 2.4 0 1 0 0 4.8a2.4 2.4 0 1 0 0-4.8",
  reset: "M3 8a5 5 0 1 0 1.6-3.7M3 2.2v3h3",
};

/** Button with a drawing; its label is read aloud and shown as hint. */
export function iconButton(icon, label, onclick) {
  const path = element("svg:path", { d: ICONS[icon], fill: "none", stroke: "currentColor", "stroke-width": 1.4 });
  const drawing = element("svg:svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, path);
  return element("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, drawing);
}

/** Offer a file to save. */
export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
