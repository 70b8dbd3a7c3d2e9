/** Forms and buttons that send one request at a time, with their errors beside them. */

import { isAbort } from "../api.js";
import { showError, showErrors } from "./errors.js";

/** Send a form by `action`, as `perform` does. */
export function submit(store, form, list, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    perform(store, form.querySelector("button:not([type=button])"), list, action);
  });
}

/**
 * Call `action` unless the button's earlier one still runs. It stays enabled: it would lose the keyboard focus.
 *
 * @param {Store} store
 * @param {Element} button
 * @param {Element} list shows the errors, unless another study was opened meanwhile
 * @param {(isOpen: () => boolean) => Promise<void>} action `isOpen` is true until another study is opened
 * @param {(index: number) => string} place as for `errorTexts`
 */
export async function perform(store, button, list, action, place) {
  if (button.ariaDisabled === "true") return;
  const { id } = store.state;
  const isOpen = () => store.state.id === id;
  button.ariaDisabled = "true";
  showErrors(list, []);
  try {
    await action(isOpen);
  } catch (error) {
    if (!isAbort(error) && isOpen()) showError(list, error, place);
  } finally {
    button.ariaDisabled = "false";
  }
}
