/**
 * Editors of the search spaces.
 *
 * An editor has these members; `space` is the space's description by `GET /v1/spaces`.
 *
 * @typedef {object} Editor
 * @property {(architecture, space) => ?object} read the architecture in the notation that it edits; null if another
 * @property {(architecture, space) => string} serialize text of a link
 * @property {(text: string, space) => object} parse inverse of `serialize`; throws `LinkError`
 * @property {(architecture, space) => string} describe description in words, for screen readers
 * @property {(architecture, space) => Element[]} picture small picture or text
 * @property {(text: string) => string} inWords text of the API in the editor's words
 * @property {(mutation: object) => string} describeMutation description of a mutation by the API in words
 * @property {(architecture) => object} fixed properties that a random architecture keeps
 * @property {((architecture, space, settings) => boolean) | undefined} allows tells if the settings allow an architecture
 * @property {(parts: {container: Element, controls: Element, space, edit, validate}) => View} mount build the editor
 *
 * @typedef {object} View
 * @property {(architecture, settings) => void} show show an architecture
 * @property {((architecture) => void) | undefined} showCanonical show the server's notation of the shown architecture
 */

import { cell } from "./cell/index.js";
import { gcnNas } from "./gcn-nas/index.js";
import { json } from "./json.js";

const BY_NAME = { "gcn-nas": gcnNas };
const BY_KIND = { cell };

/** Editor of a space: its own, or one of the kind that its description names, or the JSON box. */
export function editorOf({ name, editor }) {
  return BY_NAME[name] ?? BY_KIND[editor?.kind] ?? json;
}
