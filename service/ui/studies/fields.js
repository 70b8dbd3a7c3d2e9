/** Strict reading of an observation's fields: from the cells of a CSV file, and from the form. */

import { isObject, LinkError } from "../architecture.js";
import { readFragment } from "../url-fragment.js";

const BOUNDS = { fraction: [0, 1], percent: [0, 100], number: [-Infinity, Infinity] }; // by unit
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const MAX_SHOWN = 60; // characters of a refused value

/** A refused field. */
export class FieldError extends Error {
  constructor(field, value, allowed) {
    const shown = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}\u2026` : value;
    super(`${field}: got ${shown === "" ? "nothing" : shown}, allowed: ${allowed}`);
    this.field = field;
  }
}

/**
 * The observation of some texts, and the errors of all refused ones.
 *
 * @param {Object<string, string>} texts by name: architecture, value, error, seconds, epochs, curve; empty if unknown
 * @param {{unit: string}} metric
 * @param {(text: string) => object} readArchitecture throws `FieldError`
 * @returns {{observation: object, errors: FieldError[]}}
 */
export function readObservation(texts, metric, readArchitecture) {
  const errors = [];
  const attempt = (read) => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      errors.push(error);
      return null;
    }
  };
  const { seconds, epochs, curve } = texts;
  const observation = {
    architecture: attempt(() => readArchitecture(texts.architecture)),
    ...attempt(() => readOutcome(texts, metric)),
    ...attempt(() => seconds && { seconds: readNumber("seconds", seconds, [0, Infinity], "a number of at least 0") }),
    ...attempt(() => epochs && { epochs: readInteger("epochs", epochs) }),
    ...attempt(() => curve && { curve: readCurve(curve) }),
  };
  return { observation, errors };
}

/** The value of a training, or the reason of its failure: one of the two, or neither beside the curve of a running one. */
function readOutcome({ value, error, curve }, { unit }) {
  if (value && error) throw new FieldError("error", error, "nothing beside a value");
  if (error) return { value: null, error };
  if (!value && curve) return { value: null };
  const [low, high] = BOUNDS[unit];
  const range = unit === "number" ? "a number" : `${low} to ${high}, as the unit is ${unit}`;
  const allowed = value ? range : `${range}; or nothing beside the reason of a failed training in the field error`;
  return { value: readNumber("value", value, [low, high], allowed) };
}

function readNumber(field, text, [low, high], allowed) {
  const number = NUMBER.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(number) || number < low || number > high) throw new FieldError(field, text, allowed);
  return number;
}

function readInteger(field, text) {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new FieldError(field, text, "a whole number");
  return Number(text);
}

function readCurve(text) {
  const allowed = "values as a JSON list, e.g. [0.1, 0.4]";
  const curve = parseJson("curve", text, allowed);
  if (!Array.isArray(curve) || !curve.every(Number.isFinite)) throw new FieldError("curve", text, allowed);
  return curve;
}

function parseJson(field, text, allowed) {
  try {
    return JSON.parse(text);
  } catch {
    throw new FieldError(field, text, allowed);
  }
}

/** Architecture of a JSON text. The server checks its fields. */
export function readJsonArchitecture(text) {
  const allowed = "an architecture as a JSON object";
  const architecture = parseJson("architecture", text, allowed);
  if (!isObject(architecture)) throw new FieldError("architecture", text, allowed);
  return architecture;
}

/** Architecture of a JSON text, or of an address of the editor. */
export function readArchitectureOrAddress(text, space, state) {
  const start = text.indexOf("#");
  if (text.startsWith("{") || start < 0) return readJsonArchitecture(text);
  let fragment;
  try {
    fragment = readFragment(text.slice(start), state);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    throw new FieldError("architecture", text, `an address of the editor; ${error.message}`);
  }
  if (!fragment) throw new FieldError("architecture", text, "an address of the editor, which contains an architecture");
  if (fragment.task.space !== space) throw new FieldError("architecture", text, `an architecture of ${space}`);
  return fragment.architecture;
}
