/** Errors of the API beside the form that they concern. */

import { ConnectionError, Problem } from "../api.js";
import { el } from "../dom.js";
import { FieldError } from "./fields.js";

const MAX_SHOWN = 20;
const OBSERVATION = /\bobservations\[(\d+)\](: |\.)/g;

/**
 * Texts of an error, one for each refused value.
 *
 * @param {Error} error
 * @param {(index: number) => string} place text before the field of an observation, by its position in the request
 */
export function errorTexts(error, place = () => "") {
  const inWords = (text) => text.replace(OBSERVATION, (_, index) => place(Number(index)));
  if (!error.errors?.length) return [inWords(error.message)];
  return error.errors.map(({ field, value, allowed }) => inWords(`${field}: got ${value}, allowed: ${allowed}`));
}

/** Show texts in an element; none clears it. */
export function showErrors(element, texts) {
  const more = texts.length - MAX_SHOWN;
  const shown = [...texts.slice(0, MAX_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])];
  element.hidden = !texts.length;
  if (shown.length > 1) element.replaceChildren(el("ul", {}, ...shown.map((text) => el("li", {}, text))));
  else element.replaceChildren(...shown);
}

/** Show the error of a form: of its fields, or of its request. */
export function showError(element, error, place) {
  if (error instanceof ConnectionError) {
    showErrors(element, ["the server did not answer; what is sent twice counts once"]);
  } else if (error instanceof Problem || error instanceof FieldError) {
    showErrors(element, errorTexts(error, place));
  } else {
    throw error;
  }
}
