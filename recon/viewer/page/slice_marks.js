/** Marks over a slice: lines of the other planes, scale bar, axes, measured line. */

import { PLANE_COLOURS } from "./colours.js";
import { add, cross, norm, normal, normalise, scale, subtract } from "./geometry.js";
import { formatLength, roundLength } from "./units.js";

/** Distance [pixel] within which the pointer takes hold of a line. */
const REACH = 7;

/**
 * Lines in which the other two planes meet a frame.
 * @param {import("./plane_frame.js").PlaneFrame} frame
 * @param {Record<string, {right: number[], down: number[]}>} planes
 * @param {number[]} point Common point of the planes.
 * @returns {{name: string, x: number, y: number, dx: number, dy: number, grip: number}[]} A pixel of each, its unit
 *     direction in pixels, and the distance of its two handles from there.
 */
export function crossLines(frame, planes, point) {
  const [x, y] = frame.toPixel(point);
  const grip = 0.38 * Math.min(frame.width, frame.height);
  return Object.keys(planes)
    .filter((name) => name !== frame.name)
    .flatMap((name) => {
      const along = cross(frame.normal, normal(name, planes[name]));
      if (norm(along) < 1e-6) return [];
      const [u, v] = subtract2(frame.toPixel(add(frame.origin, scale(normalise(along), frame.pitch))), frame);
      return [{ name, x, y, dx: u, dy: v, grip }];
    });
}

const subtract2 = ([x, y], frame) => [x - frame.width / 2, y - frame.height / 2];

/**
 * Line or handle at a pixel.
 * @returns {{kind: "turn"|"shift", lines: object[]}|null} Both lines where they cross.
 */
export function markAt(lines, x, y) {
  const near = [];
  for (const line of lines) {
    const [rx, ry] = [x - line.x, y - line.y];
    const along = rx * line.dx + ry * line.dy;
    const across = Math.abs(rx * line.dy - ry * line.dx);
    if (across < REACH + 3 && Math.abs(Math.abs(along) - line.grip) < REACH + 3) return { kind: "turn", lines: [line] };
    if (across < REACH) near.push(line);
  }
  return near.length ? { kind: "shift", lines: near } : null;
}

/** Draw the lines of the other planes, with a handle to turn them at each end. */
export function drawCrossLines(context, frame, lines) {
  const far = frame.width + frame.height;
  for (const { name, x, y, dx, dy, grip } of lines) {
    const gap = 9;
    context.lineWidth = 1;
    context.strokeStyle = PLANE_COLOURS[name];
    context.globalAlpha = 0.85;
    for (const sign of [-1, 1]) {
      stroke(context, [x + sign * gap * dx, y + sign * gap * dy], [x + sign * far * dx, y + sign * far * dy]);
    }
    context.globalAlpha = 1;
    for (const sign of [-1, 1]) {
      context.beginPath();
      context.arc(x + sign * grip * dx, y + sign * grip * dy, 4, 0, 2 * Math.PI);
      context.fillStyle = "rgb(0 0 0 / 0.35)";
      context.fill();
      context.stroke();
    }
  }
}

function stroke(context, [ax, ay], [bx, by]) {
  context.beginPath();
  context.moveTo(ax, ay);
  context.lineTo(bx, by);
  context.stroke();
}

/** Write text that is legible on any picture. */
export function drawText(context, text, x, y, { align = "left", baseline = "middle", size = 12, colour = "white" } = {}) {
  context.font = `500 ${size}px system-ui, sans-serif`;
  context.textAlign = align;
  context.textBaseline = baseline;
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** Draw a scale bar of a round length in the lower right corner. */
export function drawScaleBar(context, frame, unit) {
  const length = roundLength(0.28 * frame.width * frame.pitch);
  const width = length / frame.pitch;
  const [right, bottom] = [frame.width - 14, frame.height - 14];
  context.fillStyle = "rgb(0 0 0 / 0.55)";
  context.fillRect(right - width - 1, bottom - 4, width + 2, 6);
  context.fillStyle = "white";
  context.fillRect(right - width, bottom - 3, width, 4);
  drawText(context, formatLength(length, unit), right - width / 2, bottom - 8, { align: "center", baseline: "bottom" });
}

/** Draw the directions of the axes in the lower left corner; none for an oblique plane. */
export function drawAxes(context, frame) {
  const [right, down] = frame.axes;
  if (!right || !down) return;
  const [x, y, length] = [14, frame.height - 42, 18];
  for (const [colour, width] of [["rgb(0 0 0 / 0.55)", 3.5], ["white", 1.4]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x + length, y);
    context.lineTo(x, y);
    context.lineTo(x, y + length);
    context.moveTo(x + length - 4, y - 3);
    context.lineTo(x + length, y);
    context.lineTo(x + length - 4, y + 3);
    context.moveTo(x - 3, y + length - 4);
    context.lineTo(x, y + length);
    context.lineTo(x + 3, y + length - 4);
    context.stroke();
  }
  drawText(context, right, x + length + 6, y);
  drawText(context, down, x, y + length + 9, { align: "center" });
}

/** Draw the measured line with its length. */
export function drawMeasure(context, frame, line, unit) {
  const [from, to] = [frame.toPixel(line.from), frame.toPixel(line.to)];
  for (const [colour, width] of [["rgb(0 0 0 / 0.6)", 4], ["white", 1.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    stroke(context, from, to);
  }
  for (const [x, y] of [from, to]) {
    context.beginPath();
    context.arc(x, y, 3.5, 0, 2 * Math.PI);
    context.fillStyle = "white";
    context.fill();
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.lineWidth = 1;
    context.stroke();
  }
  const [x, y] = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  drawText(context, formatLength(norm(subtract(line.to, line.from)), unit), x + 8, y - 10);
}
