/** Controls around the grid: number of layers, presets, undo and redo. */

import { isAbort } from "./api.js";
import { withDepth } from "./architecture.js";
import { announce, byId, el, showProblem } from "./dom.js";

export function mountEditor(store, api, history) {
  const depth = byId("depth");
  const memory = new Map(); // layers by slot, of the depths shown before

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
      el("button", { type: "button", onclick: () => replace(architecture) }, name);
    const random = el("button", { type: "button", onclick: sample }, "Random");
    byId("presets").replaceChildren(...presets.map(button), random);
  });

  depth.addEventListener("change", () => {
    const { architecture, spaces } = store.state;
    history.edit(withDepth(architecture, Number(depth.value), spaces[architecture.space], memory));
  });
  byId("undo").addEventListener("click", () => history.undo());
  byId("redo").addEventListener("click", () => history.redo());
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("textarea, input:not([type=checkbox])");
    const hasModifier = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (isTyping || !hasModifier || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) history.redo();
    else history.undo();
  });

  function replace(architecture) {
    memory.clear();
    history.edit(architecture);
  }

  async function sample() {
    const { space, layers } = store.state.architecture;
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    try {
      const query = `n=1&seed=${seed}&depth=${layers.length}`;
      const { architectures } = await api.get(`v1/spaces/${space}/sample?${query}`);
      showProblem(byId("editor-problem"), null);
      replace(architectures[0]);
      announce("A random architecture");
    } catch (error) {
      if (!isAbort(error)) showProblem(byId("editor-problem"), error);
    }
  }
}
