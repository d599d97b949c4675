/** Controls of the view: quantity and draw, colours, slices, volume. */

import { COLOUR_MAPS, isCyclic } from "./colours.js";
import { ColourRange } from "./colour_range.js";
import { button, checkbox, element, labelled, select, setOptions } from "./dom.js";
import { HOME } from "./session.js";
import { capital, drawTitle, meanTitle, positionTitle, quantityTitle } from "./titles.js";
import { TransferEditor } from "./transfer.js";
import { axisUnit, formatNumber } from "./units.js";

const MODE_TITLES = { volume: "Volume", maximum: "Maximum", surface: "Surface", slices: "Slices" };

/** The tab of the view's controls. */
export class Controls {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.range = new ColourRange(session);
    this.transfer = new TransferEditor(session);
    this.element = element("div", { class: "controls" }, this.#values(), this.#colours(), this.#slices(), this.#volume());
  }

  #values() {
    const { store } = this.session;
    this.quantity = select([], (quantity) => store.set({ quantity }));
    this.meaning = element("p", { class: "hint" });
    this.cell = select([], (cell) => store.set({ cell: Number(cell) }));
    this.draw = select([], (draw) => store.set({ draw }));
    this.compare = select([], (value) => this.#compareWith(value));
    this.comparePlane = select([["z", "z plane"], ["y", "y plane"], ["x", "x plane"]], (plane) =>
      store.set({ compare: { ...this.session.view.compare, plane } }));
    this.contours = checkbox("Outlines of the draws", (contours) => store.set({ contours }), "Outline of each at the level of the surface, over the slices");
    this.cellField = labelled("Cell", this.cell);
    this.at = element("input", { type: "range", step: "any", list: "acquisitions", oninput: () => store.set({ at: Number(this.at.value) }) });
    this.acquisitions = element("datalist", { id: "acquisitions" });
    this.atText = element("output", { class: "value" });
    this.seriesField = element("div", {}, labelled("Series", this.at), this.atText, this.acquisitions);
    this.drawField = labelled("Draw", this.draw);
    this.compareField = labelled("Side by side", this.compare);
    this.planeField = labelled("Plane side by side", this.comparePlane);
    return group("Values", labelled("Quantity", this.quantity), this.meaning, this.cellField, this.seriesField, this.drawField, this.compareField, this.planeField, this.contours);
  }

