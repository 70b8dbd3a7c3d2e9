/** The architecture as a grid of checkboxes: a row a layer, a column a module. Arrow keys move, Space toggles. */

import { withModule } from "./architecture.js";
import { byId, el } from "./dom.js";

const DIRECTIONS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function mountGrid(store, edit) {
  const grid = byId("grid");
  let cells = []; // checkboxes by layer and module
  let layout = ""; // space and depth of the cells

  store.watch(["architecture"], ({ architecture, spaces }) => {
    if (!architecture) return;
    const space = spaces[architecture.space];
    const newLayout = `${space.name} ${architecture.layers.length}`;
    if (layout !== newLayout) {
      const hadFocus = grid.contains(document.activeElement);
      draw(space, architecture.layers.length);
      layout = newLayout;
      if (hadFocus) cells[0][0].focus();
    }
    cells.forEach((row, layer) =>
      row.forEach((box, i) => (box.checked = architecture.layers[layer].includes(space.modules[i]))),
    );
  });

  function draw(space, depth) {
    const slots = space.slots[depth];
    cells = slots.map((_, layer) => space.modules.map((module) => checkbox(space, layer, module)));
    cells[0][0].tabIndex = 0;
    const rows = cells.map((boxes, layer) => tableRow(boxes, layer, slots[layer]));
    grid.replaceChildren(tableHead(space), el("tbody", {}, ...rows));
  }

  function checkbox(space, layer, module) {
    const toggle = (event) => edit(withModule(store.state.architecture, layer, module, event.target.checked, space));
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
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the URL fragment holds the architecture
    grid.focus();
  });
  // One stop of the Tab key: the cell that last had the focus.
  grid.addEventListener("focusin", (event) => {
    if (position(event.target)[0] < 0) return;
    for (const box of cells.flat()) box.tabIndex = box === event.target ? 0 : -1;
  });
}

function tableHead({ modules, fixed_graph_modules: fixed, dynamic_graph_modules: dynamic }) {
  const group = (text, span) => el("th", { scope: "colgroup", colspan: span, class: "group" }, text);
  return el(
    "thead",
    {},
    el("tr", {}, el("td"), group("fixed graph", fixed.length), group("dynamic graph", dynamic.length)),
    el("tr", {}, el("td"), ...modules.map((module) => el("th", { scope: "col" }, module))),
  );
}

function tableRow(boxes, layer, slot) {
  const heading = el("th", { scope: "row" }, `${layer + 1}`, el("span", { class: "slot" }, ` slot ${slot}`));
  return el("tr", {}, heading, ...boxes.map((box) => el("td", {}, box)));
}
