/** The task: a search space, its settings, and the ensemble that predicts. */

import { keyOf } from "./architecture.js";

/**
 * Task of a space. Settings are completed by the space's own, and a name that is no ensemble of the task by the first.
 *
 * @returns {{space: string, settings: Object<string, unknown>, ensemble: ?string}}
 */
export function makeTask(state, space, settings = {}, ensemble = null) {
  const { settings: defaults, setting_choices: choices = {} } = state.spaces[space];
  const selected = Object.fromEntries(Object.keys(choices).map((name) => [name, settings[name] ?? defaults[name]]));
  const names = ensembleNames(state, space, selected);
  return { space, settings: selected, ensemble: names.includes(ensemble) ? ensemble : (names[0] ?? null) };
}

/** Names of the ensembles of a space with these settings, the space's default first. */
export function ensembleNames({ spaces, ensembles }, space, settings) {
  const isOfTask = (card) => Object.entries(settings).every(([name, value]) => card.settings[name] === value);
  return spaces[space].ensembles.filter((name) => isOfTask(ensembles[name]));
}

/** Name in words of the metric that the task's ensemble predicts, e.g. accuracy. */
export function metricLabel({ task, ensembles }) {
  return ensembles[task?.ensemble]?.task?.metric.label ?? "accuracy";
}

/** True if the task's ensemble predicts from proxy scores; else they are shown beside its prediction. */
export function usesProxies({ ensembles }, task) {
  return Object.keys(ensembles[task?.ensemble]?.proxies ?? {}).length > 0;
}

/** Text that is equal for equal architectures of equal tasks: the key of their predictions and scores. */
export function taskKey(task, architecture) {
  return JSON.stringify(task) + keyOf(architecture);
}

/** The scored item of the edited architecture, if it was scored for the task. */
export function scoredItem({ task, architecture, scored }) {
  return architecture && scored.get(taskKey(task, architecture));
}

/** The compared architectures of the task's space: those of other spaces wait for their return. */
export function comparedArchitectures({ task, comparison }) {
  return comparison.filter(({ space }) => space === task?.space);
}

/** The space and its settings in words. */
export function taskText({ space, settings }) {
  const texts = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return texts.length ? `${space} (${texts.join(", ")})` : space;
}
