/** The architecture to take elsewhere: as JSON, as a command, as a program. */

import { address } from "./api.js";
import { announce, byId, el } from "./dom.js";

const FORMS = {
  JSON: (architecture) => JSON.stringify(architecture),
  curl: (architecture, key) => {
    const header = key ? ' -H "Authorization: Bearer $ARCHRANK_KEY"' : "";
    const body = JSON.stringify({ architectures: [architecture] });
    return `curl -s ${quoted(address("v1/predictions"))} -H 'Content-Type: application/json'${header} -d ${quoted(body)}`;
  },
  // The key is read from ARCHRANK_KEY by the client itself.
  Python: (architecture) => `from archrank_client import Client

architecture = ${JSON.stringify(architecture)}
with Client(${JSON.stringify(address("").replace(/\/$/, ""))}) as client:
    (prediction,) = client.predict([architecture])
print(prediction.accuracy, prediction.interval.low, prediction.interval.high)
`,
};

export function showCopies(store, api) {
  const [note, fallback] = [byId("copied"), byId("to-copy")];

  async function copy(name) {
    const text = FORMS[name](store.state.architecture, api.key);
    let said = `Copied as ${name}.`;
    try {
      await navigator.clipboard.writeText(text);
      fallback.hidden = true;
    } catch {
      // Browsers lend the clipboard to secure pages only, and not always to those.
      said = "This browser does not let the page copy: the text is selected, Ctrl+C copies it.";
      fallback.hidden = false;
      const area = fallback.querySelector("textarea");
      area.value = text;
      area.select();
    }
    note.textContent = said;
    note.hidden = false;
    announce(said);
  }

  const button = (name) =>
    el("button", { type: "button", "aria-label": `Copy as ${name}`, onclick: () => copy(name) }, name);
  byId("copies").append(...Object.keys(FORMS).map(button));
  store.watch(["architecture"], () => {
    note.hidden = true;
    fallback.hidden = true;
  });
}

/** One word for a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
