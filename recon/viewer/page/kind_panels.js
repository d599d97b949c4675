/** Panels of the kind of experiment: images that the server draws for parameters of the user's choosing. */

import { decodeFloats, getJson, NewestOnly, runPath } from "./api.js";
import { colourise, paintRamp } from "./colours.js";
import { element } from "./dom.js";
import { drawText } from "./slice_marks.js";
import { showError } from "./status.js";
import { axisUnit, formatLength, formatNumber, roundLength } from "./units.js";

export class KindPanels {
  #key = "";
  #panels = [];

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.element = element("div", { class: "kind-panels" });
  }

  get isEmpty() {
    return this.#panels.length === 0;
  }

  /** Show the panels of the run; ask for their images where run, cell or draw changed. */
  refresh(isShown) {
    const { description: run, view, changed } = this.session;
    const key = JSON.stringify([run.id, run.panels]);
    if (key !== this.#key) {
      this.#key = key;
      this.#panels = run.panels.map((panel) => new KindPanel(this.session, panel));
      this.element.replaceChildren(...this.#panels.map((panel) => panel.element));
    }
    if (isShown) for (const panel of this.#panels) panel.refresh(JSON.stringify([run.id, changed[run.id], view.cell, view.draw, view.at]));
  }
}

class KindPanel {
  #queue = new NewestOnly();
  #source = "";

  constructor(session, { name, title, parameters }) {
    Object.assign(this, { session, name });
    this.values = Object.fromEntries(parameters.map((each) => [each.name, each.value]));
    this.images = element("div", { class: "images" });
    this.text = element("p", { class: "hint" });
    const fields = parameters.map((each) => this.#field(each));
    this.element = element("section", { class: "group" }, element("h3", {}, title), ...fields, this.images, this.text);
  }

  #field({ name, title, low, high, step, value, unit }) {
    const { factor, name: unitName } = axisUnit(unit, Math.max(Math.abs(low), Math.abs(high)));
    const output = element("output", { class: "value" });
    const input = element("input", { type: "range", min: low, max: high, step: step || "any", value, oninput: () => show() });
    // Steps from an end that is no round number meet 0 with an error of rounding, which is no number to show.
    const grain = (high - low) * 1e-9 || 1;
    const show = (ask = true) => {
      this.values[name] = Math.abs(Number(input.value)) < grain ? 0 : Number(input.value);
      output.textContent = `${formatNumber(this.values[name] * factor, 3)} ${unitName}`;
      input.setAttribute("aria-valuetext", output.textContent);
      if (ask) this.#ask();
    };
    show(false);
    return element("label", { class: "field slider" }, element("span", {}, title), output, input);
  }

  refresh(source) {
    if (source === this.#source) return;
    this.#source = source;
    this.#ask();
  }

  #ask() {
    const { description: run, view } = this.session;
    const query = { ...this.values, cell: view.cell, draw: view.draw, at: this.session.at };
    this.element.classList.add("waiting");
    this.#queue.run(async () => {
      try {
        const { images, text = "" } = await getJson(runPath(run.id, `panel/${this.name}`), query);
        this.images.replaceChildren(...images.map((image) => imageFigure(image)));
        this.text.textContent = text;
      } catch (error) {
        this.text.textContent = error.message;
        showError(error);
      }
      this.element.classList.remove("waiting");
    });
  }
}

/** Figure of one image, with scale bar where its pixel is known, colour bar and caption. */
function imageFigure({ title, caption, width, height, low, high, colours, unit, pixel, data, scale }) {
  const isLength = unit === "m";
  const { factor, name } = isLength ? axisUnit(unit, Math.max(Math.abs(low), Math.abs(high))) : { factor: 1, name: "" };
  const note = isLength || !unit || unit === "1" ? "" : ` (${unit}${scale === "log" ? ", logarithmic" : ""})`;
  const canvas = element("canvas", { width, height, role: "img", "aria-label": `${title}${note}. ${caption}` });
  const values = decodeFloats(data);
  const range = scale === "log" ? { low: Math.log10(low), high: Math.log10(high) } : { low, high };
  const shown = scale === "log" ? values.map((value) => (value === value ? Math.log10(Math.max(value, low)) : NaN)) : values;
  canvas.getContext("2d").putImageData(colourise(shown, width, { ...range, colours }), 0, 0);
  const frame = element("div", { class: "image" }, canvas);
  if (pixel) frame.append(scaleBar(width, height, pixel));
  const bar = element("canvas", { class: "bar", width: 256, height: 1, "aria-hidden": "true" });
  paintRamp(bar, colours);
  const ends = [low, high].map((value) => element("span", {}, `${formatNumber(value * factor, 3)} ${name}`));
  const uniform = uniformNote(values, colours);
  const words = element("figcaption", {}, element("strong", {}, title), note, caption ? ` ${caption}` : "", uniform);
  return element("figure", {}, words, frame, uniform ? null : element("div", { class: "image-scale" }, ends[0], bar, ends[1]));
}

/** Note on an image of one value, which would look as if nothing had been drawn. */
function uniformNote(values, colours) {
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return ": no values";
  if (!finite.every((value) => value === finite[0])) return "";
  return finite[0] === 0 && colours === "RdBu_r" ? ": no difference" : `: ${formatNumber(finite[0])} everywhere`;
}

function scaleBar(width, height, pixel) {
  const canvas = element("canvas", { class: "marks", width: 512, height: Math.round((512 * height) / width), "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const length = roundLength(0.28 * width * pixel);
  const long = (length / (width * pixel)) * 512;
  context.fillStyle = "white";
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.lineWidth = 3;
  context.strokeRect(512 - 16 - long, canvas.height - 18, long, 6);
  context.fillRect(512 - 16 - long, canvas.height - 18, long, 6);
  drawText(context, formatLength(length), 512 - 16 - long / 2, canvas.height - 24, { align: "center", baseline: "bottom", size: 22 });
  return canvas;
}

