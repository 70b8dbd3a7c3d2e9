/** What stands around the grid: number of layers, presets, undo and redo. */

import { withDepth } from "./architecture.js";
import { wasAborted } from "./api.js";
import { announce, byId, el, showProblem } from "./dom.js";

export function showEditor(store, api, history) {
  const depth = byId("depth");
  const memory = new Map(); // layers by slot, of the depths that were shown before

  store.watch(["architecture"], ({ architecture, spaces }) => {
    if (!architecture) return;
    const space = spaces[architecture.space];
    if (!depth.options.length) depth.append(...space.depths.map((number) => el("option", {}, String(number))));
    depth.value = String(architecture.layers.length);
    space.slots[architecture.layers.length].forEach((slot, i) => memory.set(slot, architecture.layers[i]));
  });

  store.watch(["canUndo", "canRedo"], ({ canUndo, canRedo }) => {
    byId("undo").disabled = !canUndo;
    byId("redo").disabled = !canRedo;
  });

  store.watch(["spaces"], ({ spaces }) => {
    const presets = Object.values(spaces).flatMap((space) => Object.entries(space.presets ?? {}));
    const button = ([name, architecture]) =>
      el("button", { type: "button", onclick: () => goTo(architecture) }, name);
    byId("presets").replaceChildren(...presets.map(button), el("button", { type: "button", onclick: random }, "Random"));
  });

  depth.addEventListener("change", () => {
    const { architecture, spaces } = store.state;
    history.edit(withDepth(architecture, Number(depth.value), spaces[architecture.space], memory));
  });
  byId("undo").addEventListener("click", () => history.undo());
  byId("redo").addEventListener("click", () => history.redo());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, input:not([type=checkbox])");
    if (typing || event.altKey || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) history.redo();
    else history.undo();
  });

  function goTo(architecture) {
    memory.clear();
    history.edit(architecture);
  }

  async function random() {
    const { space, layers } = store.state.architecture;
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    try {
      const query = `n=1&seed=${seed}&depth=${layers.length}`;
      const { architectures } = await api.get(`v1/spaces/${space}/sample?${query}`);
      showProblem(byId("editor-problem"), null);
      goTo(architectures[0]);
      announce("A random architecture");
    } catch (error) {
      if (!wasAborted(error)) showProblem(byId("editor-problem"), error);
    }
  }
}
