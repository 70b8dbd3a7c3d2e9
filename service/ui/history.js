/** Undo history of the edited architecture and its task. */

import { taskKey } from "./task.js";

const MAX_UNDO_STEPS = 500;

export class History {
  #store;
  #past = [];
  #future = [];

  constructor(store) {
    this.#store = store;
  }

  /** Replace the architecture, and the task if another is given. */
  edit(architecture, task = this.#store.state.task) {
    const before = this.#entry();
    if (before.architecture && taskKey(before.task, before.architecture) === taskKey(task, architecture)) return;
    if (before.architecture) this.#past = [...this.#past.slice(1 - MAX_UNDO_STEPS), before];
    this.#future = [];
    this.#apply({ architecture, task });
  }

  undo() {
    if (!this.#past.length) return;
    this.#future.push(this.#entry());
    this.#apply(this.#past.pop());
  }

  redo() {
    if (!this.#future.length) return;
    this.#past.push(this.#entry());
    this.#apply(this.#future.pop());
  }

  #entry() {
    const { architecture, task } = this.#store.state;
    return { architecture, task };
  }

  #apply(entry) {
    performance.mark("edit");
    this.#store.set({ ...entry, canUndo: this.#past.length > 0, canRedo: this.#future.length > 0 });
  }
}
