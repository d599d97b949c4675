/** A slice of the model: sampled coarsely while it moves, at each pixel of the screen when it is still. */

import { NewestOnly } from "./api.js";
import { element, iconButton } from "./dom.js";
import { axisName, clampToBox, norm, subtract } from "./geometry.js";
import { PlaneFrame } from "./plane_frame.js";
import { fetchPicture } from "./picture.js";
import { sliceDrag, sliceKey, stepDepth, zoomAbout } from "./slice_moves.js";
import { crossLines, drawAxes, drawCrossLines, drawMeasure, drawScaleBar, markAt } from "./slice_marks.js";
import { clearStatus, showError } from "./status.js";
import { formatCoordinate, formatInRange, withMinus } from "./units.js";

const STILL = 120; // [ms] without a change, after which the exact picture is asked for
const COARSE = 128; // [sample] longest edge of a picture in motion
const LARGEST = 2048; // [sample] longest edge that the server samples

/** One panel with its canvas, its requests and its marks. */
export class SlicePanel {
  #queue = new NewestOnly(() => this.onChange());
  #timer = 0;
  #coarse = null;
  #exact = null;
  #answer = null; // window and source of the last exact picture, or of its failure
  #frameRequest = 0;
  #pointer = null;

  /**
   * @param {import("./session.js").Session} session
   * @param {string} name Panel: `z`, `y` or `x`.
   * @param {object} options
   * @param {() => object|null} options.source Values to show: see `fetchPicture`; null for none.
   * @param {string} [options.title] Title; the name of the axis by default.
   * @param {() => void} [options.onMaximise]
   * @param {() => void} options.onChange Called when a picture arrived, or work began.
   */
  constructor(session, name, { source, title = "", onMaximise = null, onChange }) {
    Object.assign(this, { session, name, source, title, onChange });
    this.#build(onMaximise);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
  }

