/** Moves of a slice by pointer and keys: shift, zoom, depth, tilt, turn of the other planes, measured line. */

import { add, boxSize, cross, dot, clampToBox, norm, rotatePlane, scale, subtract } from "./geometry.js";
import { listenToGestures } from "./gestures.js";
import { HOME } from "./session.js";

const TILT = 0.006; // [rad/pixel]
const ZOOM_RANGE = 1e5; // from the box in the panel to a hundred thousandth of it

/** Listen to the pointers of a panel. */
export function sliceDrag(panel) {
  const { stage, session } = panel;
  listenToGestures(stage, {
    start(x, y, event) {
      stage.focus({ preventScroll: true });
      const drag = dragAt(panel, x, y, event);
      stage.classList.add("dragged");
      return { ...drag, end: (...rest) => (stage.classList.remove("dragged"), drag.end?.(...rest)) };
    },
    zoom: (x, y, factor, event) => panel.zoom(x, y, factor, event),
    hover(x, y, event) {
      panel.point(x, y);
      if (x !== null && !stage.classList.contains("dragged")) stage.style.cursor = cursorAt(panel, x, y, event);
    },
  });
  // On a Mac a click with Ctrl would open the menu in place of tilting.
  stage.addEventListener("contextmenu", (event) => event.ctrlKey && event.preventDefault());
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    session.store.set({ point: inBox(session, panel.frame().toPoint(event.clientX - box.left, event.clientY - box.top)) });
  });
}

/** Kind of drag that begins at a pixel. */
function dragAt(panel, x, y, event) {
  if (panel.session.measuring) return measureDrag(panel, x, y);
  if (event.altKey || event.ctrlKey) return tiltDrag(panel);
  if (event.shiftKey) return pointDrag(panel, x, y);
  const mark = panel.markAt(x, y);
  if (mark?.kind === "turn") return turnDrag(panel, x, y);
  if (mark?.kind === "shift") return shiftDrag(panel, mark.lines, x, y);
  return panDrag(panel);
}

function cursorAt(panel, x, y, event) {
  if (panel.session.measuring) return "crosshair";
  if (event.altKey || event.ctrlKey) return "all-scroll";
  if (event.shiftKey) return "crosshair";
  const mark = panel.markAt(x, y);
  if (!mark) return "grab";
  if (mark.kind === "turn") return "alias";
  if (mark.lines.length > 1) return "move";
  return Math.abs(mark.lines[0].dx) > Math.abs(mark.lines[0].dy) ? "ns-resize" : "ew-resize";
}

const inBox = (session, point) => clampToBox(point, session.run.bounds);

function panDrag(panel) {
  return { move: (dx, dy) => pan(panel, dx, dy) };
}

function pan(panel, dx, dy) {
  const { session } = panel;
  session.store.set({ view: subtract(session.eye, panel.frame().toVector(dx, dy)) });
}

function pointDrag(panel, x, y) {
  const { session } = panel;
  const move = (_dx, _dy, u, v) => session.store.set({ point: inBox(session, panel.frame().toPoint(u, v)) });
  move(0, 0, x, y);
  return { move };
}

/** Other planes follow the pointer across their lines; the handle under the pointer stays under it. */
function shiftDrag(panel, lines, x, y) {
  const { session } = panel;
  const [px, py] = panel.frame().toPixel(session.point);
  const free = lines.length > 1;
  const { dx: lx, dy: ly } = lines[0];
  const [offX, offY] = [x - px, y - py];
  return {
    move(_dx, _dy, u, v) {
      let [shiftX, shiftY] = [u - offX - px, v - offY - py];
      if (!free) {
        const across = shiftY * lx - shiftX * ly;
        [shiftX, shiftY] = [-ly * across, lx * across];
      }
      session.store.set({ point: inBox(session, panel.frame().toPoint(px + shiftX, py + shiftY)) });
    },
  };
}

