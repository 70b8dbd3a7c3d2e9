/** Buttons that copy the architecture as JSON, as a command or as a program. */

import { absoluteUrl } from "./api.js";
import { copyText } from "./clipboard.js";
import { byId, el } from "./dom.js";

const FORMATS = { JSON: (architecture) => JSON.stringify(architecture), curl: curlCommand, Python: pythonProgram };

/** Command that predicts the architecture, or scores it where the task has no ensemble. */
function curlCommand(architecture, { space, settings, ensemble }, key) {
  const header = key ? ' -H "Authorization: Bearer $ARCHRANK_KEY"' : "";
  const query = ensemble ? { ensemble } : { space, settings };
  const body = shellQuote(JSON.stringify({ architectures: [architecture], ...query }));
  const url = shellQuote(absoluteUrl(ensemble ? "v1/predictions" : "v1/scores"));
  return `curl -s ${url} -H 'Content-Type: application/json'${header} -d ${body}`;
}

/** The same as a program. The client reads the key from ARCHRANK_KEY. */
function pythonProgram(architecture, { space, settings, ensemble }) {
  const call = ensemble
    ? `(prediction,) = client.predict([architecture], ensemble=${literal(ensemble)})`
    : `(scores,) = client.score([architecture], space=${literal(space)}, settings=${literal(settings)})`;
  const output = ensemble
    ? "print(prediction.accuracy, prediction.interval.low, prediction.interval.high)"
    : "for name, score in scores.scores.items():\n    print(name, score.status, score.value)";
  return `from archrank_client import Client

architecture = ${literal(architecture)}
with Client(${literal(absoluteUrl("").replace(/\/$/, ""))}) as client:
    ${call}
${output}
`;
}

/** Python expression of a JSON value. */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map((entry) => entry.map(literal).join(": ")).join(", ")}}`;
}

export function mountCopyButtons(store, api) {
  const [note, fallback] = [byId("copy-note"), byId("copy-fallback")];

  const copy = (name) =>
    copyText(FORMATS[name](store.state.architecture, store.state.task, api.key), name, note, fallback);
  const button = (name) =>
    el("button", { type: "button", "aria-label": `Copy as ${name}`, onclick: () => copy(name) }, name);
  byId("copy-buttons").append(...Object.keys(FORMATS).map(button));
  store.watch(["architecture", "task"], () => {
    note.hidden = true;
    fallback.hidden = true;
  });
}

function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
