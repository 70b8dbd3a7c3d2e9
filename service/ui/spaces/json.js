/** Editor of any other space: the architecture as JSON text, with the server's errors beside it. */

import { isAbort, Problem } from "../api.js";
import { isObject, keyOf, LinkError } from "../architecture.js";
import { el } from "../dom.js";

const DELAY_MS = 250; // without a key press

export const json = {
  read: ({ space, ...fields }, { name }) => ({ space: name, ...fields }),
  serialize: ({ space, ...fields }) => JSON.stringify(fields),
  parse,
  describe: shortText,
  picture: (architecture) => [el("code", { class: "json" }, shortText(architecture))],
  inWords: (text) => text,
  describeMutation: (mutation) => Object.entries(mutation).map((entry) => entry.join(" ")).join(", "),
  fixed: () => ({}),
  mount,
};

function parse(text, { name }) {
  try {
    const fields = JSON.parse(text);
    if (isObject(fields)) return { space: name, ...fields };
  } catch {
    // the same message as for other values
  }
  throw new LinkError(`the link's architecture is ${text}; allowed: a JSON object`);
}

function shortText({ space, ...fields }) {
  return JSON.stringify(fields);
}

function mount({ container, space, edit, validate }) {
  const text = el("textarea", { id: "json", rows: "10", spellcheck: "false", "aria-describedby": "json-errors" });
  const errors = el("ul", { id: "json-errors", "aria-label": "Errors", "aria-live": "polite" });
  const schema = JSON.stringify(space.schema, null, 2);
  const region = { class: "scroll", role: "region", "aria-label": "JSON Schema", tabindex: "0" };
  container.append(
    el(
      "div",
      { class: "json-editor" },
      el("label", {}, "Architecture as JSON", text),
      errors,
      el("details", {}, el("summary", {}, "JSON Schema"), el("pre", region, schema)),
    ),
  );
  let running = new AbortController();
  let timer = 0;
  let shownKey = null;

  function showErrors(messages) {
    errors.replaceChildren(...messages.map((message) => el("li", {}, message)));
    text.setAttribute("aria-invalid", String(messages.length > 0));
  }

  async function check() {
    let fields = null;
    try {
      fields = JSON.parse(text.value);
    } catch (error) {
      return showErrors([`not JSON: ${error.message}`]);
    }
    if (!isObject(fields)) return showErrors(["not a JSON object"]);
    const architecture = { space: space.name, ...fields };
    const { signal } = (running = new AbortController());
    try {
      await validate(architecture, signal);
    } catch (error) {
      if (error instanceof Problem) showErrors(messages(error));
      else if (!isAbort(error)) showErrors([error.message]);
      return;
    }
    showErrors([]);
    shownKey = keyOf(architecture); // the text stays as it was written
    edit(architecture);
  }

  text.addEventListener("input", () => {
    running.abort();
    clearTimeout(timer);
    timer = setTimeout(check, DELAY_MS);
  });

  function show(architecture) {
    if (keyOf(architecture) === shownKey) return;
    running.abort();
    clearTimeout(timer);
    shownKey = keyOf(architecture);
    text.value = JSON.stringify(architecture, null, 2);
    showErrors([]);
  }
  return { show };
}

/** A message for each refused field of the architecture. */
function messages({ message, errors }) {
  if (!errors.length) return [message];
  return errors.map(({ field, value, allowed }) => `${withoutIndex(field)}: got ${value}, allowed: ${allowed}`);
}

function withoutIndex(field) {
  return field.replace(/^architectures\[\d+\]\.?/, "") || "architecture";
}
