/** Editor of cells: selects of links and operations beside a drawing. */

import { el } from "../../dom.js";
import { allowedOperations, describe, parse, read, serialize } from "./architecture.js";
import { diagram } from "./diagram.js";
import { buildForm } from "./form.js";

export const cell = {
  read,
  serialize,
  parse,
  describe,
  picture: (architecture, space) => [
    diagram(architecture, space, describe(architecture, space)),
    el("p", { class: "muted", "aria-hidden": "true" }, shortText(architecture)),
  ],
  inWords: (text) => text,
  describeMutation,
  fixed: () => ({}),
  allows: ({ ops }, { editor }, settings) => ops.every((name) => allowedOperations(editor, settings).includes(name)),
  mount,
};

function mount({ container, space, edit }) {
  const form = buildForm(space, edit);
  const drawing = el("div", { class: "drawing" });
  const canonical = el("p", { class: "muted", id: "canonical-form" });
  container.append(el("div", { class: "cell-editor" }, form.element, drawing), canonical);

  let shown = null; // architecture

  function show(architecture, settings) {
    shown = architecture;
    form.show(architecture, settings);
    drawing.replaceChildren(diagram(architecture, space, describe(architecture, space)));
    canonical.textContent = "";
  }

  /** The server's notation of the shown architecture, where several cells are the same network. */
  function showCanonical(architecture) {
    const readable = read(architecture, space);
    const differs = readable && shortText(readable) !== shortText(shown);
    canonical.textContent = differs ? `The same network in canonical form: ${describe(readable, space)}.` : "";
  }
  return { show, showCanonical };
}

/** The changed operation, or the new cell. */
function describeMutation({ node, edge, from, to, ...cell }) {
  if (node !== undefined) return `node ${node}: ${from} \u2192 ${to}`;
  return edge === undefined ? shortText(cell) : `edge ${edge}: ${from} \u2192 ${to}`;
}

/** The architecture in one line. */
function shortText({ link, ops }) {
  return [...(link ? [link.join("")] : []), ops.join(" ")].join(" \u00b7 ");
}
