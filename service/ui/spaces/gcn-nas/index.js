/** Editor of the `gcn-nas` space: a grid of modules by layer, and the number of layers. */

import { el, svg } from "../../dom.js";
import { describe, parse, serialize, withDepth } from "./architecture.js";
import { mountGrid } from "./grid.js";

const CELL_PX = 10;

export const gcnNas = {
  read: ({ layers }, { name }) => (layers ? { space: name, layers } : null),
  serialize,
  parse,
  describe,
  picture,
  inWords: (text) => text.replace(/\blayers\[(\d+)\]/g, (_, layer) => `layer ${Number(layer) + 1}`),
  describeMutation({ layer, module, action }) {
    return action === "add" ? `add ${module} to layer ${layer + 1}` : `remove ${module} from layer ${layer + 1}`;
  },
  fixed: ({ layers }) => ({ depth: layers.length }),
  mount,
};

function mount({ container, controls, space, edit }) {
  let shown = null; // architecture
  let memory = new Map(); // layers by slot, of the depths shown before
  let isEditing = false;

  function editHere(architecture) {
    isEditing = true;
    edit(architecture);
    isEditing = false;
  }

  const changeDepth = ({ target }) => editHere(withDepth(shown, Number(target.value), space, memory));
  const depths = space.depths.map((number) => el("option", {}, String(number)));
  const depth = el("select", { onchange: changeDepth }, ...depths);
  controls.append(el("label", {}, "Layers ", depth));
  const showGrid = mountGrid(container, space, editHere);

  function show(architecture) {
    if (!isEditing) memory = new Map(); // replaced, not edited here
    shown = architecture;
    depth.value = String(architecture.layers.length);
    space.slots[architecture.layers.length].forEach((slot, i) => memory.set(slot, architecture.layers[i]));
    showGrid(architecture);
  }
  return { show };
}

/** The grid as a small picture, with the height of the deepest architecture: pictures side by side line up. */
function picture(architecture, space) {
  const { modules, depths } = space;
  const cells = architecture.layers.flatMap((layer, y) =>
    modules.map((module, x) => {
      const state = layer.includes(module) ? "on" : "off";
      return svg("rect", { x: x * CELL_PX, y: y * CELL_PX, width: CELL_PX - 2, height: CELL_PX - 2, class: state });
    }),
  );
  const size = { width: modules.length * CELL_PX, height: Math.max(...depths) * CELL_PX };
  return [svg("svg", { ...size, role: "img", "aria-label": describe(architecture) }, ...cells)];
}
