/** Links that hold a view: text of the address, and the check of what comes from outside. */

import { COLOUR_MAPS } from "./colours.js";
import { dot, norm } from "./geometry.js";
import { defaultView } from "./state.js";
import { MODES } from "./volume_shader.js";

const PANELS = ["z", "y", "x"];

/** Text of a view for the address, after `#`. */
export function encodeView(view) {
  const bytes = new TextEncoder().encode(JSON.stringify(view));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `v=${text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

/**
 * Read a view from the address.
 * @param {string} hash Text after `#`, with or without it.
 * @returns {import("./state.js").View|null} Null where there is none.
 * @throws {Error} If it is damaged.
 */
export function decodeView(hash) {
  const text = hash.replace(/^#/, "");
  if (!text.startsWith("v=")) return null;
  try {
    const bytes = Uint8Array.from(atob(text.slice(2).replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return checked(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new Error("The link is damaged, so the view in it cannot be restored. Copy it again, whole.");
  }
}

/** Address of the page with a view, without the token. */
export function linkTo(view) {
  const address = new URL(window.location.href);
  address.search = "";
  address.hash = encodeView(view);
  return address.href;
}

const isNumber = Number.isFinite;
const isText = (value) => typeof value === "string";
const isFlag = (value) => typeof value === "boolean";
const isNumbers = (length) => (value) => Array.isArray(value) && value.length === length && value.every(isNumber);
const isVector = isNumbers(3);
const isOneOf = (names) => (value) => names.includes(value);
const isEach = (isValid) => (value) => value !== null && typeof value === "object" && Object.values(value).every(isValid);
const orNull = (isValid) => (value) => value === null || isValid(value);
const isRange = (value) => isNumbers(2)(value) && value[0] < value[1];
const isCurve = (value) => Array.isArray(value) && value.length > 1 && value.every((point, i) => isNumbers(2)(point) && (!i || point[0] >= value[i - 1][0]));

/** Whether two directions span a plane: unit vectors at a right angle, else lengths in the picture would be wrong. */
function isPlane({ right, down }) {
  if (!isVector(right) || !isVector(down)) return false;
  return [norm(right) - 1, norm(down) - 1, dot(right, down)].every((error) => Math.abs(error) < 1e-6);
}

const COMPARISON = { kind: isOneOf(["none", "draws", "run"]), plane: isOneOf(PANELS), run: isText };

const VOLUME = {
  mode: isOneOf(["", ...Object.keys(MODES)]),
  body: isText,
  curves: isEach(isCurve),
  levels: isEach(isNumber),
  strength: (value) => isNumber(value) && value > 0,
  azimuth: isNumber,
  elevation: isNumber,
  zoom: orNull((value) => isNumber(value) && value > 0),
  pan: isNumbers(2),
  spin: isFlag,
  planes: isFlag,
};

const VIEW = {
  run: isText,
  quantity: isText,
  draw: (value) => /^(mean|spread|\d+)$/.test(value),
  cell: orNull((value) => Number.isInteger(value) && value >= 0),
  at: orNull(isNumber),
  point: orNull(isVector),
  view: orNull(isVector),
  scale: (value) => isNumber(value) && value >= 0,
  planes: (value) => PANELS.every((name) => isPlane(value[name])),
  ranges: isEach(isRange),
  colours: isEach(isOneOf(Object.keys(COLOUR_MAPS))),
  layout: isOneOf(["grid", "volume", ...PANELS]),
  compare: (value) => isValidPart(value, COMPARISON),
  volume: (value) => isValidPart(value, VOLUME),
  contours: isFlag,
  mask: orNull(isFlag),
  line: orNull(({ from, to }) => isVector(from) && isVector(to)),
  tab: isOneOf(["view", "measure", "panels", "progress"]),
};

const isValidPart = (part, checks) => Object.entries(checks).every(([name, isValid]) => isValid(part[name]));

/** Keep of a view from outside what the page knows, with defaults for what is absent; raise where a part is invalid. */
function checked(given) {
  const base = defaultView();
  const view = { ...base };
  for (const name of Object.keys(base)) if (name in given) view[name] = given[name];
  view.volume = { ...base.volume, ...given.volume };
  view.compare = { ...base.compare, ...given.compare };
  const fault = Object.keys(VIEW).find((name) => !VIEW[name](view[name]));
  if (fault) throw new Error(`The link has no valid ${fault}.`);
  return view;
}
