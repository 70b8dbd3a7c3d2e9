/** The URL fragment holds the edited architecture, followed by those of the comparison. */

import { parse, serialize } from "./architecture.js";

const MAX_COMPARED = 4;
const WRITE_DELAY_MS = 200; // browsers allow a few changes of the URL a second

/** The fragment's architectures and the number of omitted ones; null if it is empty. Throws `LinkError`. */
export function readFragment(spaces) {
  if (location.hash.length < 2) return null;
  const text = decode(location.hash.slice(1));
  const [architecture, ...comparison] = text.split("&").map((part) => parse(part, spaces));
  const omitted = Math.max(0, comparison.length - MAX_COMPARED);
  return { architecture, comparison: comparison.slice(0, MAX_COMPARED), omitted };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Write the state to the fragment, and call `onChange` when somebody else changes the fragment. */
export function syncFragment(store, onChange) {
  let timer = 0;
  let lastWritten = location.hash;
  const write = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { architecture, comparison } = store.state;
      lastWritten = "#" + [architecture, ...comparison].map(serialize).join("&");
      history.replaceState(null, "", lastWritten);
    }, WRITE_DELAY_MS);
  };
  store.watch(["architecture", "comparison"], write);
  addEventListener("hashchange", () => {
    if (location.hash === lastWritten) return;
    onChange();
    write();
  });
}
