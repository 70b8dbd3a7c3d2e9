/** Values kept by the browser for this page, for the session or permanently; in memory where storage is disabled. */

const memory = new Map();

/**
 * The stored value, or null.
 *
 * @param {"session" | "local"} area
 * @param {string} name
 */
export function load(area, name) {
  try {
    return window[`${area}Storage`].getItem(name);
  } catch {
    return memory.get(name) ?? null;
  }
}

/** Store a value; null removes it. */
export function save(area, name, value) {
  try {
    if (value) window[`${area}Storage`].setItem(name, value);
    else window[`${area}Storage`].removeItem(name);
  } catch {
    memory.set(name, value);
  }
}
