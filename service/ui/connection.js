/** Whether the server is reached; when it is back, everything is asked again. */

import { byId } from "./dom.js";

const PAUSE = 1000; // milliseconds between two attempts

export function keepConnected(store, api) {
  let trying = false;

  async function tryAgain() {
    trying = true;
    while (!store.state.reached) {
      await new Promise((done) => setTimeout(done, PAUSE));
      try {
        await api.get("health/live");
      } catch {
        // the banner says so already
      }
    }
    trying = false;
  }

  api.onReached = (reached) => {
    if (reached === store.state.reached) return;
    store.set(reached ? { reached, epoch: store.state.epoch + 1 } : { reached });
    if (!reached && !trying) tryAgain();
  };

  store.watch(["reached"], ({ reached }) => {
    byId("connection").textContent = reached ? "" : "The server is not reached. Trying again; numbers may be out of date.";
    byId("connection").hidden = reached;
  });
}
