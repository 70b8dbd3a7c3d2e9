/** The page's state: one frozen object. Whoever changes it calls `set`, whoever shows it `watch`. */
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

  /** Change some fields, and have them shown. */
  set(changes) {
    const before = this.#state;
    this.#state = Object.freeze({ ...before, ...changes });
    for (const { fields, show } of this.#watchers) {
      if (fields.some((field) => before[field] !== this.#state[field])) show(this.#state);
    }
  }

  /** Call `show` with the state now, and whenever one of the fields is another value. */
  watch(fields, show) {
    this.#watchers.push({ fields, show });
    show(this.#state);
  }
}
