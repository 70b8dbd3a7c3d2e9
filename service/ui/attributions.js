/** Contributions to the prediction, and mutations that would raise it. */

import { byId, el, replaceKeepingFocus, showProblem } from "./dom.js";
import { count, percent, percentagePoints } from "./format.js";
import { currentExplanation } from "./live-prediction.js";
import { editorOf } from "./spaces/index.js";

const MAX_MUTATIONS = 8;
const MIN_SHOWN = 0.00005; // fraction; less is 0.00 percentage points

export function mountAttributions(store, edit) {
  store.watch(["explanation", "scored", "architecture", "task"], (state) => {
    byId("explanation").hidden = !state.task?.ensemble;
    const { item, isCurrent } = currentExplanation(state);
    const [attributions, mutations] = [byId("attributions"), byId("mutations")];
    showProblem(byId("explanation-problem"), state.explanation?.problem);
    for (const element of [attributions, mutations]) {
      element.dataset.state = isCurrent ? "current" : item ? "stale" : "loading";
    }
    if (!item?.explanation) {
      attributions.replaceChildren();
      mutations.replaceChildren();
      return;
    }
    const space = state.spaces[state.task.space];
    const editor = editorOf(space);
    attributions.replaceChildren(attributionTable(item.explanation, editor));
    replaceKeepingFocus(mutations, ...mutationItems(item.suggested_mutations ?? [], space, isCurrent, edit));
  });
}

function attributionTable({ base_value: baseValue, combiner, attributions }, editor) {
  const largest = Math.max(...attributions.map(({ contribution }) => Math.abs(contribution)));
  const row = ({ feature_group: group, contribution }) => {
    const bar = el("span", { class: contribution < 0 ? "bar negative" : "bar positive" });
    bar.style.width = `${(50 * Math.abs(contribution)) / largest}%`;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, editor.inWords(group)),
      el("td", { class: "bars", "aria-hidden": "true" }, bar),
      el("td", { class: "number" }, percentagePoints(contribution)),
    );
  };
  const isLarge = ({ contribution }) => Math.abs(contribution) >= MIN_SHOWN;
  const small = attributions.filter((attribution) => !isLarge(attribution));
  const rows = attributions.filter(isLarge).map(row);
  if (small.length) rows.push(row(sum(small)));
  const caption =
    `Percentage points, added to ${percent(baseValue)}, the mean prediction of the reference set; ` +
    `combiner ${combiner}`;
  return el("table", {}, el("caption", {}, caption), el("tbody", {}, ...rows));
}

function sum(attributions) {
  const total = attributions.reduce((partial, { contribution }) => partial + contribution, 0);
  return { feature_group: count(attributions.length, "smaller contribution"), contribution: total };
}

function mutationItems(suggested, space, isCurrent, edit) {
  const shown = suggested.filter((suggestion) => suggestion.accuracy_gain >= MIN_SHOWN);
  if (!shown.length) return [el("li", { class: "muted" }, "No single mutation raises the prediction.")];
  const editor = editorOf(space);
  const button = ({ mutation, architecture, accuracy_gain: gain }, i) => {
    const onclick = () => isCurrent && edit(editor.read(architecture, space));
    // Not disabled: that would take the keyboard focus away while the next suggestions are loading.
    const attributes = { "aria-disabled": String(!isCurrent), "data-focus-key": `mutation-${i}`, onclick };
    const text = editor.describeMutation(mutation);
    return el("button", { type: "button", ...attributes }, text, el("b", {}, percentagePoints(gain)));
  };
  return shown.slice(0, MAX_MUTATIONS).map((suggestion, i) => el("li", {}, button(suggestion, i)));
}
