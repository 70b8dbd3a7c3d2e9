/** Light or dark, as the system says or as was chosen here. */

import { byId } from "./dom.js";

const KEPT = "archrank-theme";

export function keepTheme() {
  const choice = byId("theme");
  choice.value = localStorage.getItem(KEPT) ?? "";
  const apply = () => (document.documentElement.dataset.theme = choice.value);
  choice.addEventListener("change", () => {
    localStorage.setItem(KEPT, choice.value);
    apply();
  });
  apply();
}
