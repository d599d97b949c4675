/** The run that is shown: its description, and what follows from it and the view. */

import { getJson, runPath } from "./api.js";
import { isCyclic } from "./colours.js";
import { boxCentre, boxSize, norm, uprightPlanes } from "./geometry.js";
import { lengthUnit, period } from "./units.js";

const SPREAD_SCALE = ":spread";

/** Joins the store with the descriptions of runs. */
export class Session {
  #opens = 0;

  /** @param {import("./state.js").Store} store */
  constructor(store) {
    this.store = store;
    /** Description of the run that is shown; null where it has no result yet. */
    this.run = null;
    /** Description of the chosen run, with or without a result. */
    this.description = null;
    /** Rows of the list of runs. */
    this.runs = [];
    /** Version of the result by run: grows with each new one. That of the shown run is the last one that could be read. */
    this.changed = {};
    /** Enlargement with which the body fits the volume panel, and the result that it was found for. */
    this.autoZoom = 1;
    this.zoomResult = "";
    /** Whether the folder of the shown run is gone: nothing more can be asked of it. */
    this.isGone = false;
    /** Whether slices are on their way from the server; the page knows. */
    this.isSampling = () => false;
    /** Whether a drag over a slice draws a line. */
    this.measuring = false;
    /** Metres a CSS pixel with which the box fits the panels. */
    this.fit = 1e-7;
  }

  get view() {
    return this.store.view;
  }

  /** Read the description of a run. */
  describe = async (id) => getJson(runPath(id));

