/** The architecture as a grid of checkboxes, a row a layer, a column a module. Arrow keys move, Space toggles. */

import { withModule } from "./architecture.js";
import { byId, el } from "./dom.js";

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function showGrid(store, edit) {
  const grid = byId("grid");
  let cells = []; // checkboxes by layer and module
  let drawn = ""; // space and depth that they are of

  store.watch(["architecture"], ({ architecture, spaces }) => {
    if (!architecture) return;
    const space = spaces[architecture.space];
    const wanted = `${space.name} ${architecture.layers.length}`;
    if (drawn !== wanted) {
      const held = grid.contains(document.activeElement);
      draw(space, architecture.layers.length);
      drawn = wanted;
      if (held) cells[0][0].focus();
    }
    cells.forEach((row, layer) =>
      row.forEach((box, i) => (box.checked = architecture.layers[layer].includes(space.modules[i]))),
    );
  });

  function draw(space, depth) {
    const slots = space.slots[depth];
    cells = slots.map((_, layer) => space.modules.map((module) => cell(space, layer, module)));
    cells[0][0].tabIndex = 0;
    grid.replaceChildren(head(space), el("tbody", {}, ...cells.map((row, layer) => line(row, layer, slots[layer]))));
  }

  function cell(space, layer, module) {
    const change = (event) => edit(withModule(store.state.architecture, layer, module, event.target.checked, space));
    const name = `layer ${layer + 1}, module ${module}`;
    return el("input", { type: "checkbox", tabindex: "-1", "aria-label": name, onchange: change });
  }

  function moveFrom(row, column, event) {
    if (event.altKey || event.metaKey) return;
    const last = cells[row].length - 1;
    const [down, right] = MOVES[event.key] ?? [0, 0];
    let to = [row + down, column + right];
    if (event.key === "Home") to = [event.ctrlKey ? 0 : row, 0];
    else if (event.key === "End") to = [event.ctrlKey ? cells.length - 1 : row, last];
    else if (event.ctrlKey || (!down && !right)) return;
    event.preventDefault();
    cells[to[0]]?.[to[1]]?.focus();
  }

  function place(box) {
    const row = cells.findIndex((boxes) => boxes.includes(box));
    return [row, cells[row]?.indexOf(box)];
  }

  grid.addEventListener("keydown", (event) => {
    const [row, column] = place(event.target);
    if (row >= 0) moveFrom(row, column, event);
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says what is drawn, not where one is
    grid.focus();
  });
  // One stop for the Tab key: the cell that was last in use.
  grid.addEventListener("focusin", (event) => {
    if (place(event.target)[0] < 0) return;
    for (const box of cells.flat()) box.tabIndex = box === event.target ? 0 : -1;
  });
}

function head({ modules, fixed_graph_modules: fixed, dynamic_graph_modules: dynamic }) {
  const group = (text, span) => el("th", { scope: "colgroup", colspan: span, class: "group" }, text);
  return el(
    "thead",
    {},
    el("tr", {}, el("td"), group("fixed graph", fixed.length), group("dynamic graph", dynamic.length)),
    el("tr", {}, el("td"), ...modules.map((module) => el("th", { scope: "col" }, module))),
  );
}

function line(boxes, layer, slot) {
  const heading = el("th", { scope: "row" }, `${layer + 1}`, el("span", { class: "slot" }, ` slot ${slot}`));
  return el("tr", {}, heading, ...boxes.map((box) => el("td", {}, box)));
}
