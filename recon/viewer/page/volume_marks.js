/** Marks of the volume panel: the box with its edges' lengths, the outlines of the planes, the scale bar. */

import { PLANE_COLOURS } from "./colours.js";
import { normal, planeInBox } from "./geometry.js";
import { roundLength, formatLength } from "./units.js";

/** Draw the edges of the box that lie behind the volume. */
export function paintBehind(canvas, camera, session, stage) {
  const context = prepared(canvas, stage);
  context.strokeStyle = ink(stage, "--edge-behind");
  for (const edge of camera.edges(true)) stroke(context, edge.map((point) => camera.toPixel(point)));
}

/** Draw the edges before the volume, the planes, the lengths and the scale bar. */
export function paintBefore(canvas, camera, session, stage, { planes = session.view.volume.planes } = {}) {
  const context = prepared(canvas, stage);
  context.strokeStyle = ink(stage, "--edge");
  for (const edge of camera.edges(false)) stroke(context, edge.map((point) => camera.toPixel(point)));
  if (planes) paintPlanes(context, camera, session);
  const bar = paintScaleBar(context, camera, session, stage);
  paintLengths(context, camera, session, stage, bar);
}

function prepared(canvas, stage) {
  const context = canvas.getContext("2d");
  const density = canvas.width / Math.max(stage.clientWidth, 1);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(density, 0, 0, density, 0, 0);
  context.lineWidth = 1;
  return context;
}

const ink = (stage, name) => getComputedStyle(stage).getPropertyValue(name).trim();

function stroke(context, pixels, closed = false) {
  context.beginPath();
  pixels.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (closed) context.closePath();
  context.stroke();
}

function paintPlanes(context, camera, session) {
  context.lineWidth = 1.2;
  for (const [name, plane] of Object.entries(session.view.planes)) {
    const polygon = planeInBox(session.point, normal(name, plane), session.run.bounds);
    if (polygon.length < 3) continue;
    context.strokeStyle = PLANE_COLOURS[name];
    context.globalAlpha = 0.8;
    stroke(context, polygon.map((point) => camera.toPixel(point)), true);
  }
  context.globalAlpha = 1;
}

/** Write each axis and the length of the box along it, at the edge that lies farthest out, beside the scale bar. */
function paintLengths(context, camera, session, stage, bar) {
  context.font = "500 11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = ink(stage, "--ink-soft");
  const centre = camera.toPixel(camera.centre);
  for (const axis of [2, 1, 0]) {
    const edges = [...camera.edges(false)].filter(([a, b]) => a[axis] !== b[axis]);
    const middles = edges.map(([a, b]) => [camera.toPixel(a), camera.toPixel(b)]).map(([a, b]) => ({ a, b, x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 }));
    const { a, b, x, y } = middles.reduce((best, each) => (reach(each, centre) > reach(best, centre) ? each : best));
    if (Math.hypot(a[0] - b[0], a[1] - b[1]) < 26) continue;  // Seen from its end, the edge has no room for its length.
    const away = Math.hypot(x - centre[0], y - centre[1]) || 1;
    const [dx, dy] = [(x - centre[0]) / away, (y - centre[1]) / away];
    context.textAlign = dx > 0.35 ? "left" : dx < -0.35 ? "right" : "center";
    const text = `${"zyx"[axis]}  ${formatLength(camera.size[axis], session.run.length_unit)}`;
    const { actualBoundingBoxLeft: left, actualBoundingBoxRight: right } = context.measureText(text);
    const inPanel = Math.min(Math.max(x + 9 * dx, left + 4), camera.width - right - 4);
    const down = Math.min(Math.max(y + 12 * dy, 10), camera.height - 10);
    const isOnBar = inPanel + right > bar.left - 6 && down > bar.top - 8;
    context.fillText(text, inPanel, isOnBar ? bar.top - 8 : down);
  }
}

/** How far out an edge lies; lower and left ones are preferred, where hands and figures have their axes. */
const reach = ({ x, y }, [cx, cy]) => Math.hypot(x - cx, y - cy) + 0.02 * (y - cy) - 0.01 * (x - cx);

/** Draw the scale bar; the left and upper edge of what it takes. */
function paintScaleBar(context, camera, session, stage) {
  const length = roundLength(0.25 * camera.width * camera.pitch);
  const width = length / camera.pitch;
  const [right, bottom] = [camera.width - 14, camera.height - 14];
  context.fillStyle = ink(stage, "--ink");
  context.fillRect(right - width, bottom - 3, width, 3);
  context.font = "500 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "bottom";
  const text = formatLength(length, session.run.length_unit);
  context.fillText(text, right - width / 2, bottom - 7);
  return { left: right - (width + Math.max(width, context.measureText(text).width)) / 2, top: bottom - 20 };
}
