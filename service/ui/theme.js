/** Light or dark, as the system says or as was chosen here. */

import { byId } from "./dom.js";
import { keep, recall } from "./keep.js";

const KEPT = "archrank-theme";

export function keepTheme() {
  const choice = byId("theme");
  choice.value = recall("local", KEPT) ?? "";
  const apply = () => (document.documentElement.dataset.theme = choice.value);
  choice.addEventListener("change", () => {
    keep("local", KEPT, choice.value);
    apply();
  });
  apply();
}
