/** The page's address holds what is drawn: the edited architecture, and after it those that are compared. */

import { read, written } from "./architecture.js";

const MOST_COMPARED = 4;
const PAUSE = 200; // milliseconds; browsers allow a few changes of the address a second

/** What the address says; null where it says nothing. Throws `LinkError`. */
export function fromAddress(spaces) {
  const text = decodeURIComponent(location.hash.slice(1));
  if (!text) return null;
  const [architecture, ...comparison] = text.split("&").map((part) => read(part, spaces));
  return { architecture, comparison: comparison.slice(0, MOST_COMPARED) };
}

/** Keep the address as the state is, and the state as an address that somebody goes to. */
export function keepAddress(store, goTo) {
  let waiting = 0;
  let own = location.hash;
  store.watch(["architecture", "comparison"], () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const { architecture, comparison } = store.state;
      own = "#" + [architecture, ...comparison].map(written).join("&");
      history.replaceState(null, "", own);
    }, PAUSE);
  });
  addEventListener("hashchange", () => {
    if (location.hash !== own) goTo();
  });
}