  #compareWith(value) {
    const { store, view } = this.session;
    const [kind, run = ""] = value.startsWith("run:") ? ["run", value.slice(4)] : [value];
    store.set({ compare: { ...view.compare, kind, run } });
  }

  #colours() {
    const { session } = this;
    const set = (colours) => session.store.set({ colours: { ...session.view.colours, [session.scaleKey]: colours } });
    this.colours = select([], set);
    this.mask = checkbox("Only inside the body", (mask) => session.store.set({ mask }), "Hide values outside the surface of the body, where they mean nothing");
    this.wholeRange = button("Whole range", () => this.range.reset(), { class: "small" });
    return group("Colours", this.range.element, labelled("Map", this.colours), row(this.wholeRange), this.mask);
  }

  #slices() {
    const { store } = this.session;
    const upright = button("Upright planes", () => store.set({ planes: HOME.planes }), { class: "small" });
    const whole = button("Whole box", () => store.set({ view: null, scale: 0 }), { class: "small" });
    const centre = button("Centre", () => store.set({ point: null }), { class: "small", title: "Planes through the centre of the box" });
    return group("Slices", row(whole, centre, upright));
  }

  #volume() {
    const { store } = this.session;
    this.modes = Object.entries(MODE_TITLES).map(([mode, title]) => {
      const input = element("input", { type: "radio", name: "mode", value: mode, onchange: () => store.setVolume({ mode }) });
      return { mode, input, label: element("label", {}, input, element("span", {}, title)) };
    });
    const modes = element("div", { class: "segments", role: "radiogroup", "aria-label": "Rendering" }, ...this.modes.map(({ label }) => label));
    this.body = select([], (body) => store.setVolume({ body }));
    this.bodyField = labelled("Opacity and surface from", this.body);
    this.strength = slider(-2, 2, 0.02, (value) => store.setVolume({ strength: 10 ** value }));
    this.level = element("input", { type: "range", step: "any", oninput: () => this.#setLevel(Number(this.level.value)) });
    this.levelText = element("output", { class: "value" });
    this.curveField = element("div", {}, this.transfer.element, row(button("Curve of the background", () => this.transfer.reset(), { class: "small" })), labelled("Density", this.strength));
    this.levelField = element("div", {}, labelled("Level of the surface", this.level), this.levelText);
    this.spin = checkbox("Spin", (spin) => store.setVolume({ spin }));
    this.planes = checkbox("Show planes", (planes) => store.setVolume({ planes }));
    return group("Volume", modes, this.bodyField, this.curveField, this.levelField, row(this.spin, this.planes));
  }

  #setLevel(level) {
    const { body, view, store } = this.session;
    store.setVolume({ levels: { ...view.volume.levels, [body.name]: level } });
  }

  /** Show the state of the view. */
  refresh() {
    const { run, view, quantity } = this.session;
    setOptions(this.quantity, run.quantities.map((each) => [each.name, quantityTitle(each)]), quantity?.name);
    this.meaning.textContent = (this.session.draw === "spread" ? quantity.spread.meaning : quantity?.meaning) ?? "";
    this.#refreshChoices(run, view);
    if (!quantity) return;
    this.range.refresh();
    this.transfer.refresh();
    const { colours } = this.session.colouring;
    const maps = Object.entries(COLOUR_MAPS).filter(([name]) => this.session.turn || !isCyclic(name));
    setOptions(this.colours, maps, colours);
    this.wholeRange.disabled = isCyclic(colours);
    this.mask.hidden = !this.session.hasOtherBody;
    this.mask.box.checked = this.session.masked;
    this.#refreshVolume(run, view);
  }

  #refreshChoices(run, view) {
    const cells = Array.from({ length: run.cells ?? 0 }, (_, i) => [String(i), run.names[i] || `cell ${i}`]);
    setOptions(this.cell, cells, String(view.cell ?? 0));
    this.cellField.hidden = cells.length < 2;
    this.#refreshSeries(run);
    const isSingle = run.draws < 2;
    const draws = isSingle ? [] : Array.from({ length: run.draws }, (_, i) => [String(i), capital(drawTitle(run, i))]);
    const spread = this.session.hasSpread ? [["spread", isSingle ? "Uncertainty" : "Spread (standard deviation)"]] : [];
    setOptions(this.draw, [["mean", isSingle ? "Values" : capital(meanTitle(run))], ...draws, ...spread], this.session.draw);
    const { one, many } = run.draws_name;
    this.drawField.firstChild.textContent = isSingle ? "Values or uncertainty" : capital(one);
    this.contours.lastChild.textContent = `Outlines of the ${many}`;
    this.drawField.hidden = isSingle && !spread.length;
    this.contours.hidden = run.draws < 2;
    this.contours.box.checked = view.contours;
    const others = this.session.runs.filter((each) => each.has_result && each.id !== run.id);
    const options = [["none", "Nothing"], ...(run.draws > 1 ? [["draws", `The ${many}`]] : []), ...others.map(({ id, name }) => [`run:${id}`, name])];
    const { compare } = view;
    setOptions(this.compare, options, compare.kind === "run" ? `run:${compare.run}` : compare.kind);
    this.compareField.hidden = options.length < 2;
    this.planeField.hidden = compare.kind === "none";
    this.comparePlane.value = compare.plane;
  }

  #refreshSeries({ series }) {
    this.seriesField.hidden = !series;
    if (!series) return;
    const { positions } = series;
    this.seriesField.querySelector("label").textContent = capital(series.name);
    const options = positions.map((position) => [String(position), positionTitle(series, position)]);
    setOptions(this.acquisitions, options, undefined);
    Object.assign(this.at, { min: positions[0], max: positions.at(-1) });
    if (document.activeElement !== this.at) this.at.value = this.session.at;
    this.atText.textContent = positionTitle(series, this.session.at);
    this.at.setAttribute("aria-valuetext", this.atText.textContent);
  }

  #refreshVolume(run, view) {
    const { body, level, mode } = this.session;
    const { strength, spin, planes } = view.volume;
    for (const each of this.modes) each.input.checked = each.mode === mode;
    setOptions(this.body, run.quantities.map((each) => [each.name, quantityTitle(each)]), body.name);
    this.bodyField.hidden = run.quantities.length < 2 || mode === "maximum" || mode === "slices";
    this.curveField.hidden = mode !== "volume";
    this.levelField.hidden = mode !== "surface";
    this.strength.value = Math.log10(strength);
    this.strength.setAttribute("aria-valuetext", `${formatNumber(strength, 2)} times`);
    Object.assign(this.level, { min: body.low, max: body.high });
    if (document.activeElement !== this.level) this.level.value = level;
    const { factor, name } = axisUnit(body.unit, Math.max(Math.abs(body.low), Math.abs(body.high)));
    this.levelText.textContent = `${formatNumber(level * factor, 5)} ${name}`;
    this.level.setAttribute("aria-valuetext", this.levelText.textContent);
    this.spin.box.checked = spin;
    this.planes.box.checked = planes;
  }
}

function group(title, ...children) {
  return element("section", { class: "group" }, element("h3", {}, title), ...children);
}

const row = (...children) => element("div", { class: "row" }, ...children);

function slider(min, max, step, oninput) {
  const node = element("input", { type: "range", min, max, step, oninput: () => oninput(Number(node.value)) });
  return node;
}
