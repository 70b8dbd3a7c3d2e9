/** Elements made of text and attributes: nothing that a server says is ever read as markup. */

import { Unreachable } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes: `onclick` and the like listen, true and false say whether there is one. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** The element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Put other children in a place. Who is at one with `data-keep` stays at its successor. */
export function refill(place, ...children) {
  const kept = place.contains(document.activeElement) && document.activeElement.dataset.keep;
  place.replaceChildren(...children);
  if (kept) place.querySelector(`[data-keep="${CSS.escape(kept)}"]`)?.focus();
}

/** A problem in words, for the place that it concerns; none clears it. That the server is away the banner says. */
export function showProblem(place, problem) {
  const text = problem && !(problem instanceof Unreachable) ? problem.message : "";
  place.hidden = !text;
  if (place.textContent !== text) place.textContent = text;
}

/** A table of text or elements, with a name for those who cannot see it. The first cell of a row is its heading. */
export function table(name, headings, rows) {
  return el(
    "table",
    { "aria-label": name },
    el("thead", {}, el("tr", {}, ...headings.map((text) => (text ? el("th", { scope: "col" }, text) : el("td"))))),
    el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...cells(rest)))),
  );
}

/** Say it to those who cannot see it; the last word counts. */
export function announce(text) {
  byId("status").textContent = text;
}

function cells(contents) {
  return contents.map((content) => el("td", {}, content));
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
