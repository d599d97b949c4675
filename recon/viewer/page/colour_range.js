/** Colour bar with two handles: the values of the first and the last colour. */

import { isCyclic, paintRamp } from "./colours.js";
import { element } from "./dom.js";
import { axisUnit, formatNumber } from "./units.js";

export class ColourRange {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.canvas = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    this.handles = ["lowest", "highest"].map((name, i) => this.#handle(name, i));
    this.track = element("div", { class: "range" }, this.canvas, ...this.handles);
    this.inputs = ["First colour at", "Last colour at"].map((label, i) => this.#input(label, i));
    this.unit = element("span", { class: "unit" });
    const numbers = element("div", { class: "range-numbers" }, this.inputs[0], this.unit, this.inputs[1]);
    this.element = element("div", { class: "colour-range" }, this.track, numbers);
  }

  /** Ends of the bar: the range of the values, and more where the user went beyond. */
  get #ends() {
    const [low, high] = this.session.fullRange;
    const { low: first, high: last } = this.session.colouring;
    return [Math.min(low, first), Math.max(high, last)];
  }

  #set(index, value) {
    const { session } = this;
    const { low, high } = session.colouring;
    const range = [low, high];
    const [from, to] = this.#ends;
    const gap = (to - from) / 500;
    range[index] = index ? Math.max(value, low + gap) : Math.min(value, high - gap);
    if (range.every(Number.isFinite)) session.store.set({ ranges: { ...session.view.ranges, [session.scaleKey]: range } });
  }

  /** Colours over the whole range of the values again. */
  reset() {
    const { [this.session.scaleKey]: _, ...ranges } = this.session.view.ranges;
    this.session.store.set({ ranges });
  }

  #handle(name, index) {
    const node = element("div", {
      class: "handle", role: "slider", tabindex: 0, "aria-label": `Value of the ${name} colour`,
      onpointerdown: (event) => node.setPointerCapture(event.pointerId),
      onpointermove: (event) => {
        if (!node.hasPointerCapture(event.pointerId)) return;
        const box = this.track.getBoundingClientRect();
        const [low, high] = this.#ends;
        const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
        this.#set(index, low + share * (high - low));
      },
      onkeydown: (event) => {
        const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
        if (!step) return;
        const [low, high] = this.#ends;
        const { low: first, high: last } = this.session.colouring;
        this.#set(index, (index ? last : first) + (step * (high - low)) / 100);
        event.preventDefault();
      },
    });
    return node;
  }

  #input(label, index) {
    const node = element("input", {
      type: "number", step: "any", "aria-label": label,
      onchange: () => (node.value === "" ? this.refresh() : this.#set(index, Number(node.value) / this.factor)),
    });
    return node;
  }

  /** Draw the range as it is in the view. */
  refresh() {
    const { session } = this;
    const { low, high, colours } = session.colouring;
    const isTurn = isCyclic(colours);
    const [from, to] = isTurn ? [low, high] : this.#ends;
    const { factor, name } = axisUnit(session.quantity.unit, Math.max(Math.abs(from), Math.abs(to)));
    this.factor = factor;
    this.unit.textContent = name;
    const share = (value) => (value - from) / (to - from || 1);
    paintRamp(this.canvas, colours, share(low), share(high));
    [low, high].forEach((value, i) => {
      const handle = this.handles[i];
      handle.hidden = isTurn;
      handle.style.left = `${100 * share(value)}%`;
      handle.setAttribute("aria-valuemin", from);
      handle.setAttribute("aria-valuemax", to);
      handle.setAttribute("aria-valuenow", value);
      handle.setAttribute("aria-valuetext", `${formatNumber(value * factor)} ${name}`);
      this.inputs[i].disabled = isTurn;
      this.inputs[i].title = isTurn ? "A cyclic map spans one turn" : "";
      if (document.activeElement !== this.inputs[i]) this.inputs[i].value = Number((value * factor).toPrecision(5));
    });
  }
}
