/**
 * Architectures, as values: nothing here changes one.
 *
 * @typedef {{space: string, layers: string[][]}} Architecture
 * @typedef {{name: string, modules: string[], depths: number[], slots: Object<string, number[]>}} Space
 */

export class LinkError extends Error {}

/** As a link has it: `gcn-nas/L2.S/T/…`, one part a layer. The same for the same architecture. */
export function written({ space, layers }) {
  return [space, ...layers.map((modules) => modules.join("."))].join("/");
}

/** What `written` wrote. Throws `LinkError` for anything else. */
export function read(text, spaces) {
  const [name, ...rows] = text.split("/");
  const space = spaces[name];
  if (!space) throw new LinkError(`the link's search space is ${name}; there is: ${Object.keys(spaces).join(", ")}`);
  if (!space.depths.includes(rows.length)) {
    throw new LinkError(`the link has ${rows.length} layers; allowed: ${space.depths.join(", ")}`);
  }
  const layers = rows.map((row) => (row ? row.split(".") : []));
  const unknown = layers.flat().find((module) => !space.modules.includes(module));
  if (unknown !== undefined) {
    throw new LinkError(`the link's module ${unknown} is none of ${space.modules.join(", ")}`);
  }
  return { space: name, layers: layers.map((modules) => ordered(modules, space)) };
}

/** With a module of a layer there or not. */
export function withModule(architecture, layer, module, there, space) {
  const layers = architecture.layers.map((modules, i) => {
    if (i !== layer) return modules;
    return ordered(there ? [...modules, module] : modules.filter((one) => one !== module), space);
  });
  return { ...architecture, layers };
}

/**
 * With another number of layers. A layer stays at its slot of the network; a slot that had none gets what `memory` has
 * of it (layers by slot), or else the modules of the nearest.
 */
export function withDepth(architecture, depth, space, memory) {
  const before = space.slots[architecture.layers.length];
  const layers = space.slots[depth].map((slot) => {
    const at = before.indexOf(slot);
    if (at >= 0) return architecture.layers[at];
    if (memory.has(slot)) return memory.get(slot);
    const distances = before.map((other) => Math.abs(other - slot));
    return architecture.layers[distances.indexOf(Math.min(...distances))];
  });
  return { ...architecture, layers };
}

/** In words, for those who cannot see the picture. */
export function described({ layers }) {
  const rows = layers.map((modules, i) => `layer ${i + 1} ${modules.join(" ") || "nothing"}`);
  return `${layers.length} layers: ${rows.join(", ")}`;
}

function ordered(modules, space) {
  return space.modules.filter((module) => modules.includes(module));
}
