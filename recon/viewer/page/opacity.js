/** Opacity curves: points [value from 0 to 1 over the range of a quantity, opacity from 0 to 1], in order. */

import { isDistance } from "./session.js";

/**
 * Curve before the user draws one: clear at the background, dense far from it.
 * @param {{low: number, high: number, background: number}} quantity
 * @returns {number[][]}
 */
export function defaultCurve(quantity) {
  const share = (value) => Math.min(Math.max((value - quantity.low) / (quantity.high - quantity.low || 1), 0), 1);
  const middle = share(quantity.background);
  if (isDistance(quantity)) return [[0, 0.8], [share(0) - 0.03, 0.8], [share(0) + 0.01, 0], [1, 0]];
  if (middle < 0.2) return [[0, 0], [middle + 0.12, 0], [middle + 0.4 * (1 - middle), 0.32], [1, 1]];
  if (middle > 0.8) return [[0, 1], [0.6 * middle, 0.32], [middle - 0.12, 0], [1, 0]];
  return [[0, 1], [middle - 0.1, 0], [middle + 0.1, 0], [1, 1]];
}

/** Opacity of a curve at a value. */
export function curveAt(points, t) {
  const next = points.findIndex(([x]) => x >= t);
  if (next < 0) return points[points.length - 1][1];
  if (next === 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
  return x1 > x0 ? y0 + ((y1 - y0) * (t - x0)) / (x1 - x0) : y1;
}
