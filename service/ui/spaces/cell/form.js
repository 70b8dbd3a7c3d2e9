/** The cell as a table of selects: a row a node or an edge. */

import { el } from "../../dom.js";
import { allowedOperations, INPUT, placeName, sourceName, withLink, withOperation } from "./architecture.js";

/** Build the form; returns its element and the function that shows an architecture. */
export function buildForm(space, edit) {
  const { operations, nodes, edges } = space.editor;
  const n = nodes ?? edges.length;
  let shown = null; // architecture

  const operationSelects = Array.from({ length: n }, (_, i) => {
    const name = `${placeName(i, space)}, operation`;
    return select(name, operations, operations, (operation) => edit(withOperation(shown, i, operation)));
  });
  const linkSelects = Array.from({ length: nodes ?? 0 }, (_, i) => {
    const sources = Array.from({ length: i + 1 }, (_, source) => source);
    const change = (source) => edit(withLink(shown, i, Number(source)));
    return select(`node ${i + 1}, input`, sources, sources.map(sourceName), change);
  });

  const rows = operationSelects.map((operation, i) => {
    // The first node has no choice of its input.
    const link = nodes === undefined ? [] : [el("td", {}, i ? linkSelects[i] : INPUT)];
    const heading = edges ? edges[i].join(" \u2192 ") : String(i + 1);
    return el("tr", {}, el("th", { scope: "row" }, heading), ...link, el("td", {}, operation));
  });
  const headings = edges ? ["edge", "operation"] : ["node", "input", "operation"];
  const head = el("tr", {}, ...headings.map((text) => el("th", { scope: "col" }, text)));
  const name = edges ? "Operations by edge" : "Inputs and operations by node";
  const element = el("table", { class: "cell-form", "aria-label": name }, el("thead", {}, head), el("tbody", {}, ...rows));

  function show(architecture, settings) {
    shown = architecture;
    const allowed = allowedOperations(space.editor, settings);
    for (const option of operationSelects.flatMap(({ options }) => [...options])) {
      option.disabled = !allowed.includes(option.value);
    }
    operationSelects.forEach((box, i) => (box.value = architecture.ops[i]));
    linkSelects.forEach((box, i) => (box.value = String(architecture.link[i])));
  }
  return { element, show };
}

function select(name, values, texts, onChange) {
  const options = values.map((value, i) => el("option", { value: String(value) }, texts[i]));
  return el("select", { "aria-label": name, onchange: ({ target }) => onChange(target.value) }, ...options);
}
