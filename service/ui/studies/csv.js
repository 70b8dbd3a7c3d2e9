/** Observations of a CSV file (RFC 4180), read strictly: every line is valid, or none is taken. */

import { FieldError, readJsonArchitecture, readObservation } from "./fields.js";

export const COLUMNS = ["architecture", "value", "error", "seconds", "epochs", "curve"];
const REQUIRED = ["architecture", "value"];
const MAX_BYTES = 2 ** 24;
const BYTE_ORDER_MARK = "\ufeff";

/** A refused place of the file; the first line is 1. */
export class CsvError extends Error {
  constructor(line, error) {
    super(`line ${line}, ${error.message}`);
  }
}

/**
 * The observations of a file, or its errors.
 *
 * @param {Blob} file
 * @param {{unit: string}} metric
 * @returns {Promise<{observations: object[], lines: number[], errors: CsvError[]}>} with the line of each observation
 */
export async function readCsv(file, metric) {
  const errors = [];
  const observations = [];
  const lines = [];
  try {
    const [header, ...rows] = parseRows(await readText(file));
    checkHeader(header);
    for (const { line, cells } of rows) {
      const row = readRow(line, cells, header.cells, metric);
      errors.push(...row.errors);
      observations.push(row.observation);
      lines.push(line);
    }
    if (!rows.length) throw new CsvError(header.line + 1, new FieldError("architecture", "", "at least one observation"));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    errors.push(error);
  }
  return { observations, lines, errors };
}

/** CSV text of rows, with quotes where they are needed. */
export function formatCsv(rows) {
  const format = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return rows.map((cells) => `${cells.map(format).join(",")}\r\n`).join("");
}

async function readText(file) {
  if (file.size > MAX_BYTES) throw new CsvError(1, new FieldError("file", `${file.size} bytes`, `at most ${MAX_BYTES}`));
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.replace(BYTE_ORDER_MARK, "");
  } catch {
    throw new CsvError(1, new FieldError("file", "other bytes", "text in UTF-8"));
  }
}

/** Rows with their first line, without empty lines. Throws `CsvError`. */
function parseRows(text) {
  const rows = [];
  let [row, line, position] = [null, 1, 0];
  while (position < text.length) {
    row ??= { line, cells: [] };
    const cell = text[position] === '"' ? quotedCell(text, position, line) : plainCell(text, position, line);
    row.cells.push(cell.content);
    line += cell.content.split("\n").length - 1;
    position = cell.end;
    if (text[position] === ",") {
      position += 1;
      if (position < text.length) continue;
      row.cells.push(""); // the file ends after a comma
    }
    position += text.startsWith("\r\n", position) ? 2 : 1;
    line += 1;
    if (row.cells.length > 1 || row.cells[0] !== "") rows.push(row);
    row = null;
  }
  return rows.length ? rows : [{ line: 1, cells: [""] }];
}

function plainCell(text, start, line) {
  let end = start;
  while (end < text.length && !/[,\r\n]/.test(text[end])) end += 1;
  const content = text.slice(start, end);
  if (content.includes('"')) {
    throw new CsvError(line, new FieldError("quotes", content, 'cells with " in quotes, and each " in them doubled'));
  }
  return { content: content.trim(), end };
}

function quotedCell(text, start, line) {
  let content = "";
  for (let position = start + 1; ; ) {
    const end = text.indexOf('"', position);
    if (end < 0) throw new CsvError(line, new FieldError("quotes", text.slice(start), "a cell that ends with a quote"));
    content += text.slice(position, end);
    if (text[end + 1] !== '"') {
      const next = text[end + 1];
      if (next === undefined || /[,\r\n]/.test(next)) return { content, end: end + 1 };
      const rest = text.slice(start, end + 2);
      throw new CsvError(line, new FieldError("quotes", rest, "a comma or the end of the line after a quoted cell"));
    }
    content += '"';
    position = end + 2;
  }
}

function checkHeader({ line, cells }) {
  const refuse = (value, allowed) => {
    throw new CsvError(line, new FieldError("header", value, allowed));
  };
  const unknown = cells.find((name, i) => !COLUMNS.includes(name) || cells.indexOf(name) !== i);
  const allowed = `the columns ${COLUMNS.join(", ")}, each once, separated by commas`;
  if (unknown !== undefined) refuse(unknown, allowed);
  const missing = REQUIRED.find((name) => !cells.includes(name));
  if (missing) refuse(cells.join(","), `a header with the column ${missing}`);
}

function readRow(line, cells, names, metric) {
  const toCsvErrors = (errors) => errors.map((error) => new CsvError(line, error));
  if (cells.length !== names.length) {
    const allowed = `${names.length}, as the header has`;
    return { observation: null, errors: toCsvErrors([new FieldError("cells", String(cells.length), allowed)]) };
  }
  const empty = Object.fromEntries(COLUMNS.map((name) => [name, ""]));
  const texts = { ...empty, ...Object.fromEntries(names.map((name, i) => [name, cells[i]])) };
  const { observation, errors } = readObservation(texts, metric, readJsonArchitecture);
  return { observation, errors: toCsvErrors(errors) };
}
