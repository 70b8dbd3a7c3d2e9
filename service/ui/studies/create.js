/** Forms that create a study: from its definition, and from an exported file. */

import { isObject } from "../architecture.js";
import { announce, byId, el } from "../dom.js";
import { capitalized } from "../format.js";
import { showError, showErrors } from "./errors.js";
import { FieldError } from "./fields.js";
import { submit } from "./submit.js";

const TIMEOUT_MS = 60000;

export function mountCreate(store, api, open) {
  const form = byId("create-form");
  const field = (name) => form.elements[name];

  store.watch(["spaces", "ensembles"], ({ spaces }) => {
    const names = Object.keys(spaces);
    field("space").replaceChildren(...names.map((name) => el("option", {}, name)));
    const [first] = Object.values(store.state.ensembles);
    if (first) field("space").value = first.space;
    showSpace();
  });
  field("space").addEventListener("change", showSpace);

  /** Show the settings of the selected space and its ensembles. */
  function showSpace() {
    const space = store.state.spaces[field("space").value];
    const settings = Object.entries(space?.settings ?? {});
    byId("create-settings").replaceChildren(...settings.map(([name, value]) => settingField(name, value, space)));
    const sources = space?.ensembles ?? [];
    byId("create-sources").hidden = !sources.length;
    byId("create-source-list").replaceChildren(...sources.map(sourceBox));
  }

  function readDefinition() {
    const data = new FormData(form);
    const space = store.state.spaces[data.get("space")];
    const settings = Object.entries(space.settings ?? {}).map(([name, value]) => {
      return [name, readSetting(name, data.get(`settings.${name}`), value)];
    });
    const [name, task] = [data.get("name").trim(), data.get("task").trim()];
    const metric = { name: data.get("metric").trim(), direction: data.get("direction"), unit: data.get("unit") };
    return { name, space: space.name, settings: Object.fromEntries(settings), task, metric, sources: data.getAll("sources") };
  }

  submit(store, form, byId("create-errors"), async (isOpen) => {
    const study = await api.post("v1/studies", readDefinition(), { timeoutMs: TIMEOUT_MS });
    form.reset();
    showSpace();
    announce(`Study ${study.name}`);
    if (isOpen()) open(study.id);
  });

  byId("import-file").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    showErrors(byId("import-errors"), []);
    try {
      const study = await api.post("v1/studies/import", await readJson(file), { timeoutMs: TIMEOUT_MS });
      announce(`Study ${study.name} was imported`);
      open(study.id);
    } catch (error) {
      showError(byId("import-errors"), error);
    }
    target.value = ""; // the same file can be chosen again
  });
}

async function readJson(file) {
  let document = null;
  try {
    document = JSON.parse(await file.text());
  } catch {
    // the same message as for other values
  }
  if (!isObject(document)) throw new FieldError("file", file.name, "an exported study, a JSON object");
  return document;
}

function settingField(name, value, { setting_choices: choices = {} }) {
  const attributes = { name: `settings.${name}` };
  const control = choices[name]
    ? el("select", attributes, ...choices[name].map((choice) => el("option", { selected: choice === value }, String(choice))))
    : el("input", { ...attributes, type: "text", value: settingText(value), autocomplete: "off", required: true });
  return el("label", {}, capitalized(name.replaceAll("_", " ")), control);
}

function settingText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Value of a setting's text: a text where the default is one, else JSON. */
function readSetting(name, text, value) {
  if (typeof value === "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new FieldError(`settings.${name}`, text, `JSON, e.g. ${settingText(value)}`);
  }
}

function sourceBox(name) {
  return el("label", { class: "choice" }, el("input", { type: "checkbox", name: "sources", value: name, checked: true }), name);
}
