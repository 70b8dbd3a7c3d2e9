/** Buttons that copy the architecture as JSON, as a command or as a program. */

import { absoluteUrl } from "./api.js";
import { announce, byId, el } from "./dom.js";

const FORMATS = {
  JSON: (architecture) => JSON.stringify(architecture),
  curl: (architecture, key) => {
    const header = key ? ' -H "Authorization: Bearer $ARCHRANK_KEY"' : "";
    const body = shellQuote(JSON.stringify({ architectures: [architecture] }));
    const url = shellQuote(absoluteUrl("v1/predictions"));
    return `curl -s ${url} -H 'Content-Type: application/json'${header} -d ${body}`;
  },
  // The client reads the key from ARCHRANK_KEY.
  Python: (architecture) => `from archrank_client import Client

architecture = ${JSON.stringify(architecture)}
with Client(${JSON.stringify(absoluteUrl("").replace(/\/$/, ""))}) as client:
    (prediction,) = client.predict([architecture])
print(prediction.accuracy, prediction.interval.low, prediction.interval.high)
`,
};

export function mountCopyButtons(store, api) {
  const [note, fallback] = [byId("copy-note"), byId("copy-fallback")];

  async function copy(name) {
    const text = FORMATS[name](store.state.architecture, api.key);
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

  const button = (name) =>
    el("button", { type: "button", "aria-label": `Copy as ${name}`, onclick: () => copy(name) }, name);
  byId("copy-buttons").append(...Object.keys(FORMATS).map(button));
  store.watch(["architecture"], () => {
    note.hidden = true;
    fallback.hidden = true;
  });
}

function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
