/** Forms and buttons that send one request at a time, with their errors beside them. */

import { isAbort } from "../api.js";
import { showError, showErrors } from "./errors.js";

/** Send a form by `action`; its errors are shown in an element. */
export function submit(form, list, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    perform(form.querySelector("button:not([type=button])"), list, action);
  });
}

/** Call `action` unless the button's earlier one still runs. It stays enabled: it would lose the keyboard focus. */
export async function perform(button, list, action, place) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  showErrors(list, []);
  try {
    await action();
  } catch (error) {
    if (!isAbort(error)) showError(list, error, place);
  } finally {
    button.ariaDisabled = "false";
  }
}
