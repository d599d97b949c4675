/** Outlines of the draws over a slice: where each crosses the level of the surface. */

import { getFloats, NewestOnly, runPath } from "./api.js";
import { MARKS } from "./colours.js";
import { showError } from "./status.js";

const MOST = 6; // draws
const LONGEST = 256; // [sample]

/** Outlines over one slice panel. */
export class Outlines {
  #queue = new NewestOnly(() => this.onChange());
  #key = "";
  #frame = null;
  #curves = [];

  /**
   * @param {import("./slice_panel.js").SlicePanel} panel
   * @param {() => void} onChange Called when outlines arrived.
   */
  constructor(panel, onChange) {
    Object.assign(this, { panel, onChange });
    panel.paintContours = (context, frame) => this.#paint(context, frame);
  }

  get isBusy() {
    return this.#queue.busy;
  }

  /** Ask for the draws in the window of the panel, where outlines are wanted. */
  refresh() {
    const { session } = this.panel;
    const { view, run, body, level } = session;
    if (!view.contours || run.draws < 2 || !this.panel.isVisible) {
      this.#curves = [];
      this.#key = "";
      return;
    }
    const frame = this.panel.frame();
    const window = frame.query(Math.min(1, LONGEST / Math.max(frame.width, frame.height)));
    const query = { ...session.source({ quantity: body.name }), ...window };
    const key = JSON.stringify([run.id, session.changed[run.id], query, level]);
    if (key === this.#key || session.isGone) return;
    this.#key = key;
    this.#queue.run(async () => {
      try {
        const draws = Array.from({ length: Math.min(run.draws, MOST) }, (_, draw) => draw);
        const curves = [];
        for (const draw of draws) {
          const values = await getFloats(runPath(run.id, "plane"), { ...query, draw });
          curves.push(outline(values, window.width, window.height, level));
        }
        if (key === this.#key) [this.#frame, this.#curves] = [frame, curves.map((segments) => ({ segments, ...window }))];
      } catch (error) {
        showError(error);
      }
      this.panel.redraw();
    });
  }

  #paint(context, frame) {
    if (!this.#curves.length || !this.#frame.isSamePlane(frame)) return;
    const zoom = this.#frame.pitch / frame.pitch;
    const [x, y] = frame.toPixel(this.#frame.toPoint(0, 0));
    this.#curves.forEach(({ segments, width, height }, i) => {
      const [stepX, stepY] = [(this.#frame.width / width) * zoom, (this.#frame.height / height) * zoom];
      context.beginPath();
      for (const [ax, ay, bx, by] of segments) {
        context.moveTo(x + (ax + 0.5) * stepX, y + (ay + 0.5) * stepY);
        context.lineTo(x + (bx + 0.5) * stepX, y + (by + 0.5) * stepY);
      }
      context.lineWidth = 1.5;
      context.strokeStyle = MARKS[i];
      context.stroke();
    });
  }
}

/**
 * Cut a picture at a level by marching squares; cells with a value that is not finite are left out.
 * @returns {number[][]} Segments [x, y, x, y] in samples.
 */
export function outline(values, width, height, level) {
  const segments = [];
  for (let y = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++) {
      const i = y * width + x;
      const corners = [values[i], values[i + 1], values[i + width + 1], values[i + width]].map((value) => value - level);
      if (corners.every((value) => value > 0) || corners.some((value) => value !== value)) continue;
      const places = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const cuts = [];
      for (let side = 0; side < 4; side++) {
        const [a, b] = [corners[side], corners[(side + 1) % 4]];
        if (a > 0 === b > 0) continue;
        const [[ax, ay], [bx, by]] = [places[side], places[(side + 1) % 4]];
        const share = a / (a - b);
        cuts.push([ax + share * (bx - ax), ay + share * (by - ay)]);
      }
      for (let k = 0; k + 1 < cuts.length; k += 2) segments.push([...cuts[k], ...cuts[k + 1]]);
    }
  }
  return segments;
}
