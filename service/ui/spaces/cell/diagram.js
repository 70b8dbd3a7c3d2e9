/** Drawings of cells, from the input at the top to the output at the bottom. */

import { svg } from "../../dom.js";
import { INPUT } from "./architecture.js";

const BOX_PX = 26; // height
const GAP_PX = 26; // between rows of nodes
const COLUMN_GAP_PX = 10;
const CHARACTER_PX = 7.2;
const PADDING_PX = 18;
const ROW_PX = 76; // between nodes with operations on their edges
const RADIUS_PX = 13;
const LANE_PX = 82; // of an edge that passes by nodes

/** Drawing of a cell; its name is for screen readers. */
export function diagram(architecture, space, name) {
  const draw = space.editor.edges ? drawEdges : drawNodes;
  const { width, height, elements } = draw(architecture, space.editor);
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  return svg("svg", { ...size, class: "cell", role: "img", "aria-label": name }, ...elements);
}

/**
 * Operations on nodes: a tree. Each leaf has a column of its own, and a node is above the middle of its leaves, so that
 * no edge passes behind a node.
 */
function drawNodes({ link, ops }, { operations }) {
  const children = [[], ...ops.map(() => [])];
  link.forEach((source, i) => children[source].push(i + 1));
  const longest = Math.max(INPUT.length, ...operations.map((operation) => operation.length + 2));
  const boxWidth = longest * CHARACTER_PX + PADDING_PX;
  const place = [];
  let columns = 0;
  let rows = 0;
  const visit = (node, row) => {
    rows = Math.max(rows, row + 1);
    const xs = children[node].map((child) => visit(child, row + 1));
    const x = xs.length ? (xs[0] + xs.at(-1)) / 2 : boxWidth / 2 + (boxWidth + COLUMN_GAP_PX) * columns++;
    place[node] = { x, y: row * (BOX_PX + GAP_PX) + 1 };
    return x;
  };
  visit(0, 0);
  const width = columns * (boxWidth + COLUMN_GAP_PX) - COLUMN_GAP_PX + 2;
  const bottom = rows * (BOX_PX + GAP_PX) + 1;
  const line = (from, to) => svg("path", { d: `M${from.x + 1} ${from.y}L${to.x + 1} ${to.y}`, class: "edge" });
  const edges = children.flatMap((targets, node) => {
    const from = { x: place[node].x, y: place[node].y + BOX_PX };
    return targets.length ? targets.map((child) => line(from, place[child])) : [line(from, { x: from.x, y: bottom })];
  });
  const nodes = place.map(({ x, y }, node) => {
    return node ? box(x + 1, y, boxWidth, `${node} ${ops[node - 1]}`, "node") : box(x + 1, y, boxWidth, INPUT, "end");
  });
  const output = box(width / 2, bottom, width - 2, "output", "end");
  return { width, height: bottom + BOX_PX + 1, elements: [...edges, ...nodes, output] };
}

function box(x, y, width, text, kind) {
  const rectangle = { x: x - width / 2, y, width, height: BOX_PX, rx: 5 };
  return svg("g", { class: kind }, svg("rect", rectangle), label(x, y + BOX_PX / 2, text));
}

/**
 * Operations on edges: the nodes are in a column. An edge to the next node is straight, any other has a lane of its own
 * on the left or on the right.
 */
function drawEdges({ ops }, { edges, operations }) {
  const last = Math.max(...edges.flat());
  const lanes = assignLanes(edges);
  const side = (sign) => Math.max(0, ...lanes.filter((lane) => lane * sign > 0).map(Math.abs));
  const half = (Math.max(...operations.map(({ length }) => length)) * CHARACTER_PX) / 2;
  const left = Math.max(half, side(-1) * LANE_PX + half);
  const right = Math.max(half, side(1) * LANE_PX + half);
  const y = (node) => RADIUS_PX + 1 + node * ROW_PX;
  const drawn = edges.map(([source, target], i) => {
    const x = left + lanes[i] * LANE_PX;
    const [top, bottom] = [y(source), y(target)];
    const bend = Math.min(ROW_PX / 2, (bottom - top) / 2);
    const curve =
      `M${left} ${top}C${x} ${top} ${x} ${top} ${x} ${top + bend}` +
      `V${bottom - bend}C${x} ${bottom} ${x} ${bottom} ${left} ${bottom}`;
    const d = lanes[i] ? curve : `M${left} ${top}V${bottom}`;
    const kind = ops[i] === "none" ? "edge absent" : "edge";
    return [svg("path", { d, class: kind }), label(x, (top + bottom) / 2, ops[i], kind)];
  });
  const nodes = Array.from({ length: last + 1 }, (_, node) => {
    const circle = svg("circle", { cx: left, cy: y(node), r: RADIUS_PX });
    return svg("g", { class: node === 0 || node === last ? "end" : "node" }, circle, label(left, y(node), String(node)));
  });
  const [paths, labels] = [drawn.map(([path]) => path), drawn.map(([, text]) => text)];
  return { width: left + right, height: y(last) + RADIUS_PX + 1, elements: [...paths, ...nodes, ...labels] };
}

/** Lane of each edge: 0 is the column of nodes, −1 and 1 the first lanes on the left and on the right, and so on. */
function assignLanes(edges) {
  const lanes = edges.map(() => 0);
  const taken = new Map(); // edges by lane
  const order = edges.map((_, i) => i).sort((i, j) => length(edges[i]) - length(edges[j]));
  for (const i of order.filter((index) => length(edges[index]) > 1)) {
    for (let lane = -1; ; lane = lane < 0 ? -lane : -lane - 1) {
      if ((taken.get(lane) ?? []).some((other) => overlap(edges[other], edges[i]))) continue;
      taken.set(lane, [...(taken.get(lane) ?? []), i]);
      lanes[i] = lane;
      break;
    }
  }
  return lanes;
}

function length([source, target]) {
  return target - source;
}

function overlap(first, second) {
  return first[0] < second[1] && second[0] < first[1];
}

function label(x, y, text, kind = "") {
  return svg("text", { x, y, class: kind.includes("absent") ? "label absent" : "label" }, text);
}
