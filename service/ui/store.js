/** The page's state: one frozen object. `set` changes it, `watch` renders it. */
export class Store {
  #state;
  #watchers = [];

  /** @param {object} state */
  constructor(state) {
    this.#state = Object.freeze(state);
  }

  get state() {
    return this.#state;
  }

  /** Change some fields, and call their watchers. */
  set(changes) {
    const before = this.#state;
    this.#state = Object.freeze({ ...before, ...changes });
    for (const { fields, render } of this.#watchers) {
      if (fields.some((field) => before[field] !== this.#state[field])) render(this.#state);
    }
  }

  /** Call `render` with the state now, and whenever one of the fields has changed. */
  watch(fields, render) {
    this.#watchers.push({ fields, render });
    render(this.#state);
  }
}
