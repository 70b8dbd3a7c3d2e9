/** What the browser keeps for this page, until the tab is closed or for good; in memory where it keeps nothing. */

const memory = new Map();

/** @param {"session" | "local"} where */
export function recall(where, name) {
  try {
    return window[`${where}Storage`].getItem(name);
  } catch {
    return memory.get(name) ?? null;
  }
}

/** Null forgets it. */
export function keep(where, name, value) {
  try {
    if (value) window[`${where}Storage`].setItem(name, value);
    else window[`${where}Storage`].removeItem(name);
  } catch {
    memory.set(name, value);
  }
}
