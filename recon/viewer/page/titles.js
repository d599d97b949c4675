/** Titles of quantities, draws and positions. */

import { withMinus } from "./units.js";

/** Title of a quantity for lists: `phase (rad)`; lengths are shown in a unit that suits their values, and have none here. */
export function quantityTitle({ name, unit }) {
  const text = name.replaceAll("_", " ");
  return unit && unit !== "1" && unit !== "m" ? `${text} (${unit})` : text;
}

/** Title of one of the models that a result holds, such as `draw 2`, or `member 2` of an ensemble of fits. */
export const drawTitle = (run, draw) => `${run.draws_name.one} ${draw}`;

/** Title of the model that stands for them: a consensus, which is of more draws than are written, or their mean. */
export const meanTitle = (run) => (run.has_consensus ? `consensus of the ${run.draws_name.many}` : `mean of the ${run.draws} ${run.draws_name.many}`);

/** Title of the values of a run: of a draw, of the mean, or of their spread; of one model the uncertainty. */
export function valuesTitle(run, draw) {
  if (draw === "spread") return run.draws > 1 ? `standard deviation of the ${run.draws} ${run.draws_name.many}` : "uncertainty";
  return draw === "mean" ? meanTitle(run) : drawTitle(run, draw);
}

/** Place in a series: `time = 12.5 s`. */
export const positionTitle = ({ name, unit }, at) => `${name} = ${withMinus(String(Number(at.toPrecision(6))))}${unit ? ` ${unit}` : ""}`;

/** Text with a capital letter. */
export const capital = (text) => text[0].toUpperCase() + text.slice(1);
