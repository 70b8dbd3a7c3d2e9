/** Form of an observation that is entered by hand. */

import { announce, byId } from "../dom.js";
import { showErrors } from "./errors.js";
import { FieldError, readArchitectureOrAddress, readObservation } from "./fields.js";
import { submit } from "./submit.js";
import { studyPath } from "./summary.js";

/** Mount the form; returns the function that fills in an architecture. */
export function mountObserve(store, api) {
  const form = byId("observe-form");
  const field = (name) => form.elements[name];
  const hasFailed = () => field("outcome").value === "failed";

  function showOutcome() {
    byId("observe-value").hidden = hasFailed();
    byId("observe-error").hidden = !hasFailed();
  }
  form.addEventListener("change", showOutcome);
  form.addEventListener("input", () => (byId("observe-note").textContent = ""));

  submit(store, form, byId("observe-errors"), async (isOpen) => {
    const { study } = store.state;
    const text = (name) => field(name).value.trim();
    if (hasFailed() && !text("error")) throw new FieldError("error", "", "the reason of the failure");
    const outcome = hasFailed() ? { value: "", error: text("error") } : { value: text("value"), error: "" };
    const texts = { architecture: text("architecture"), ...outcome, seconds: text("seconds"), epochs: text("epochs"), curve: "" };
    const read = (json) => readArchitectureOrAddress(json, study.space, store.state);
    const { observation, errors } = readObservation(texts, study.metric, read);
    if (errors.length) return showErrors(byId("observe-errors"), errors.map((error) => error.message));
    const { added } = await api.post(`${studyPath(study.id)}/observations`, { observations: [observation] });
    if (!isOpen()) return;
    form.reset();
    showOutcome();
    const message = added ? "The observation was added." : "The study had this observation already.";
    byId("observe-note").textContent = message;
    announce(message);
    store.set({ changes: store.state.changes + 1 });
  });

  store.watch(["study"], ({ study }) => {
    if (study) byId("observe-unit").textContent = `${study.metric.name}, ${study.metric.unit}`;
  });
  store.watch(["id"], () => {
    form.reset();
    showOutcome();
    showErrors(byId("observe-errors"), []);
    byId("observe-note").textContent = "";
  });

  return (architecture) => {
    field("architecture").value = JSON.stringify(architecture);
    field(hasFailed() ? "error" : "value").focus();
  };
}
