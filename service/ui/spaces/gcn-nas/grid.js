/** The architecture as a grid of checkboxes: a row a layer, a column a module. Arrow keys move, Space toggles. */

import { el } from "../../dom.js";
import { withModule } from "./architecture.js";

const DIRECTIONS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const HELP =
  "Arrow keys move, the space bar adds or removes a module. A slot is a layer's position in a network of ten layers.";

/** Add the grid to a container; returns the function that shows an architecture. */
export function mountGrid(container, space, edit) {
  const attributes = { id: "grid", role: "grid", "aria-label": "Modules by layer", "aria-describedby": "grid-help" };
  const grid = el("table", attributes);
  container.append(grid, el("p", { id: "grid-help", class: "muted" }, HELP));
  let shown = null; // architecture
  let cells = []; // checkboxes by layer and module

  function show(architecture) {
    shown = architecture;
    if (cells.length !== architecture.layers.length) {
      const hadFocus = grid.contains(document.activeElement);
      draw(architecture.layers.length);
      if (hadFocus) cells[0][0].focus();
    }
    cells.forEach((row, layer) =>
      row.forEach((box, i) => (box.checked = architecture.layers[layer].includes(space.modules[i]))),
    );
  }

  function draw(depth) {
    const slots = space.slots[depth];
    cells = slots.map((_, layer) => space.modules.map((module) => checkbox(layer, module)));
    cells[0][0].tabIndex = 0;
    const rows = cells.map((boxes, layer) => tableRow(boxes, layer, slots[layer], space));
    grid.replaceChildren(tableHead(space), el("tbody", {}, ...rows));
  }

  function checkbox(layer, module) {
    const toggle = (event) => edit(withModule(shown, layer, module, event.target.checked, space));
    const name = `layer ${layer + 1}, module ${module}`;
    return el("input", { type: "checkbox", tabindex: "-1", "aria-label": name, onchange: toggle });
  }

  function moveFocus(row, column, event) {
    if (event.altKey || event.metaKey) return;
    const lastColumn = cells[row].length - 1;
    const [down, right] = DIRECTIONS[event.key] ?? [0, 0];
    let target = [row + down, column + right];
    if (event.key === "Home") target = [event.ctrlKey ? 0 : row, 0];
    else if (event.key === "End") target = [event.ctrlKey ? cells.length - 1 : row, lastColumn];
    else if (event.ctrlKey || (!down && !right)) return;
    event.preventDefault();
    cells[target[0]]?.[target[1]]?.focus();
  }

  function position(box) {
    const row = cells.findIndex((boxes) => boxes.includes(box));
    return [row, cells[row]?.indexOf(box)];
  }

  grid.addEventListener("keydown", (event) => {
    const [row, column] = position(event.target);
    if (row >= 0) moveFocus(row, column, event);
  });
  // One stop of the Tab key: the cell that last had the focus.
  grid.addEventListener("focusin", (event) => {
    if (position(event.target)[0] < 0) return;
    for (const box of cells.flat()) box.tabIndex = box === event.target ? 0 : -1;
  });
  return show;
}

function tableHead({ modules, fixed_graph_modules: fixed, dynamic_graph_modules: dynamic }) {
  const group = (text, span) => el("th", { scope: "colgroup", colspan: span, class: "group" }, text);
  const heading = (module) => el("th", { scope: "col", class: gap(module, fixed) }, module);
  return el(
    "thead",
    {},
    el("tr", {}, el("td"), group("fixed graph", fixed.length), group("dynamic graph", dynamic.length)),
    el("tr", {}, el("td"), ...modules.map(heading)),
  );
}

function tableRow(boxes, layer, slot, { modules, fixed_graph_modules: fixed }) {
  const heading = el("th", { scope: "row" }, `${layer + 1}`, el("span", { class: "detail" }, ` slot ${slot}`));
  return el("tr", {}, heading, ...boxes.map((box, i) => el("td", { class: gap(modules[i], fixed) }, box)));
}

/** Class of the column that ends a group. */
function gap(module, group) {
  return module === group.at(-1) ? "gap" : "";
}
