/**
 * Architectures as immutable JSON values; `spaces/` knows their fields.
 *
 * @typedef {{space: string}} Architecture
 */

/** A link that contains no architecture of a known space. */
export class LinkError extends Error {}

/** Text that is equal for equal architectures. */
export function keyOf(architecture) {
  const fields = Object.keys(architecture).sort();
  return JSON.stringify(fields.map((field) => [field, architecture[field]]));
}

/** True for a JSON object. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
