/**
 * State of the view: all that a link holds. Lengths are in metres, vectors [z, y, x].
 *
 * @typedef {object} View
 * @property {string} run Id of the run.
 * @property {string} quantity Name of the quantity; empty for the main one.
 * @property {string} draw `mean`, `spread`, or the number of a draw.
 * @property {number|null} cell Number of the cell.
 * @property {number|null} at Position in a series; null for its last acquisition.
 * @property {number[]|null} point Common point of the three planes.
 * @property {number[]|null} view Point at the centre of the panels; each panel shows its foot on the plane.
 * @property {number} scale Metres a CSS pixel, the same in all panels.
 * @property {Record<string, {right: number[], down: number[]}>} planes Directions of the planes.
 * @property {Record<string, number[]>} ranges Limits of the colours that the user chose, by colour scale.
 * @property {Record<string, string>} colours Colour map that the user chose, by colour scale.
 * @property {string} layout `grid`, or the panel that is maximised: `z`, `y`, `x`, `volume`.
 * @property {{kind: string, plane: string, run: string}} compare Pictures side by side: `none`, `draws` or `run`.
 * @property {object} volume Settings of the volume rendering.
 * @property {boolean} contours Whether the outlines of the draws are drawn on the planes.
 * @property {boolean|null} mask Whether values are hidden outside the body; null for the default of the quantity.
 * @property {{from: number[], to: number[]}|null} line Measured line.
 * @property {string} tab Tab of the side that is open.
 */

import { uprightPlanes } from "./geometry.js";

/** View before anything is chosen. */
export function defaultView() {
  return {
    run: "",
    quantity: "",
    draw: "mean",
    cell: null,
    at: null,
    point: null,
    view: null,
    scale: 0,
    planes: uprightPlanes(),
    ranges: {},
    colours: {},
    layout: "grid",
    compare: { kind: "none", plane: "z", run: "" },
    volume: {
      mode: "",
      body: "",
      curves: {},
      levels: {},
      strength: 1,
      azimuth: -0.5,
      elevation: 0.45,
      zoom: null,
      pan: [0, 0],
      spin: false,
      planes: true,
    },
    contours: false,
    mask: null,
    line: null,
    tab: "view",
  };
}

/** Holds the view, and tells those who asked of each change. */
export class Store {
  #listeners = new Set();

  constructor() {
    /** @type {View} */
    this.view = defaultView();
  }

  /**
   * Change parts of the view.
   * @param {Partial<View>} changes Parts at the top level; objects are replaced whole.
   */
  set(changes) {
    this.view = { ...this.view, ...changes };
    const names = new Set(Object.keys(changes));
    for (const listener of this.#listeners) listener(names);
  }

  /** Change settings of the volume rendering. */
  setVolume(changes) {
    this.set({ volume: { ...this.view.volume, ...changes } });
  }

  /** @param {(changed: Set<string>) => void} listener Gets the names of the parts that changed. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
