/** Colour maps: from values to pixels. */

import { TABLES } from "./colour_tables.js";

/** Names and titles of the colour maps. */
export const COLOUR_MAPS = {
  inferno: "Inferno",
  viridis: "Viridis",
  gray: "Grey",
  RdBu_r: "Blue–white–red",
  twilight: "Twilight (cyclic)",
};

const CYCLIC = new Set(["twilight"]);
const CACHE = new Map();

/** Whether the last colour of a map is the first again, so that its range must be one period of the values. */
export const isCyclic = (name) => CYCLIC.has(name);

/**
 * Colours of a map: 256 × (red, green, blue); Inferno for a name that is not known.
 * @param {string} name
 * @returns {Uint8Array}
 */
export function colourTable(name) {
  if (!CACHE.has(name)) {
    const text = atob(TABLES[name] ?? TABLES.inferno);
    CACHE.set(name, Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }
  return CACHE.get(name);
}

/** Same colours as RGBA packed for a Uint32Array over the bytes of an ImageData. */
function packedTable(name) {
  const key = `${name} packed`;
  if (!CACHE.has(key)) {
    const table = colourTable(name);
    const bytes = new Uint8Array(256 * 4);
    for (let i = 0; i < 256; i++) bytes.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    CACHE.set(key, new Uint32Array(bytes.buffer));
  }
  return CACHE.get(key);
}

/**
 * Colour values; what is not finite stays transparent. Values beyond the limits have the colour of the nearer one, or
 * that of the same angle on a cyclic map.
 * @param {Float32Array} values Values, row by row.
 * @param {number} width Samples a row.
 * @param {{low: number, high: number, colours: string}} colouring
 * @param {Float32Array|null} [mask] Values that fade to transparent where they are under `maskLevel`.
 * @param {number} [maskLevel]
 * @returns {ImageData}
 */
export function colourise(values, width, { low, high, colours }, mask = null, maskLevel = 0) {
  const image = new ImageData(width, values.length / width);
  const pixels = new Uint32Array(image.data.buffer);
  const table = packedTable(colours);
  const factor = 256 / (high - low || 1);
  const wraps = isCyclic(colours);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value !== value || (mask !== null && !(mask[i] >= maskLevel))) continue;
    const index = (value - low) * factor;
    pixels[i] = table[wraps ? Math.floor(index) & 255 : index <= 0 ? 0 : index >= 255 ? 255 : index | 0];
  }
  return image;
}

/** Draw the colours of a map from left to right over a canvas. */
export function paintRamp(canvas, colours, from = 0, to = 1) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const ramp = Float32Array.from({ length: width }, (_, i) => ((i + 0.5) / width - from) / (to - from));
  const image = colourise(ramp, width, { low: 0, high: 1, colours });
  for (let y = 0; y < height; y++) context.putImageData(image, 0, y);
}

/** Colours of curves and marks that colour-blind eyes tell apart (Okabe and Ito, 2008). */
export const MARKS = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2"];

/** Colour of each slice plane, in its panel's head and as a line in the others. */
export const PLANE_COLOURS = { z: "#56b4e9", y: "#e69f00", x: "#2fbf91" };
