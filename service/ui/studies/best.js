/** The best observed architectures of the study. */

import { byId, el, replaceKeepingFocus, table } from "../dom.js";
import { architectureLink } from "./architecture-link.js";
import { valueText } from "./format.js";

export function mountBest(store) {
  store.watch(["study", "spaces"], (state) => {
    const { study } = state;
    if (!study) return;
    const rows = study.best.map(({ architecture, value }, i) => [
      String(i + 1),
      valueText(value, study.metric),
      architectureLink(architecture, study, state),
    ]);
    const content = rows.length
      ? table("Best observations", ["rank", study.metric.name, "architecture"], rows)
      : el("p", { class: "muted" }, "No trained architecture yet.");
    replaceKeepingFocus(byId("best"), content);
  });
}
