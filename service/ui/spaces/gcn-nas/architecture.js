/**
 * Architectures of `gcn-nas`.
 *
 * @typedef {{space: string, layers: string[][]}} Architecture
 * @typedef {{name: string, modules: string[], depths: number[], slots: Object<string, number[]>}} Space
 */

import { LinkError } from "../../architecture.js";

/** Text of an architecture in a link, e.g. `L2.S/T/…`. */
export function serialize({ layers }) {
  return layers.map((modules) => modules.join(".")).join("/");
}

/** Inverse of `serialize`. Throws `LinkError` for invalid text. */
export function parse(text, space) {
  const rows = text.split("/");
  if (!space.depths.includes(rows.length)) {
    throw new LinkError(`the link has ${rows.length} layers; allowed: ${space.depths.join(", ")}`);
  }
  const layers = rows.map((row) => (row ? row.split(".") : []));
  const unknown = layers.flat().find((module) => !space.modules.includes(module));
  if (unknown !== undefined) {
    throw new LinkError(`the link has a module ${unknown}; allowed: ${space.modules.join(", ")}`);
  }
  return { space: space.name, layers: layers.map((modules) => inSpaceOrder(modules, space)) };
}

/** Copy with a module of a layer added or removed. */
export function withModule(architecture, layer, module, isPresent, space) {
  const layers = architecture.layers.map((modules, i) => {
    if (i !== layer) return modules;
    return inSpaceOrder(isPresent ? [...modules, module] : modules.filter((other) => other !== module), space);
  });
  return { ...architecture, layers };
}

/**
 * Copy with another number of layers. Layers keep their slots in the network. A new slot gets the modules that
 * `memory` (layers by slot) holds for it, else those of the nearest slot.
 */
export function withDepth(architecture, depth, space, memory) {
  const oldSlots = space.slots[architecture.layers.length];
  const layers = space.slots[depth].map((slot) => {
    const index = oldSlots.indexOf(slot);
    if (index >= 0) return architecture.layers[index];
    if (memory.has(slot)) return memory.get(slot);
    const distances = oldSlots.map((other) => Math.abs(other - slot));
    return architecture.layers[distances.indexOf(Math.min(...distances))];
  });
  return { ...architecture, layers };
}

/** Description in words, for screen readers. */
export function describe({ layers }) {
  const rows = layers.map((modules, i) => `layer ${i + 1} ${modules.join(" ") || "empty"}`);
  return `${layers.length} layers: ${rows.join(", ")}`;
}

function inSpaceOrder(modules, space) {
  return space.modules.filter((module) => modules.includes(module));
}
