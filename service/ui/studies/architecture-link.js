/** Link of an architecture to the editor of the main page. */

import { el } from "../dom.js";
import { editorOf } from "../spaces/index.js";
import { makeTask } from "../task.js";
import { fragmentOf } from "../url-fragment.js";

/** The architecture as a link; as text where the editor cannot open it. */
export function architectureLink(architecture, study, state) {
  const space = state.spaces[study.space];
  const readable = space && editorOf(space).read(architecture, space);
  if (!readable) return el("code", { class: "json" }, JSON.stringify(architecture));
  const task = makeTask(state, study.space, study.settings);
  const href = `./${fragmentOf([readable], task, state)}`;
  const text = editorOf(space).serialize(readable, space);
  return el("a", { href, title: editorOf(space).describe(readable, space), class: "architecture" }, text);
}
