/** Editor of the opacity curve: points over the values of the body, dragged by pointer or keys. */

import { colourTable } from "./colours.js";
import { element } from "./dom.js";
import { curveAt, defaultCurve } from "./opacity.js";
import { axisUnit, formatNumber } from "./units.js";

const [WIDTH, HEIGHT, EDGE] = [280, 96, 8];

export class TransferEditor {
  #drag = -1;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.drawing = element("svg:svg", {
      class: "curve",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "group",
      "aria-label": "Opacity curve. Double-click adds a point; delete removes it.",
      ondblclick: (event) => this.#insert(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: () => (this.#drag = -1),
      onpointercancel: () => (this.#drag = -1),
    });
    this.ends = element("div", { class: "ends" });
    this.element = element("div", { class: "transfer" }, this.drawing, this.ends);
  }

  get points() {
    const { body, view } = this.session;
    return view.volume.curves[body.name] ?? defaultCurve(body);
  }

  #set(points) {
    const { body, view, store } = this.session;
    store.setVolume({ curves: { ...view.volume.curves, [body.name]: points } });
  }

  /** Go back to the curve that follows from the background. */
  reset() {
    const { body, view, store } = this.session;
    const { [body.name]: _, ...curves } = view.volume.curves;
    store.setVolume({ curves });
  }

  /** Draw the curve as it is in the view. */
  refresh() {
    const { body } = this.session;
    const { points } = this;
    const place = ([t, a]) => [EDGE + t * (WIDTH - 2 * EDGE), HEIGHT - EDGE - a * (HEIGHT - 2 * EDGE)];
    const line = points.map(place).map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    const [first, last] = [place(points[0])[0], place(points[points.length - 1])[0]];
    const area = `${first},${HEIGHT - EDGE} ${line} ${last},${HEIGHT - EDGE}`;
    const focused = [...this.drawing.querySelectorAll("circle")].indexOf(document.activeElement);
    const knots = points.map((point, i) => this.#knot(place(point), point, i));
    this.drawing.replaceChildren(
      this.#gradient(),
      element("svg:polygon", { points: area, fill: "url(#curve-colours)", "fill-opacity": 0.55 }),
      element("svg:polyline", { points: line, fill: "none", class: "curve-line" }),
      ...knots,
    );
    if (focused >= 0) knots[Math.min(focused, knots.length - 1)]?.focus();
    const { factor, name } = axisUnit(body.unit, Math.max(Math.abs(body.low), Math.abs(body.high)));
    const texts = [body.low, body.high].map((value) => `${formatNumber(value * factor)} ${name}`);
    this.ends.replaceChildren(...texts.map((text) => element("span", {}, text)));
  }

  #gradient() {
    const { session } = this;
    const { low, high, colours } = session.hasOtherBody ? { ...session.body, colours: "gray" } : session.colouring;
    const { body } = session;
    const table = colourTable(colours);
    const stops = Array.from({ length: 33 }, (_, i) => {
      const value = body.low + (i / 32) * (body.high - body.low);
      const k = 3 * Math.round(255 * Math.min(Math.max((value - low) / (high - low || 1), 0), 1));
      return element("svg:stop", { offset: i / 32, "stop-color": `rgb(${table[k]} ${table[k + 1]} ${table[k + 2]})` });
    });
    return element("svg:linearGradient", { id: "curve-colours" }, ...stops);
  }

  #knot([cx, cy], [t, a], index) {
    const { body } = this.session;
    const value = body.low + t * (body.high - body.low);
    return element("svg:circle", {
      cx, cy, r: 5.5, class: "knot", tabindex: 0, role: "slider",
      "aria-label": `Point ${index + 1}: opacity`,
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * a),
      "aria-valuetext": `${Math.round(100 * a)} % at ${formatNumber(value)}`,
      onpointerdown: (event) => {
        this.#drag = index;
        this.drawing.setPointerCapture(event.pointerId);
        event.preventDefault();
      },
      onkeydown: (event) => this.#key(event, index),
    });
  }

  #toPoint(event) {
    const box = this.drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    return [clamp((x - EDGE) / (WIDTH - 2 * EDGE)), clamp((HEIGHT - EDGE - y) / (HEIGHT - 2 * EDGE))];
  }

  #move(event) {
    if (this.#drag >= 0) this.#place(this.#drag, this.#toPoint(event));
  }

  #place(index, [t, a]) {
    const points = this.points.map((point) => [...point]);
    const low = index ? points[index - 1][0] : 0;
    const high = index < points.length - 1 ? points[index + 1][0] : 1;
    points[index] = [Math.min(Math.max(t, low), high), clamp(a)];
    this.#set(points);
  }

  #insert(event) {
    const [t] = this.#toPoint(event);
    const points = [...this.points, [t, curveAt(this.points, t)]].sort((a, b) => a[0] - b[0]);
    this.#set(points);
  }

  #key(event, index) {
    const [t, a] = this.points[index];
    const shifts = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02] };
    const shift = shifts[event.key];
    if (shift) this.#place(index, [t + shift[0], a + shift[1]]);
    else if ((event.key === "Delete" || event.key === "Backspace") && this.points.length > 2) this.#set(this.points.filter((_, i) => i !== index));
    else if (event.key === "Insert") {
      const next = this.points[index + 1] ?? [1, a];
      this.#set([...this.points.slice(0, index + 1), [(t + next[0]) / 2, (a + next[1]) / 2], ...this.points.slice(index + 1)]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const clamp = (value) => Math.min(Math.max(value, 0), 1);
