/** Edits of the architecture, which can be undone. */

import { written } from "./architecture.js";

const MOST = 500;

export class History {
  #store;
  #past = [];
  #future = [];

  constructor(store) {
    this.#store = store;
  }

  /** Go on with another architecture. */
  edit(architecture) {
    const before = this.#store.state.architecture;
    if (before && written(before) === written(architecture)) return;
    if (before) this.#past = [...this.#past.slice(1 - MOST), before];
    this.#future = [];
    this.#go(architecture);
  }

  undo() {
    if (!this.#past.length) return;
    this.#future.push(this.#store.state.architecture);
    this.#go(this.#past.pop());
  }

  redo() {
    if (!this.#future.length) return;
    this.#past.push(this.#store.state.architecture);
    this.#go(this.#future.pop());
  }

  #go(architecture) {
    performance.mark("edit");
    this.#store.set({ architecture, canUndo: this.#past.length > 0, canRedo: this.#future.length > 0 });
  }
}
