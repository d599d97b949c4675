/**
 * Text of lengths, positions and values, each with its unit.
 *
 * Lengths are in metres, or in voxels where the size of a voxel is not known.
 */

const LENGTH_UNITS = [
  [0.9995e-9, 1e12, "pm"],
  [0.9995e-6, 1e9, "nm"],
  [0.9995e-3, 1e6, "µm"],
  [Infinity, 1e3, "mm"],
];

/** Replace the hyphen of negative numbers by a minus sign. */
export const withMinus = (text) => text.replace(/-/g, "−");

/**
 * Format a number to some significant digits; very large and small ones with a power of ten.
 * @param {number|null} value
 * @param {number} [digits]
 */
export function formatNumber(value, digits = 4) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 6) return withMinus(String(Number(value.toPrecision(digits))));
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return withMinus(`${Number(mantissa)} × 10${superscript(Number(power))}`);
}

function superscript(power) {
  const digits = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  return [...String(power)].map((character) => digits[character]).join("");
}

/**
 * Choose the unit in which lengths of a size are written.
 * @param {number} length Typical length [m], or [voxel].
 * @param {"m"|"voxel"} unit
 * @returns {{factor: number, name: string}} Factor from metres to the unit, and its name.
 */
export function lengthUnit(length, unit = "m") {
  if (unit === "voxel") return { factor: 1, name: "voxels" };
  const [, factor, name] = LENGTH_UNITS.find(([limit]) => Math.abs(length) < limit);
  return { factor, name };
}

/** Format a length: `2 µm`, `250 nm`, `5 voxels`. */
export function formatLength(length, unit = "m", digits = 3) {
  if (!Number.isFinite(length)) return "–";
  const { factor, name } = lengthUnit(length || (unit === "m" ? 1e-6 : 1), unit);
  return `${formatNumber(length * factor, digits)} ${name}`;
}

/**
 * Format a coordinate in a fixed unit, with the decimals that a pixel resolves.
 * @param {number} value Coordinate [m].
 * @param {{factor: number, name: string}} unit
 * @param {number} pixel Smallest distance of interest [m].
 */
export function formatCoordinate(value, unit, pixel) {
  return formatFixed(value * unit.factor, Math.min(6, decimalsOf(pixel * unit.factor)));
}

/** Decimals that resolve a step. */
const decimalsOf = (step) => Math.max(0, Math.ceil(-Math.log10(step)));

function formatFixed(value, decimals) {
  const text = value.toFixed(decimals);
  return withMinus(Number(text) === 0 ? text.replace("-", "") : text);
}

/**
 * Format a value of a quantity with its unit, to a thousandth of a range.
 * @param {number} value
 * @param {string} unit Unit of the quantity.
 * @param {{low: number, high: number}} range
 */
export function formatInRange(value, unit, { low, high }) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.max(Math.abs(low), Math.abs(high));
  const { factor, name } = axisUnit(unit, size);
  const step = ((high - low) * factor) / 1000 || 1e-6;
  const isPlain = size * factor < 1e6 && step > 1e-8;
  const digits = Math.min(8, Math.max(1, Math.ceil(Math.log10(Math.abs(value * factor) / step || 1)) + 1));
  const text = isPlain ? formatFixed(value * factor, decimalsOf(step)) : formatNumber(value * factor, digits);
  return name ? `${text} ${name}` : text;
}

/** Format a value of a quantity with its unit; lengths in a fitting one. */
export function formatValue(value, unit, digits = 4) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (unit === "m") return formatLength(value, "m", digits);
  return unit === "1" || unit === "" ? formatNumber(value, digits) : `${formatNumber(value, digits)} ${unit}`;
}

/**
 * Choose factor and unit for numbers of a quantity on an axis or in a field.
 * @param {string} unit Unit of the quantity.
 * @param {number} size Largest magnitude among the numbers.
 */
export function axisUnit(unit, size) {
  if (unit === "m") return lengthUnit(size || 1e-6);
  return { factor: 1, name: unit === "1" ? "" : unit };
}

/** Values after which an angle is the same again; null for other quantities. */
export const period = (unit) => ({ rad: 2 * Math.PI, "°": 360, deg: 360 })[unit] ?? null;

/** Return the largest of 1, 2, 5 × 10ⁿ that is at most a limit. */
export function roundLength(limit) {
  const decade = 10 ** Math.floor(Math.log10(limit));
  return Math.max(...[1, 2, 5].map((step) => step * decade).filter((length) => length <= limit * (1 + 1e-9)));
}

/** Return round positions of ticks within an interval. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const decade = 10 ** Math.floor(Math.log10(raw));
  const step = decade * [1, 2, 5, 10].find((factor) => factor * decade >= raw * (1 - 1e-9));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}
