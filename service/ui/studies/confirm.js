/** Dialog that asks before something is deleted. */

import { byId } from "../dom.js";

/** Ask a question. Resolves with true if it is confirmed, else with false. */
export function confirmDeletion(question) {
  const dialog = byId("confirm");
  byId("confirm-question").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
