/** Copying of text, also where the browser refuses it. */

import { announce } from "./dom.js";

/**
 * Copy a text to the clipboard, and say so.
 *
 * @param {string} text
 * @param {string} name name of the text's format, e.g. JSON
 * @param {Element} note shows the outcome
 * @param {Element} fallback has a text area, which shows the text if the browser does not copy it
 */
export async function copyText(text, name, note, fallback) {
  let message = `Copied as ${name}.`;
  try {
    await navigator.clipboard.writeText(text);
    fallback.hidden = true;
  } catch {
    // Browsers restrict the clipboard to secure pages, and may refuse it to those, too.
    message = "This browser does not let the page copy: the text is selected, Ctrl+C copies it.";
    fallback.hidden = false;
    const area = fallback.querySelector("textarea");
    area.value = text;
    area.select();
  }
  note.textContent = message;
  note.hidden = false;
  announce(message);
}
