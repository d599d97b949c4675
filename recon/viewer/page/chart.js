/** Charts of curves as SVG: losses over steps, values along a line. */

import { MARKS } from "./colours.js";
import { element } from "./dom.js";
import { formatNumber, ticks } from "./units.js";

const FRAME = { left: 58, right: 10, top: 10, bottom: 34 };

/**
 * Draw curves.
 * @param {{name: string, points: number[][]}[]} curves Points [x, y]; not finite ones break a curve.
 * @param {object} options
 * @param {string} options.x Title of the horizontal axis, with unit.
 * @param {string} options.y Title of the vertical axis, with unit.
 * @param {boolean} [options.log] Whether the vertical axis is logarithmic.
 * @param {boolean} [options.dots] Whether the points are no line: each stands for itself, by a whole number.
 * @param {string} options.label Text for readers that do not see the chart.
 * @returns {SVGElement}
 */
export function lineChart(curves, { x, y, log = false, dots = false, label, width = 320, height = 190 }) {
  const usable = ([a, b]) => Number.isFinite(a) && Number.isFinite(b) && b !== null && (!log || b > 0);
  const all = curves.flatMap(({ points }) => points.filter(usable));
  const svg = element("svg:svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  if (!all.length) return svg;
  const scaleX = axis(all.map(([a]) => a), FRAME.left, width - FRAME.right, false);
  const scaleY = axis(all.map(([, b]) => b), height - FRAME.bottom, FRAME.top, log);
  const bottom = height - FRAME.bottom;
  for (const value of scaleY.ticks) {
    const at = scaleY(value);
    svg.append(
      element("svg:line", { x1: FRAME.left, x2: width - FRAME.right, y1: at, y2: at, class: "grid" }),
      text(FRAME.left - 6, at + 3.5, formatNumber(value), "end"),
    );
  }
  for (const value of scaleX.ticks.filter((each) => !dots || Number.isInteger(each))) svg.append(text(scaleX(value), bottom + 14, formatNumber(value), "middle"));
  svg.append(element("svg:line", { x1: FRAME.left, x2: width - FRAME.right, y1: bottom, y2: bottom, class: "axis" }));
  svg.append(text((FRAME.left + width - FRAME.right) / 2, height - 5, x, "middle"));
  const title = text(0, 0, y, "middle");
  title.setAttribute("transform", `translate(11 ${(FRAME.top + bottom) / 2}) rotate(-90)`);
  svg.append(title);
  curves.forEach(({ points }, i) => {
    const places = points.map((point) => (usable(point) ? [scaleX(point[0]), scaleY(point[1])] : null));
    const colour = MARKS[i % MARKS.length];
    if (dots) svg.append(...places.filter(Boolean).map(([cx, cy]) => element("svg:circle", { cx, cy, r: 3, fill: colour })));
    else svg.append(element("svg:path", { d: path(places), fill: "none", stroke: colour, "stroke-width": 1.6 }));
  });
  return svg;
}

/** Names of curves with their colours. */
export function legend(curves) {
  const entries = curves.map(({ name }, i) => {
    const line = element("svg:line", { x1: 0, x2: 16, y1: 5, y2: 5, stroke: MARKS[i % MARKS.length], "stroke-width": 3 });
    return element("span", {}, element("svg:svg", { width: 16, height: 10, "aria-hidden": "true" }, line), name);
  });
  return element("div", { class: "legend" }, ...entries);
}

function text(x, y, content, anchor) {
  return element("svg:text", { x, y, "text-anchor": anchor }, content);
}

function path(points) {
  let pen = "M";
  let d = "";
  for (const point of points) {
    if (point) d += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
  }
  return d;
}

/** Scale of an axis: a function from values to pixels, with its ticks. */
function axis(values, from, to, log) {
  let [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) * 1e-3, high + (Math.abs(high) || 1) * 1e-3];
  if (log) [low, high] = [low / 1.1, high * 1.1];
  else if (from > to) [low, high] = [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  const warp = log ? Math.log10 : (value) => value;
  const scale = (value) => from + ((warp(value) - warp(low)) / (warp(high) - warp(low))) * (to - from);
  return Object.assign(scale, { ticks: log ? logTicks(low, high) : ticks(low, high, 4) });
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const steps = decades > 4 ? [1] : decades > 1.2 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const marks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    marks.push(...steps.map((step) => step * 10 ** power).filter((value) => value >= low && value <= high));
  }
  return marks.length > 1 ? marks : ticks(low, high, 4);
}