  #build(onMaximise) {
    this.canvas = element("canvas", { class: "picture", "aria-hidden": "true" });
    this.marks = element("canvas", { class: "marks", "aria-hidden": "true" });
    this.heading = element("h2", {});
    this.readout = element("output", { class: "readout", "aria-live": "off" });
    const tools = [
      iconButton("picture", `Save picture of ${this.title || `the ${this.name} plane`}`, () => this.onSave?.(this)),
      onMaximise && iconButton("maximise", `Maximise the ${this.name} plane`, onMaximise),
    ];
    this.stage = element("div", {
      class: "stage",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "slice",
      "aria-label": `Slice ${this.title || this.name}: arrow keys move it, plus and minus zoom, page up and down change the depth, question mark for all keys`,
      onkeydown: (event) => sliceKey(this, event),
    }, this.canvas, this.marks);
    const head = element("header", {}, this.heading, this.readout, ...tools);
    this.element = element("section", { class: "panel slice", "data-panel": this.name }, head, this.stage);
    sliceDrag(this);
  }

  /** Release what outlives the element. */
  remove() {
    this.observer.disconnect();
    clearTimeout(this.#timer);
    this.element.remove();
  }

  /** Whether the picture on the screen is not yet the exact one. */
  get isBusy() {
    if (!this.isVisible || !this.source()) return false;
    if (this.#queue.busy || this.#timer !== 0 || this.#frameRequest !== 0) return true;
    return !this.session.isGone && !(this.#answer && this.#isCurrent(this.#answer));
  }

  get isVisible() {
    return this.stage.clientWidth > 0 && this.stage.clientHeight > 0;
  }

  /** Exact picture of the plane, or null while it is on its way. */
  get exact() {
    return this.#exact && this.#isCurrent(this.#exact) ? this.#exact : null;
  }

  #isCurrent(picture) {
    const frame = this.frame();
    const offset = picture.frame.toPixel(frame.toPoint(0, 0));
    const isThere = Math.hypot(...offset) < 1e-3 && picture.frame.isSamePlane(frame);
    const isSameSize = picture.frame.width === frame.width && picture.frame.height === frame.height;
    return picture.key === this.source()?.key && isThere && isSameSize && Math.abs(picture.frame.pitch / frame.pitch - 1) < 1e-9;
  }

  /** Window of the panel on its plane. */
  frame() {
    const { view, point, eye, scale } = this.session;
    const { clientWidth: width, clientHeight: height } = this.stage;
    return new PlaneFrame(this.name, view.planes[this.name], point, eye, scale, width, height);
  }

  /** Lines of the other planes in the panel. */
  lines(frame = this.frame()) {
    return crossLines(frame, this.session.view.planes, this.session.point);
  }

  /** Mark under the pointer, which a drag takes hold of. */
  markAt(x, y) {
    return markAt(this.lines(), x, y);
  }

  /** Ask for the values of the window: a coarse picture now, the exact one when all is still. */
  refresh() {
    if (!this.isVisible) return;
    this.redraw();
    clearTimeout(this.#timer);
    this.#timer = 0;
    const source = this.source();
    if (!source || this.session.isGone || (this.#exact && this.#isCurrent(this.#exact))) return this.onChange();
    const frame = this.frame();
    this.#queue.run(() => this.#fetch(frame, COARSE / Math.max(frame.width, frame.height, COARSE), false));
    this.#timer = setTimeout(() => this.#refine(), STILL);
    return this.onChange();
  }

  #refine() {
    this.#timer = 0;
    if (!this.isVisible || !this.source() || this.session.isGone) return this.onChange();
    const frame = this.frame();
    const density = Math.min(window.devicePixelRatio || 1, LARGEST / Math.max(frame.width, frame.height));
    return this.#queue.run(() => this.#fetch(frame, density, true));
  }

  async #fetch(frame, density, isExact) {
    const source = this.source();
    if (!source) return;
    try {
      const picture = await fetchPicture(frame, density, source);
      if (source.key !== this.source()?.key) return;
      if (isExact) this.#exact = picture;
      else this.#coarse = picture;
      if (this.failure) clearStatus();
      this.failure = null;
    } catch (error) {
      this.failure = error;
      showError(error);
    }
    if (isExact) this.#answer = { frame, key: source.key };
    this.redraw();
  }

  /** Draw again what is there, in the next frame of the screen. */
  redraw() {
    if (this.#frameRequest) return;
    this.#frameRequest = requestAnimationFrame(() => {
      this.#frameRequest = 0;
      if (this.isVisible && this.session.run) this.#paint();
      this.onChange();
    });
  }

  /** Fit the canvases to the panel. */
  resize() {
    const density = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.marks]) {
      canvas.width = Math.max(1, Math.round(this.stage.clientWidth * density));
      canvas.height = Math.max(1, Math.round(this.stage.clientHeight * density));
    }
    if (this.session.run) {
      this.onResize?.();
      this.refresh();
    }
  }

  #paint() {
    const frame = this.frame();
    const source = this.source();
    this.#context(this.canvas, (context) => this.#paintPictures(context, frame, source));
    this.#context(this.marks, (context) => this.paintMarks(context, frame));
    this.#describe(frame);
  }

  #context(canvas, paint) {
    const context = canvas.getContext("2d");
    const density = canvas.width / Math.max(this.stage.clientWidth, 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(density, 0, 0, density, 0, 0);
    paint(context);
  }

  #paintPictures(context, frame, source) {
    const pictures = [this.#coarse, this.#exact].filter((picture) => picture && picture.key === source?.key);
    const fitting = pictures.filter((picture) => picture.frame.isSamePlane(frame));
    // Of an older plane the last picture stays until the next arrives: it is nearer to it than an empty panel.
    const shown = fitting.length ? fitting : pictures.slice(0, 1);
    const exact = fitting.find((picture) => picture === this.#exact && this.#isCurrent(picture));
    for (const picture of exact ? [exact] : shown) picture.draw(context, frame, source.colouring);
  }

  /** Draw the marks: other planes, contours, measured line, axes, scale bar. */
  paintMarks(context, frame, { lines = true } = {}) {
    const { session } = this;
    this.paintContours?.(context, frame);
    if (lines) drawCrossLines(context, frame, this.lines(frame));
    const { line } = session.view;
    const inPlane = (p) => Math.hypot(...this.#offPlane(frame, p)) < 2 * frame.pitch;
    if (line && inPlane(line.from) && inPlane(line.to)) drawMeasure(context, frame, line, session.run.length_unit);
    drawAxes(context, frame);
    drawScaleBar(context, frame, session.run.length_unit);
  }

  #offPlane(frame, point) {
    const foot = frame.toPoint(...frame.toPixel(point));
    return point.map((c, i) => c - foot[i]);
  }

  #describe(frame) {
    const text = this.title || placeText(frame, this.session.unit);
    if (this.heading.textContent !== text) this.heading.textContent = text;
    this.heading.title = `normal (z, y, x) = (${frame.normal.map((c) => withMinus(c.toFixed(3))).join(", ")})`;
    this.readout.textContent = this.#pointer ? this.#pointerText(frame, ...this.#pointer) : this.failure ? "no values" : "";
  }

  #pointerText(frame, x, y) {
    const { unit } = this.session;
    const source = this.source();
    const isFitting = (picture) => picture && picture.key === source?.key && picture.frame.isSamePlane(frame);
    const picture = this.exact ?? [this.#exact, this.#coarse].find(isFitting);
    const { point, value = null } = picture?.sampleAt(frame, x, y) ?? { point: frame.toPoint(x, y) };
    const place = point.map((c) => formatCoordinate(c, unit, frame.pitch));
    return `x ${place[2]} y ${place[1]} z ${place[0]} ${unit.name} · ${this.#valueText(point, value, source)}`;
  }

  /** Text of a value; null for one that is not there (yet), NaN for one outside the model. */
  #valueText(point, value, source) {
    if (Number.isFinite(value)) return formatInRange(value, source.quantity.unit, source.colouring);
    const bounds = source?.description.bounds;
    const isOutside = bounds && norm(subtract(clampToBox(point, bounds), point)) > 0;
    if (value !== null || isOutside) return "outside the model";
    return this.failure || !source ? "no value" : "…";
  }

  /** Show position and value under the pointer; null hides them. */
  point(x, y) {
    this.#pointer = x === null ? null : [x, y];
    this.redraw();
  }

  zoom(x, y, factor, event) {
    if (event?.shiftKey) stepDepth(this, factor < 1 ? 1 : -1);
    else zoomAbout(this, x, y, factor);
  }
}

/**
 * Text of the place of a plane: position along its axis, or tilt and a point of it.
 * @param {PlaneFrame} frame
 * @param {{factor: number, name: string}} unit
 */
export function placeText(frame, unit, isFull = false) {
  const axis = axisName(frame.normal);
  if (axis) return `${axis} = ${formatCoordinate(frame.depth, unit, frame.pitch / 2)} ${unit.name}`;
  const tilt = `oblique, ${tiltText(frame.name, frame.normal)}`;
  if (!isFull) return tilt;
  const point = frame.origin.map((c) => formatCoordinate(c, unit, frame.pitch / 2));
  return `${tilt}, through (z, y, x) = (${point.join(", ")}) ${unit.name}`;
}

/** Angle between the normal of a plane and the axis of its panel. */
function tiltText(name, normal) {
  const along = Math.abs(normal["zyx".indexOf(name)]);
  return `${((Math.acos(Math.min(along, 1)) * 180) / Math.PI).toFixed(1)}° from ${name}`;
}
