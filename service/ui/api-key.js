/** Form for the API key. The key is kept until the tab is closed, and sent to this server alone. */

import { byId, showProblem } from "./dom.js";

export function mountApiKey(store, api) {
  const input = byId("key");

  api.onUnauthorized = (problem) => {
    const keyProblem = api.key ? { message: `This key was refused: ${problem.message}` } : null;
    store.set({ needsKey: true, keyProblem });
    api.key = null;
  };

  store.watch(["needsKey", "keyProblem", "refreshes"], ({ needsKey, keyProblem }) => {
    byId("api-key").hidden = !needsKey && !api.key;
    byId("key-form").hidden = !needsKey;
    byId("key-in-use").hidden = needsKey;
    showProblem(byId("key-problem"), keyProblem);
  });

  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key = input.value;
    input.value = "";
    store.set({ needsKey: false, keyProblem: null, refreshes: store.state.refreshes + 1 });
  });

  byId("remove-key").addEventListener("click", () => {
    api.key = null;
    location.reload();
  });
}