  /**
   * Show a run; the view stays where it fits the new box.
   * @param {string} id
   * @param {boolean} [isRestored] Whether the view comes from a link to this run, and stays in any case.
   * @returns {Promise<boolean>} Whether it is shown; not where another run was chosen meanwhile.
   * @throws {Error} If the run cannot be read, and no other was chosen meanwhile.
   */
  async open(id, isRestored = false) {
    const serial = ++this.#opens;
    const version = this.runs.find((each) => each.id === id)?.changed;
    let run;
    try {
      run = await this.describe(id);
    } catch (error) {
      if (serial !== this.#opens) return false;
      if (id !== this.description?.id) this.#showNothing(id, error);
      throw error;
    }
    if (serial !== this.#opens) return false; // Another run was chosen before this one was described.
    this.description = run;
    this.changed[id] = version;
    this.isGone = false;
    const before = this.run;
    this.run = run.quantities.length ? run : null;
    const changes = { run: id };
    if (this.run) {
      Object.assign(changes, this.#valid(run));
      if (!isRestored && !(before && this.#fits(run, before))) Object.assign(changes, HOME);
    }
    this.store.set(changes);
    return true;
  }

  /** Show of a run that cannot be read its name and the reason, and nothing of the one before. */
  #showNothing(id, { message }) {
    const name = this.runs.find((run) => run.id === id)?.name ?? id;
    this.description = { id, name, quantities: [], panels: [], failure: message };
    this.run = null;
    this.isGone = false;
    delete this.changed[id]; // No result of it was read: the next news try again.
    this.store.set({ run: id });
  }

  /** Choices of the view that a run does not offer, replaced. */
  #valid(run) {
    const { quantity, draw, cell, at, compare } = this.view;
    const names = run.quantities.map((each) => each.name);
    const isDraw = draw === "mean" || draw === "spread" || (run.draws > 1 && /^\d+$/.test(draw) && Number(draw) < run.draws);
    return {
      quantity: names.includes(quantity) ? quantity : (names[0] ?? ""),
      draw: isDraw ? draw : "mean",
      cell: run.cells === null ? null : Math.min(cell ?? 0, run.cells - 1),
      at: at === null ? null : positionIn(run, at),
      compare: compare.kind === "draws" && run.draws < 2 ? { ...compare, kind: "none" } : compare,
    };
  }

  /** Whether a view of one run says something in the box of another. */
  #fits(run, before) {
    const [size, other] = [boxSize(run.bounds), boxSize(before.bounds)];
    return run.length_unit === before.length_unit && size.every((edge, i) => Math.abs(edge / other[i] - 1) < 0.5);
  }

  get quantity() {
    return this.quantityNamed(this.view.quantity);
  }

  quantityNamed(name) {
    return this.run.quantities.find((each) => each.name === name) ?? this.run.quantities[0];
  }

  /** Quantity whose values tell body from background: the chosen one, or the main one beside phases and spreads. */
  get body() {
    const chosen = this.run.quantities.find((each) => each.name === this.view.volume.body);
    if (chosen) return chosen;
    const { quantity } = this;
    const tells = quantity.colours === "inferno" || quantity === this.run.quantities[0];
    return tells ? quantity : this.run.quantities[0];
  }

  /** Whether the standard deviation of the shown quantity is known. */
  get hasSpread() {
    return Boolean(this.quantity.spread);
  }

  /** Draw that is shown: the mean where the quantity has no spread. */
  get draw() {
    return this.view.draw === "spread" && !this.hasSpread ? "mean" : this.view.draw;
  }

  /** Position in the series that is shown; null for any other result. */
  get at() {
    return this.run ? positionIn(this.run, this.view.at) : null;
  }

  /** Draw of the body: that of the values, or the mean beside a spread. */
  get bodyDraw() {
    return this.draw === "spread" ? "mean" : this.draw;
  }

  /** Whether the values come from other numbers than the body. */
  get hasOtherBody() {
    return this.body !== this.quantity || this.draw === "spread";
  }

  /** Whether values outside the body are hidden: by default those that mean nothing there, as phases and strains. */
  get masked() {
    const means = this.draw === "spread" || !(this.quantity.diverging || this.quantity.colours === "twilight");
    return this.hasOtherBody && (this.view.mask ?? !means);
  }

  /** Key of the colour scale in the view. */
  get scaleKey() {
    return this.view.quantity + (this.draw === "spread" ? SPREAD_SCALE : "");
  }

  /** Limits and map of the colours that are shown. */
  get colouring() {
    const { view, quantity, scaleKey } = this;
    const own = this.draw === "spread" ? quantity.spread.colours : quantity.colours;
    const chosen = view.colours[scaleKey];
    const colours = chosen && (this.turn || !isCyclic(chosen)) ? chosen : own;
    const [low, high] = (isCyclic(colours) && this.turn) || view.ranges[scaleKey] || this.fullRange;
    return { low, high, colours };
  }

  /** Limits of the values that are shown. */
  get fullRange() {
    const { quantity } = this;
    if (this.draw === "spread") return [quantity.spread.low, quantity.spread.high];
    return [quantity.low, quantity.high];
  }

  /** Limits of one turn, which a cyclic map must have; null for values that are no angles. */
  get turn() {
    const whole = this.draw === "spread" ? null : period(this.quantity.unit);
    return whole && [-whole / 2, whole / 2];
  }

  /** Value of the shown numbers where there is no specimen. */
  get background() {
    return this.draw === "spread" ? 0 : this.quantity.background;
  }

  /** Mode of the volume: the chosen one, or the surface of a distance, whose volume is thin, and else the volume. */
  get mode() {
    return this.view.volume.mode || (isDistance(this.body) ? "surface" : "volume");
  }

  /** Value on the surface of the body. */
  get level() {
    return this.view.volume.levels[this.body.name] ?? defaultLevel(this.body);
  }

  /** Parameters of a request for values. */
  source(changes = {}) {
    const { quantity, cell } = this.view;
    return { quantity, draw: this.draw, cell, at: this.at, ...changes };
  }

  /** Centre of the planes: the box's until one is chosen. */
  get point() {
    return this.view.point ?? boxCentre(this.run.bounds);
  }

  /** Point at the centre of the panels. */
  get eye() {
    return this.view.view ?? boxCentre(this.run.bounds);
  }

  /** Metres a CSS pixel: that of the view, or the one with which the box fits the panels. */
  get scale() {
    return this.view.scale || this.fit;
  }

  /** The view with every number written out, as a link holds it. */
  get wholeView() {
    const volume = { ...this.view.volume, mode: this.mode, zoom: this.zoom };
    return { ...this.view, point: this.point, view: this.eye, scale: this.scale, volume };
  }

  /** Enlargement of the volume: that of the view, or the one with which the body fits the panel. */
  get zoom() {
    return this.view.volume.zoom ?? this.autoZoom;
  }

  /** Unit in which coordinates of the run are written. */
  get unit() {
    return lengthUnit(norm(boxSize(this.run.bounds)) / 4, this.run.length_unit);
  }
}

/** Position and size of a view that shows the whole box. */
export const HOME = { point: null, view: null, scale: 0, planes: uprightPlanes(), line: null };

/** Position of a run's series that is nearest to another, or its default; null for a run of no series. */
export function positionIn({ series }, at) {
  if (!series) return null;
  return Math.min(Math.max(at ?? series.default, series.positions[0]), series.positions.at(-1));
}

/** Value on the surface: 0 of a distance with both signs, or the middle between the background and the far end. */
export function defaultLevel({ low, high, background, level }) {
  if (Number.isFinite(level)) return level;
  if (low < 0 && high > 0 && background > 0) return 0;
  return Math.abs(high - background) >= Math.abs(low - background) ? (high + background) / 2 : (low + background) / 2;
}

/** Whether values are distances from a surface: of both signs, and positive where there is no specimen. */
export const isDistance = (quantity) => quantity.low < 0 && quantity.high > 0 && quantity.background > 0 && defaultLevel(quantity) === 0;

/** Whether the body has values below its surface, as distances are negative inside. */
export const isBelow = (quantity, level) => quantity.background > level;
