/** Validation by the server. */

import { Problem } from "./api.js";

/** The validated architecture, with its cost. Throws `Problem` if it is refused. */
export async function validate(api, task, architecture, signal) {
  const [item] = await validateAll(api, task, [architecture], signal);
  if (item.error) throw new Problem(item.error.status, item.error);
  return item;
}

/** Validated architectures; an item with `error` for each that is refused. */
export async function validateAll(api, { space, settings }, architectures, signal) {
  const body = { architectures, space, settings };
  const { validations } = await api.post("v1/architectures/validate", body, { signal });
  return validations;
}
