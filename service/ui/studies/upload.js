/** Upload of observations from a CSV file, which is read in the browser. */

import { announce, byId, saveFile } from "../dom.js";
import { count } from "../format.js";
import { COLUMNS, formatCsv, readCsv } from "./csv.js";
import { showErrors } from "./errors.js";
import { perform } from "./submit.js";
import { studyPath } from "./summary.js";

const TIMEOUT_MS = 60000;

export function mountUpload(store, api) {
  const [input, button, note, list] = [byId("csv"), byId("upload"), byId("upload-note"), byId("upload-errors")];
  let content = null; // {observations, lines} of the chosen file, if all of its lines are valid

  function reset() {
    content = null;
    button.hidden = true;
    note.textContent = "";
    showErrors(list, []);
  }

  input.addEventListener("change", async () => {
    reset();
    const [file] = input.files;
    if (!file) return;
    const { observations, lines, errors } = await readCsv(file, store.state.study.metric);
    if (input.files[0] !== file) return;
    showErrors(list, errors.map((error) => error.message));
    if (errors.length) {
      note.textContent = `Nothing was uploaded: ${count(errors.length, "error")} in ${file.name}.`;
      return;
    }
    content = { observations, lines };
    const trained = observations.filter(({ value }) => value !== null).length;
    const failed = observations.filter(({ error }) => error).length;
    const running = observations.length - trained - failed;
    note.textContent = `${file.name}: ${trained} trained, ${failed} failed${running ? `, ${running} running` : ""}.`;
    button.textContent = `Upload ${count(observations.length, "observation")}`;
    button.hidden = false;
  });

  button.addEventListener("click", () => {
    const { observations, lines } = content;
    const upload = async (isOpen) => {
      const path = `${studyPath(store.state.study.id)}/observations`;
      const { added, duplicates } = await api.post(path, { observations }, { timeoutMs: TIMEOUT_MS });
      if (!isOpen()) return;
      input.value = "";
      reset();
      note.textContent = `${count(added, "observation")} added${duplicates ? `; the study had ${duplicates} already` : ""}.`;
      announce(note.textContent);
      input.focus();
      store.set({ changes: store.state.changes + 1 });
    };
    perform(store, button, list, upload, (index) => `line ${lines[index]}, `);
  });

  byId("template").addEventListener("click", () => {
    const { study, suggestions, spaces } = store.state;
    const suggested = suggestions?.suggestions.map(({ architecture }) => architecture) ?? [];
    const architectures = suggested.length ? suggested : Object.values(spaces[study.space]?.presets ?? {});
    const rows = architectures.map((architecture) => [JSON.stringify(architecture), ...COLUMNS.slice(1).map(() => "")]);
    saveFile("observations.csv", formatCsv([COLUMNS, ...rows]), "text/csv");
  });

  store.watch(["id"], () => {
    input.value = "";
    reset();
  });
}
