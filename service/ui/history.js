/** Undo history of the edited architecture. */

import { serialize } from "./architecture.js";

const MAX_UNDO_STEPS = 500;

export class History {
  #store;
  #past = [];
  #future = [];

  constructor(store) {
    this.#store = store;
  }

  /** Replace the architecture. */
  edit(architecture) {
    const before = this.#store.state.architecture;
    if (before && serialize(before) === serialize(architecture)) return;
    if (before) this.#past = [...this.#past.slice(1 - MAX_UNDO_STEPS), before];
    this.#future = [];
    this.#apply(architecture);
  }

  undo() {
    if (!this.#past.length) return;
    this.#future.push(this.#store.state.architecture);
    this.#apply(this.#past.pop());
  }

  redo() {
    if (!this.#future.length) return;
    this.#past.push(this.#store.state.architecture);
    this.#apply(this.#future.pop());
  }

  #apply(architecture) {
    performance.mark("edit");
    this.#store.set({ architecture, canUndo: this.#past.length > 0, canRedo: this.#future.length > 0 });
  }
}
