/** Elements made of text and attributes: text of a server is never parsed as markup. */

import { ConnectionError } from "./api.js";

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** HTML element. Attributes that begin with `on` are listeners; true and false set and remove an attribute. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** SVG element, with attributes as for `el`. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG_NAMESPACE, name), attributes, children);
}

/** The element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Replace the children; the focus moves to the new element with the same `data-focus-key`. */
export function replaceKeepingFocus(container, ...children) {
  const key = container.contains(document.activeElement) && document.activeElement.dataset.focusKey;
  container.replaceChildren(...children);
  if (key) container.querySelector(`[data-focus-key="${CSS.escape(key)}"]`)?.focus();
}

/** Show a problem's message in an element; null clears it. The banner shows connection errors. */
export function showProblem(element, problem) {
  const text = problem && !(problem instanceof ConnectionError) ? problem.message : "";
  element.hidden = !text;
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Table of text or elements, with a name for screen readers. The first cell of a row is its heading, the last extends to
 * the last column.
 */
export function table(name, headings, rows) {
  const cells = (contents) =>
    contents.map((content, i) => {
      const colspan = i === contents.length - 1 ? headings.length - contents.length : 1;
      return el("td", colspan > 1 ? { colspan } : {}, content);
    });
  return el(
    "table",
    { "aria-label": name },
    el("thead", {}, el("tr", {}, ...headings.map((text) => (text ? el("th", { scope: "col" }, text) : el("td"))))),
    el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...cells(rest)))),
  );
}

/** Announce a text to screen readers; it replaces the one before. */
export function announce(text) {
  byId("status").textContent = text;
}

/** Let the browser save a text as a file. */
export function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
