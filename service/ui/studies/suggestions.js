/** Architectures that the study suggests to train next. */

import { load, save } from "../browser-storage.js";
import { copyText } from "../clipboard.js";
import { announce, byId, el, replaceKeepingFocus, table } from "../dom.js";
import { count, percent, probability } from "../format.js";
import { architectureLink } from "./architecture-link.js";
import { showErrors } from "./errors.js";
import { intervalText, valueText } from "./format.js";
import { perform } from "./submit.js";
import { studyPath } from "./summary.js";

const NUMBER = 5;
const TIMEOUT_MS = 60000;
const storageName = (id) => `archrank-suggestions-${id}`; // kept while the editor of the main page is open

/** @param {(architecture: object) => void} observe opens the form of an observation */
export function mountSuggestions(store, api, observe) {
  const [note, fallback] = [byId("copy-note"), byId("copy-fallback")];

  byId("suggest").addEventListener("click", ({ target }) => {
    perform(store, target, byId("suggestion-errors"), async (isOpen) => {
      const { id } = store.state;
      announce("Waiting for suggestions");
      const body = { number: NUMBER, reserve: byId("reserve").checked };
      const options = { headers: { Prefer: "wait=10" }, timeoutMs: TIMEOUT_MS };
      const suggestions = await api.post(`${studyPath(id)}/suggestions`, body, options);
      if (!isOpen()) return;
      store.set({ suggestions });
      save("session", storageName(id), JSON.stringify(suggestions));
      announce(count(suggestions.suggestions.length, "suggestion"));
    });
  });
  byId("copy-suggestions").addEventListener("click", () => {
    copy(store.state.suggestions.suggestions.map(({ architecture }) => architecture));
  });

  function copy(value) {
    copyText(JSON.stringify(value), "JSON", note, fallback);
  }

  store.watch(["id"], ({ id }) => {
    store.set({ suggestions: JSON.parse((id && load("session", storageName(id))) ?? "null") });
    showErrors(byId("suggestion-errors"), []);
  });
  store.watch(["suggestions", "study", "spaces"], (state) => {
    const { suggestions, study } = state;
    byId("suggestion-text").textContent = suggestions && study ? basisText(suggestions, study) : "";
    byId("suggestion-notes").replaceChildren(...(suggestions?.notes ?? []).map((text) => el("li", {}, text)));
    byId("copy-suggestions").hidden = !suggestions?.suggestions.length;
    if (!suggestions || !study) {
      note.hidden = fallback.hidden = true;
      byId("suggestions").replaceChildren();
      return;
    }
    const rows = suggestions.suggestions.map((item, i) => row(item, i, state));
    const { name } = study.metric;
    const headings = ["architecture", `predicted ${name}`, "interval", "percentile", "failure", ""];
    const content = rows.length ? table("Suggestions", headings, rows) : el("p", {}, "No more architectures were found.");
    replaceKeepingFocus(byId("suggestions"), content);
  });

  function row(item, i, state) {
    const { architecture, value, interval, percentile, failure_probability: failure, warnings } = item;
    const { metric } = state.study;
    const button = (text, action) => {
      const name = `${text} ${i + 1}`;
      const attributes = { type: "button", "aria-label": name, "data-focus-key": name, onclick: action };
      return el("button", attributes, text);
    };
    const buttons = [button("Copy JSON", () => copy(architecture)), button("Observe", () => observe(architecture))];
    const link = architectureLink(architecture, state.study, state);
    const lines = warnings.map((text) => el("p", { class: "muted reason" }, text));
    return [
      el("div", {}, link, ...lines),
      valueText(value, metric),
      intervalText(interval, metric),
      percent(percentile, 1),
      failure === null ? "\u2013" : probability(failure),
      el("span", { class: "toolbar" }, ...buttons),
    ];
  }
}

function basisText({ observations, pending, suggestions }, study) {
  const newer = Math.max(pending, study.observations.total - observations);
  const outdated = newer > 0 ? `; ${newer} newer ${newer === 1 ? "is" : "are"} not in it` : "";
  return `${count(suggestions.length, "suggestion")}, resting on ${count(observations, "observation")}${outdated}.`;
}