/** Other planes turn about this one's normal. */
function turnDrag(panel, x, y) {
  const { session } = panel;
  const angleAt = (u, v) => {
    const [px, py] = panel.frame().toPixel(session.point);
    return Math.atan2(v - py, u - px);
  };
  let last = angleAt(x, y);
  return {
    move(_dx, _dy, u, v) {
      const angle = angleAt(u, v);
      turnOthers(session, panel.name, angle - last);
      last = angle;
    },
  };
}

/** Turn the other planes about a panel's normal, from its right to its down. */
export function turnOthers(session, name, angle) {
  const planes = { ...session.view.planes };
  const axis = cross(planes[name].right, planes[name].down);
  for (const other of Object.keys(planes)) if (other !== name) planes[other] = rotatePlane(planes[other], axis, angle);
  session.store.set({ planes });
}

function tiltDrag(panel) {
  return { move: (dx, dy) => tilt(panel, dx * TILT, -dy * TILT) };
}

/** Tilt a plane about its vertical, then about its horizontal, through the common point. */
export function tilt({ session, name }, aboutDown, aboutRight) {
  const plane = session.view.planes[name];
  const tilted = rotatePlane(rotatePlane(plane, plane.down, aboutDown), plane.right, aboutRight);
  session.store.set({ planes: { ...session.view.planes, [name]: tilted } });
}

function measureDrag(panel, x, y) {
  const { session } = panel;
  const from = panel.frame().toPoint(x, y);
  return {
    move: (_dx, _dy, u, v) => session.store.set({ line: { from, to: panel.frame().toPoint(u, v) } }),
  };
}

/** Zoom so that the point under a pixel stays under it. */
export function zoomAbout(panel, x, y, factor) {
  const { session } = panel;
  const anchor = panel.frame().toPoint(x, y);
  const pitch = Math.min(Math.max(session.scale / factor, session.fit / ZOOM_RANGE), session.fit * 8);
  const eye = add(anchor, scale(subtract(session.eye, anchor), pitch / session.scale));
  session.store.set({ scale: pitch, view: eye });
}

/** Move a plane along its normal by a sample of the model, or of the screen where that is finer. */
export function stepDepth(panel, steps) {
  const { session } = panel;
  const { normal } = panel.frame();
  const spacing = Math.abs(dot(normal, session.run.spacing.map((d, i) => d * Math.sign(normal[i] || 1))));
  const step = Math.min(spacing || norm(boxSize(session.run.bounds)) / 100, 2 * session.scale);
  session.store.set({ point: inBox(session, add(session.point, scale(normal, steps * step))) });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Move a slice by the keyboard. */
export function sliceKey(panel, event) {
  const { session } = panel;
  if (event.ctrlKey || event.metaKey) return;
  const [width, height] = [panel.stage.clientWidth, panel.stage.clientHeight];
  const arrow = ARROWS[event.key];
  if (arrow && event.altKey) tilt(panel, (arrow[0] * Math.PI) / 36, (-arrow[1] * Math.PI) / 36);
  else if (arrow && event.shiftKey) movePoint(panel, arrow);
  else if (arrow) pan(panel, -arrow[0] * width * 0.08, -arrow[1] * height * 0.08);
  else if (event.key === "+" || event.key === "=") zoomAbout(panel, width / 2, height / 2, 1.25);
  else if (event.key === "-") zoomAbout(panel, width / 2, height / 2, 0.8);
  else if (event.key === "PageUp") stepDepth(panel, event.shiftKey ? -10 : -1);
  else if (event.key === "PageDown") stepDepth(panel, event.shiftKey ? 10 : 1);
  else if (event.key === "[" || event.key === "]") turnOthers(session, panel.name, ((event.key === "[" ? -1 : 1) * Math.PI) / 36);
  else if (event.key === "Home" || event.key === "0") session.store.set({ ...HOME, line: session.view.line });
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function movePoint(panel, [right, down]) {
  const { session } = panel;
  session.store.set({ point: inBox(session, add(session.point, panel.frame().toVector(4 * right, 4 * down))) });
}
