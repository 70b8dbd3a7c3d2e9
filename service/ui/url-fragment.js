/**
 * The URL fragment holds the edited architecture, those of the comparison, and the settings of the space.
 *
 * Its parts are separated by `&`: `space/architecture` and `setting=value`. `ensemble` is written where a task has more
 * than one.
 */

import { LinkError } from "./architecture.js";
import { editorOf } from "./spaces/index.js";
import { comparedArchitectures, ensembleNames, makeTask } from "./task.js";

const MAX_COMPARED = 4;
const WRITE_DELAY_MS = 200; // browsers allow a few changes of the URL a second

/**
 * Task, architectures and the number of omitted ones; null if the fragment is empty. Throws `LinkError`.
 *
 * @param {string} hash the fragment with its `#`
 * @param {{spaces: object, ensembles: object}} state
 */
export function readFragment(hash, state) {
  if (hash.length < 2) return null;
  const parts = hash.slice(1).split("&");
  const isSetting = (part) => part.includes("=");
  const architectures = parts.filter((part) => !isSetting(part)).map((part) => parse(decode(part), state.spaces));
  const [architecture, ...others] = architectures;
  if (!architecture) throw new LinkError("the link has no architecture");
  const pairs = parts.filter(isSetting).map((part) => part.split("=").map(decode));
  const { ensemble, ...settings } = Object.fromEntries(pairs);
  const task = makeTask(state, architecture.space, readSettings(settings, state.spaces[architecture.space]), ensemble);
  const other = others.find(({ space }) => space !== task.space);
  if (other) throw new LinkError(`the link compares ${task.space} with ${other.space}; allowed: one search space`);
  const omitted = Math.max(0, others.length - MAX_COMPARED);
  return { task, architecture, comparison: others.slice(0, MAX_COMPARED), omitted };
}

/** Architecture of `space/text`. */
function parse(text, spaces) {
  const end = text.includes("/") ? text.indexOf("/") : text.length;
  const [name, rest] = [text.slice(0, end), text.slice(end + 1)];
  if (!Object.hasOwn(spaces, name)) {
    throw new LinkError(`the link's search space is ${name}; allowed: ${Object.keys(spaces).join(", ")}`);
  }
  return editorOf(spaces[name]).parse(rest, spaces[name]);
}

function readSettings(texts, { setting_choices: choices = {} }) {
  const read = ([name, text]) => {
    if (!Object.hasOwn(choices, name)) throw new LinkError(`the link has a setting ${name}; allowed: ${list(choices)}`);
    const value = choices[name].find((choice) => String(choice) === text);
    if (value === undefined) throw new LinkError(`the link's ${name} is ${text}; allowed: ${choices[name].join(", ")}`);
    return [name, value];
  };
  return Object.fromEntries(Object.entries(texts).map(read));
}

function list(choices) {
  return Object.keys(choices).join(", ") || "none";
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Fragment, with its `#`, that opens the first architecture and compares the others. */
export function fragmentOf(architectures, task, state) {
  const space = state.spaces[task.space];
  const text = (other) => `${task.space}/${encode(editorOf(space).serialize(other, space))}`;
  const settings = Object.entries(task.settings).map(([name, value]) => `${name}=${encode(String(value))}`);
  const hasChoice = ensembleNames(state, task.space, task.settings).length > 1;
  const ensemble = hasChoice ? [`ensemble=${encode(task.ensemble)}`] : [];
  return "#" + [...architectures.map(text), ...settings, ...ensemble].join("&");
}

/** Encode what is not part of a path, in addition to `=` and `&`. */
function encode(text) {
  return encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%2C", ",");
}

/** Write the state to the fragment, and call `onChange` when somebody else changes the fragment. */
export function syncFragment(store, onChange) {
  let timer = 0;
  let lastWritten = location.hash;
  const write = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { architecture, task } = store.state;
      lastWritten = fragmentOf([architecture, ...comparedArchitectures(store.state)], task, store.state);
      history.replaceState(null, "", lastWritten);
    }, WRITE_DELAY_MS);
  };
  store.watch(["architecture", "task", "comparison"], write);
  addEventListener("hashchange", () => {
    if (location.hash === lastWritten) return;
    onChange();
    write();
  });
}
