/** Connection to the server; all requests are repeated after an interruption. */

import { byId } from "./dom.js";

const PROBE_INTERVAL_MS = 1000;

export function watchConnection(store, api) {
  let isProbing = false;

  async function probe() {
    isProbing = true;
    while (!store.state.online) {
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS));
      try {
        await api.get("health/live");
      } catch {
        // the banner says so already
      }
    }
    isProbing = false;
  }

  api.onConnectivity = (online) => {
    if (online === store.state.online) return;
    store.set(online ? { online, refreshes: store.state.refreshes + 1 } : { online });
    if (!online && !isProbing) probe();
  };

  store.watch(["online"], ({ online }) => {
    const text = "The server cannot be reached. Trying again; the numbers may be out of date.";
    byId("connection").textContent = online ? "" : text;
    byId("connection").hidden = online;
  });
}
