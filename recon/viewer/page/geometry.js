/**
 * Vectors, slice planes and the box of the model. A vector is an array [z, y, x] in metres.
 *
 * x points right, y down and z away from the viewer: (x, y, z) is right-handed.
 */

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a, factor) => [a[0] * factor, a[1] * factor, a[2] * factor];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a) => Math.hypot(a[0], a[1], a[2]);
export const normalise = (a) => scale(a, 1 / norm(a));

/** Cross product, right-handed in (x, y, z). */
export function cross([az, ay, ax], [bz, by, bx]) {
  return [ax * by - ay * bx, az * bx - ax * bz, ay * bz - az * by];
}

/** Rotate a vector about a unit axis, right-handed in (x, y, z). */
export function rotate(vector, axis, angle) {
  const along = scale(axis, dot(axis, vector) * (1 - Math.cos(angle)));
  return add(add(scale(vector, Math.cos(angle)), scale(cross(axis, vector), Math.sin(angle))), along);
}

/**
 * Directions of the three slice panels, as in the figures of unflat: (y, x) for z, (z, x) for y, (y, z) for x.
 * @returns {Record<string, {right: number[], down: number[]}>}
 */
export function uprightPlanes() {
  return {
    z: { right: [0, 0, 1], down: [0, 1, 0] },
    y: { right: [0, 0, 1], down: [1, 0, 0] },
    x: { right: [1, 0, 0], down: [0, 1, 0] },
  };
}

/** Unit normal of a plane: along +z, +y and +x for upright ones. */
export function normal(name, plane) {
  const sign = name === "z" ? 1 : -1;
  return scale(cross(plane.right, plane.down), sign);
}

/** Rotate a plane about a unit axis, and make its directions orthonormal again. */
export function rotatePlane(plane, axis, angle) {
  const right = normalise(rotate(plane.right, axis, angle));
  const turned = rotate(plane.down, axis, angle);
  return { right, down: normalise(subtract(turned, scale(right, dot(right, turned)))) };
}

/** Name of the axis of an upright plane's direction, such as `x` or `−z`; empty for an oblique one. */
export function axisName(direction) {
  const index = direction.findIndex((component) => Math.abs(component) > 1 - 1e-9);
  return index < 0 ? "" : (direction[index] < 0 ? "−" : "") + "zyx"[index];
}

/** Centre of a box. */
export const boxCentre = ([low, high]) => scale(add(low, high), 0.5);

/** Edges of a box. */
export const boxSize = ([low, high]) => subtract(high, low);

/** Nearest point in a box. */
export const clampToBox = (point, [low, high]) => point.map((c, i) => Math.min(Math.max(c, low[i]), high[i]));

/** The eight corners of a box. */
export function boxCorners([low, high]) {
  return Array.from({ length: 8 }, (_, i) => [i & 4 ? high[0] : low[0], i & 2 ? high[1] : low[1], i & 1 ? high[2] : low[2]]);
}

/** The twelve edges of a box, as pairs of corner numbers. */
export const BOX_EDGES = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((a) =>
  [1, 2, 4].filter((bit) => !(a & bit)).map((bit) => [a, a | bit]),
);

/**
 * Intersect a plane with a box.
 * @returns {number[][]} Corners of the polygon in order; fewer than three where they do not meet.
 */
export function planeInBox(point, direction, bounds) {
  const corners = boxCorners(bounds);
  const heights = corners.map((corner) => dot(subtract(corner, point), direction));
  const points = [];
  for (const [a, b] of BOX_EDGES) {
    if (heights[a] < 0 === heights[b] < 0) continue;
    points.push(add(corners[a], scale(subtract(corners[b], corners[a]), heights[a] / (heights[a] - heights[b]))));
  }
  if (points.length < 3) return points;
  const middle = scale(points.reduce(add), 1 / points.length);
  const first = normalise(subtract(points[0], middle));
  const second = cross(direction, first);
  const angle = (p) => Math.atan2(dot(subtract(p, middle), second), dot(subtract(p, middle), first));
  return points.map((p) => [angle(p), p]).sort((a, b) => a[0] - b[0]).map(([, p]) => p);
}
