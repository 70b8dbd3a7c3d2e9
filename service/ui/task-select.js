/** Selects of the search space, its settings and the ensemble. */

import { byId, el, replaceKeepingFocus } from "./dom.js";
import { capitalized } from "./format.js";
import { ensembleNames, makeTask } from "./task.js";

/**
 * @param {Store} store
 * @param {History} history
 * @param {(space: string) => Promise<void>} open shows a first architecture of a space
 */
export function mountTaskSelect(store, history, open) {
  const lastArchitecture = new Map(); // by space

  function changeSpace(space) {
    const architecture = lastArchitecture.get(space);
    if (architecture) history.edit(architecture, makeTask(store.state, space));
    else open(space);
  }

  function changeTask(settings, ensemble) {
    const { task, architecture } = store.state;
    history.edit(architecture, makeTask(store.state, task.space, { ...task.settings, ...settings }, ensemble));
  }

  store.watch(["architecture"], ({ architecture }) => {
    if (architecture) lastArchitecture.set(architecture.space, architecture);
  });

  store.watch(["task"], (state) => {
    const { task, spaces } = state;
    if (!task) return;
    const names = Object.keys(spaces);
    const fields = [];
    if (names.length > 1) fields.push(select("Search space", names, task.space, changeSpace));
    for (const [name, values] of Object.entries(spaces[task.space].setting_choices ?? {})) {
      const change = (text) => changeTask({ [name]: values.find((value) => String(value) === text) }, null);
      fields.push(select(capitalized(name.replaceAll("_", " ")), values, task.settings[name], change));
    }
    const choices = ensembleNames(state, task.space, task.settings);
    if (choices.length > 1) {
      fields.push(select("Ensemble", choices, task.ensemble, (name) => changeTask({}, name)));
    }
    byId("task").hidden = !fields.length;
    replaceKeepingFocus(byId("task"), ...fields);
  });
}

function select(label, values, selected, onChange) {
  const options = values.map((value) => el("option", { selected: value === selected }, String(value)));
  const attributes = { "data-focus-key": label, onchange: ({ target }) => onChange(target.value) };
  return el("label", {}, `${label} `, el("select", attributes, ...options));
}
