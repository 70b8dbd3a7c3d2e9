/**
 * Architectures that are one cell, a directed acyclic graph with an operation on each node or on each edge.
 *
 * A space describes its cells as `editor`: `{"kind": "cell", "operations": […]}` with either `"nodes": n`, where
 * `ops[i]` is the operation of node i + 1 and `link[i]` its input (0 is the cell's input, k is node k), or
 * `"edges": [[0, 1], …]`, where `ops[i]` is the operation of edge i. `"restricted_operations"`, e.g.
 * `{"dataset": {"proteins": […]}}`, names those that are allowed with a value of a setting.
 *
 * @typedef {{space: string, link?: number[], ops: string[]}} Architecture
 */

import { LinkError } from "../../architecture.js";

export const INPUT = "cell input";

/** The architecture in the notation above, read from it or from the text of `arch`; null if it is in another. */
export function read({ link, ops, arch }, { name, editor }) {
  if (editor.nodes !== undefined) return link && ops ? { space: name, link, ops } : null;
  return ops || arch ? { space: name, ops: ops ?? operationsOf(arch, editor.edges) } : null;
}

/** Operations of a text such as `|skip_connect~0|+|none~0|skip_connect~1|`, with a group of edges for each node. */
function operationsOf(arch, edges) {
  const operations = new Map();
  arch.split("+").forEach((group, i) => {
    for (const [, operation, source] of group.matchAll(/([^|~]+)~(\d+)/g)) operations.set(`${source} ${i + 1}`, operation);
  });
  return edges.map((edge) => operations.get(edge.join(" ")));
}

/** Text of an architecture in a link, e.g. `0.0.1.2/gcn.gat.skip.fc`. */
export function serialize({ link, ops }) {
  return [...(link ? [link.join(".")] : []), ops.join(".")].join("/");
}

/** Inverse of `serialize`. Throws `LinkError` for invalid text. */
export function parse(text, { name, editor }) {
  const n = editor.nodes ?? editor.edges.length;
  const texts = text.split("/");
  const [linkText, operationText] = editor.nodes === undefined ? [null, ...texts] : texts;
  const link = linkText?.split(".").map(Number);
  const ops = operationText?.split(".") ?? [];
  if (link && !(link.length === n && link.every((source, i) => Number.isInteger(source) && 0 <= source && source <= i))) {
    throw new LinkError(`the link has the inputs ${linkText}; allowed: ${n} numbers, each of an earlier node`);
  }
  const unknown = ops.find((operation) => !editor.operations.includes(operation));
  if (ops.length !== n || unknown !== undefined) {
    const value = unknown === undefined ? `${ops.length} operations` : `an operation ${unknown}`;
    throw new LinkError(`the link has ${value}; allowed: ${n} of ${editor.operations.join(", ")}`);
  }
  return { space: name, ...(link ? { link } : {}), ops };
}

/** Operations that the settings allow. */
export function allowedOperations({ operations, restricted_operations: restrictions = {} }, settings) {
  const allowed = Object.entries(restrictions).map(([name, byValue]) => byValue[settings[name]] ?? operations);
  return operations.filter((operation) => allowed.every((names) => names.includes(operation)));
}

/** Copy with another operation of node or edge `i`. */
export function withOperation(architecture, i, operation) {
  return { ...architecture, ops: architecture.ops.with(i, operation) };
}

/** Copy with another input of node `i`. */
export function withLink(architecture, i, source) {
  return { ...architecture, link: architecture.link.with(i, source) };
}

/** Name of the place of operation `i`. */
export function placeName(i, { editor }) {
  return editor.edges ? `edge ${editor.edges[i].join(" \u2192 ")}` : `node ${i + 1}`;
}

/** Name of a node's input. */
export function sourceName(source) {
  return source ? `node ${source}` : INPUT;
}

/** Description in words, for screen readers. */
export function describe({ link, ops }, space) {
  return ops
    .map((operation, i) => {
      const input = link ? ` of ${sourceName(link[i])}` : "";
      return `${placeName(i, space)}: ${operation}${input}`;
    })
    .join(", ");
}
