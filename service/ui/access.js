/** The API key, where the server asks for one. It is kept until the tab is closed, and sent to this server alone. */

import { byId, showProblem } from "./dom.js";

export function showAccess(store, api) {
  const field = byId("key");

  api.onRefused = (problem) => {
    const refused = api.key ? { message: `This key was refused: ${problem.message}` } : null;
    store.set({ needsKey: true, keyProblem: refused });
    api.key = null;
  };

  store.watch(["needsKey", "keyProblem", "epoch"], ({ needsKey, keyProblem }) => {
    byId("access").hidden = !needsKey && !api.key;
    byId("key-form").hidden = !needsKey;
    byId("key-in-use").hidden = needsKey;
    showProblem(byId("key-problem"), keyProblem);
  });

  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key = field.value;
    field.value = "";
    store.set({ needsKey: false, keyProblem: null, epoch: store.state.epoch + 1 });
  });

  byId("forget").addEventListener("click", () => {
    api.key = null;
    location.reload();
  });
}
