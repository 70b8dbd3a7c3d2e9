/** The page's address holds what is drawn: the edited architecture, and after it those that are compared. */

import { read, written } from "./architecture.js";

const MOST_COMPARED = 4;
const PAUSE = 200; // milliseconds; browsers allow a few changes of the address a second

/** What the address says, and how many it has too many; null where it says nothing. Throws `LinkError`. */
export function fromAddress(spaces) {
  if (location.hash.length < 2) return null;
  const text = decoded(location.hash.slice(1));
  const [architecture, ...comparison] = text.split("&").map((part) => read(part, spaces));
  const tooMany = Math.max(0, comparison.length - MOST_COMPARED);
  return { architecture, comparison: comparison.slice(0, MOST_COMPARED), tooMany };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Keep the address as the state is, and the state as an address that somebody goes to. */
export function keepAddress(store, goTo) {
  let waiting = 0;
  let own = location.hash;
  const write = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const { architecture, comparison } = store.state;
      own = "#" + [architecture, ...comparison].map(written).join("&");
      history.replaceState(null, "", own);
    }, PAUSE);
  };
  store.watch(["architecture", "comparison"], write);
  addEventListener("hashchange", () => {
    if (location.hash === own) return;
    goTo();
    write();
  });
}
