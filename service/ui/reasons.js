/** What moved the prediction, and which single edits would raise it. */

import { withModule } from "./architecture.js";
import { byId, el, refill, showProblem } from "./dom.js";
import { count, fromOne, percent, points } from "./format.js";
import { explained } from "./predict.js";

const MOST_EDITS = 8;
const LEAST = 0.005; // points; less is 0.00

export function showReasons(store, edit) {
  store.watch(["explanation", "scored", "architecture"], (state) => {
    const { item, current } = explained(state);
    const [place, edits] = [byId("reasons"), byId("edits")];
    showProblem(byId("reasons-problem"), state.explanation?.problem);
    for (const one of [place, edits]) one.dataset.state = current ? "current" : item ? "stale" : "loading";
    if (!item?.explanation) {
      place.replaceChildren();
      edits.replaceChildren();
      return;
    }
    place.replaceChildren(reasons(item.explanation));
    refill(edits, ...suggestions(item.edits, state, current, edit));
  });
}

function reasons({ base, combiner, reasons: all }) {
  const most = Math.max(...all.map(({ points: size }) => Math.abs(size)));
  const row = ({ part, points: size }) => {
    const bar = el("span", { class: size < 0 ? "bar less" : "bar more" });
    bar.style.width = `${(50 * Math.abs(size)) / most}%`;
    const text = points(size);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, fromOne(part)),
      el("td", { class: "bars", "aria-hidden": "true" }, bar),
      el("td", { class: "number" }, text),
    );
  };
  const [large, small] = [true, false].map((is) => all.filter((one) => Math.abs(one.points) >= LEAST === is));
  const rows = large.map(row);
  if (small.length) rows.push(row(rest(small)));
  const heading = `Percentage points on top of ${percent(base)}, the mean of the trained; by ${combiner}`;
  return el("table", {}, el("caption", {}, heading), el("tbody", {}, ...rows));
}

function rest(small) {
  return { part: count(small.length, "smaller one"), points: small.reduce((sum, one) => sum + one.points, 0) };
}

function suggestions(all, { architecture, spaces }, current, edit) {
  const edits = all.filter((one) => one.points >= LEAST);
  if (!edits.length) return [el("li", { class: "muted" }, "No single edit raises it.")];
  const space = spaces[architecture.space];
  const button = ({ edit: { layer, module, action }, points: more }, i) => {
    const text = action === "add" ? `add ${module} to layer ${layer + 1}` : `take ${module} out of layer ${layer + 1}`;
    const apply = () => current && edit(withModule(architecture, layer, module, action === "add", space));
    // Not disabled, which would take the keyboard away from it for the moment that the next takes.
    const attributes = { type: "button", "aria-disabled": String(!current), "data-keep": `edit-${i}`, onclick: apply };
    return el("button", attributes, text, el("b", {}, points(more)));
  };
  return edits.slice(0, MOST_EDITS).map((one, i) => el("li", {}, button(one, i)));
}
