/** Light or dark theme: the system's, or the one chosen on this page. */

import { load, save } from "./browser-storage.js";
import { byId } from "./dom.js";

const THEME_NAME = "archrank-theme";

export function mountTheme() {
  const select = byId("theme");
  select.value = load("local", THEME_NAME) ?? "";
  const apply = () => (document.documentElement.dataset.theme = select.value);
  select.addEventListener("change", () => {
    save("local", THEME_NAME, select.value);
    apply();
  });
  apply();
}
