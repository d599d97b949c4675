/** Values of a window on a plane, and their colours: one answer of the server. */

import { getFloats, runPath } from "./api.js";
import { colourise } from "./colours.js";

/** Values on a plane with the frame that they were asked for. */
export class Picture {
  #canvas = document.createElement("canvas");
  #key = "";

  /**
   * @param {import("./plane_frame.js").PlaneFrame} frame
   * @param {{width: number, height: number}} size Samples.
   * @param {Float32Array} values NaN outside the model's box.
   * @param {{values: Float32Array, level: number}|null} mask Values of the body, and the one on its surface.
   * @param {string} key Source of the values; pictures of other sources are stale.
   */
  constructor(frame, size, values, mask, key) {
    Object.assign(this, { frame, ...size, values, mask, key });
  }

  /**
   * Sample that is drawn at a CSS pixel of a frame in the same plane.
   * @returns {{point: number[], value: number}|null} Centre of the sample and its value; null beyond the picture.
   */
  sampleAt(frame, x, y) {
    const [u, v] = this.frame.toPixel(frame.toPoint(x, y));
    const [across, along] = [this.frame.width / this.width, this.frame.height / this.height];
    const [column, row] = [Math.floor(u / across), Math.floor(v / along)];
    if (column < 0 || column >= this.width || row < 0 || row >= this.height) return null;
    const point = this.frame.toPoint((column + 0.5) * across, (row + 0.5) * along);
    return { point, value: this.values[row * this.width + column] };
  }

  /**
   * Draw the picture where it lies in a frame.
   * @param {CanvasRenderingContext2D} context Scaled to CSS pixels.
   * @param {import("./plane_frame.js").PlaneFrame} frame
   * @param {{low: number, high: number, colours: string}} colouring
   */
  draw(context, frame, colouring) {
    const key = JSON.stringify(colouring);
    if (this.#key !== key) {
      this.#key = key;
      this.#canvas.width = this.width;
      this.#canvas.height = this.height;
      const { values = null, level = 0 } = this.mask ?? {};
      this.#canvas.getContext("2d").putImageData(colourise(this.values, this.width, colouring, values, level), 0, 0);
    }
    const zoom = this.frame.pitch / frame.pitch;
    const [x, y] = frame.toPixel(this.frame.origin);
    const [width, height] = [this.frame.width * zoom, this.frame.height * zoom];
    const isExact = Math.abs(zoom - 1) < 1e-9 && this.width >= frame.width;
    context.imageSmoothingEnabled = !isExact;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#canvas, x - width / 2, y - height / 2, width, height);
  }

  /** Values as limits of colours see them: a high one, with few outliers above it. */
  get robustHigh() {
    const finite = this.values.filter(Number.isFinite).sort();
    return finite.length ? finite[Math.floor((finite.length - 1) * 0.998)] : NaN;
  }
}

/**
 * Ask for the values of a window.
 * @param {import("./plane_frame.js").PlaneFrame} frame
 * @param {number} density Samples a CSS pixel.
 * @param {{run: string, query: object, mask: {query: object, level: number, below: boolean}|null, key: string}} source
 * @returns {Promise<Picture>}
 */
export async function fetchPicture(frame, density, { run, query, mask, key }) {
  const window = frame.query(density);
  const ask = (parameters) => getFloats(runPath(run, "plane"), { ...parameters, ...window });
  const [values, body] = await Promise.all([ask(query), mask && ask(mask.query)]);
  if (values.length !== window.width * window.height) throw new Error("The server sent a picture of another size.");
  const sign = mask?.below ? -1 : 1;
  const shown = body && { values: sign < 0 ? body.map((value) => -value) : body, level: sign * mask.level };
  return new Picture(frame, { width: window.width, height: window.height }, values, shown, key);
}
