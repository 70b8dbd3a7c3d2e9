/** The architecture's editor and the controls around it: presets, random architectures and mutations, undo and redo. */

import { isAbort } from "./api.js";
import { announce, byId, el, showProblem } from "./dom.js";
import { currentPrediction } from "./live-prediction.js";
import { editorOf } from "./spaces/index.js";
import { makeTask } from "./task.js";
import { validate } from "./validation.js";

/** Mount the editor; returns the function that shows a first architecture of a space. */
export function mountEditor(store, api, history) {
  const [container, controls] = [byId("canvas"), byId("editor-controls")];
  let view = null; // of the mounted editor
  let mounted = null; // description of its space
  let running = new AbortController();

  store.watch(["architecture", "task"], ({ architecture, task, spaces }) => {
    running.abort(); // its architecture would replace a newer one
    if (!architecture) return;
    const space = spaces[architecture.space];
    if (mounted !== space) {
      container.replaceChildren();
      controls.replaceChildren();
      const edit = (other) => mounted === space && history.edit(other);
      const parts = { container, controls, space, edit, validate: validateHere };
      view = editorOf(space).mount(parts);
      mounted = space;
      byId("presets").replaceChildren(...presetButtons(space));
    }
    view.show(architecture, task.settings);
    updatePresets(task, space);
  });

  store.watch(["prediction", "scored"], (state) => {
    const { item, state: condition } = currentPrediction(state);
    if (item && condition === "current") view?.showCanonical?.(item.architecture);
  });

  store.watch(["canUndo", "canRedo"], ({ canUndo, canRedo }) => {
    byId("undo").disabled = !canUndo;
    byId("redo").disabled = !canRedo;
  });

  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the URL fragment holds the architecture
    container.focus();
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

  function validateHere(architecture, signal) {
    return validate(api, store.state.task, architecture, signal);
  }

  /** Disable the presets that the task's settings do not allow. */
  function updatePresets({ settings }, space) {
    const { allows, read } = editorOf(space);
    if (!allows) return;
    Object.values(space.presets).forEach((preset, i) => {
      const architecture = read(preset, space);
      byId("presets").children[i].disabled = Boolean(architecture) && !allows(architecture, space, settings);
    });
  }

  function presetButtons({ presets, capabilities }) {
    const button = (text, action) => {
      const onclick = () => {
        showProblem(byId("editor-problem"), null);
        attempt(action);
      };
      return el("button", { type: "button", onclick }, text);
    };
    const named = Object.entries(presets).map(([name, preset]) => {
      return button(name, (signal) => openPreset(store.state.task, preset, signal));
    });
    const random = button("Random", sample);
    const mutation = capabilities.includes("edit") ? [button("Mutate", mutate)] : [];
    return [...named, random, ...mutation];
  }

  /** Call `action` with a signal that an edit or another action aborts. */
  async function attempt(action) {
    running.abort();
    running = new AbortController();
    try {
      await action(running.signal);
    } catch (error) {
      if (!isAbort(error)) showProblem(byId("editor-problem"), error);
    }
  }

  async function openPreset(task, preset, signal) {
    const space = store.state.spaces[task.space];
    const editor = editorOf(space);
    const architecture = editor.read(preset, space);
    history.edit(architecture ?? editor.read((await validate(api, task, preset, signal)).architecture, space), task);
  }

  async function sample(signal) {
    const { task, architecture, spaces } = store.state;
    const fixed = editorOf(spaces[task.space]).fixed(architecture);
    await request(task, "sample", { number: 1, fixed }, signal);
    announce("A random architecture");
  }

  async function mutate(signal) {
    const { task, architecture } = store.state;
    await request(task, "mutate", { architecture }, signal);
    announce("A random mutation");
  }

  /** Show the architecture that the server draws. */
  async function request(task, action, body, signal) {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    const path = `v1/spaces/${encodeURIComponent(task.space)}/${action}`;
    const { architectures } = await api.post(path, { ...body, seed, settings: task.settings }, { signal });
    const space = store.state.spaces[task.space];
    history.edit(editorOf(space).read(architectures[0], space), task);
  }

  return async (space) => {
    const task = makeTask(store.state, space);
    const [preset] = Object.values(store.state.spaces[space].presets);
    await attempt((signal) => {
      return preset ? openPreset(task, preset, signal) : request(task, "sample", { number: 1 }, signal);
    });
  };
}
