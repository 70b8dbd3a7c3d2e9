/** The API key, where the server asks for one. It is kept until the tab is closed, and sent to this server alone. */

import { byId } from "./dom.js";

export function showAccess(store, api) {
  const [section, field] = [byId("access"), byId("key")];

  api.onRefused = () => {
    api.key = null;
    store.set({ needsKey: true });
  };

  store.watch(["needsKey", "epoch"], ({ needsKey }) => {
    section.hidden = !needsKey && !api.key;
    byId("key-form").hidden = !needsKey;
    byId("key-in-use").hidden = needsKey;
  });

  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key = field.value.trim();
    field.value = "";
    store.set({ needsKey: false, epoch: store.state.epoch + 1 });
  });

  byId("forget").addEventListener("click", () => {
    api.key = null;
    location.reload();
  });
}
