/** Places on a slice panel: from pixels to points of the model, and back. Vectors are [z, y, x] in metres. */

import { add, axisName, dot, normal, scale, subtract } from "./geometry.js";

/** Window on a plane: a panel's pixels in the model's space. */
export class PlaneFrame {
  /**
   * @param {string} name Panel: `z`, `y` or `x`.
   * @param {{right: number[], down: number[]}} plane Directions.
   * @param {number[]} point A point of the plane.
   * @param {number[]} eye Point at whose foot the panel is centred.
   * @param {number} pitch Metres a CSS pixel.
   * @param {number} width CSS pixels.
   * @param {number} height CSS pixels.
   */
  constructor(name, plane, point, eye, pitch, width, height) {
    Object.assign(this, { name, plane, pitch, width, height });
    this.normal = normal(name, plane);
    this.origin = add(eye, scale(this.normal, dot(subtract(point, eye), this.normal)));
  }

  /** Point of the model at a pixel. */
  toPoint(x, y) {
    const right = scale(this.plane.right, (x - this.width / 2) * this.pitch);
    return add(add(this.origin, right), scale(this.plane.down, (y - this.height / 2) * this.pitch));
  }

  /** Pixel [x, y] of the foot of a point on the plane. */
  toPixel(point) {
    const offset = subtract(point, this.origin);
    return [
      this.width / 2 + dot(offset, this.plane.right) / this.pitch,
      this.height / 2 + dot(offset, this.plane.down) / this.pitch,
    ];
  }

  /** Vector in the plane of a shift by pixels. */
  toVector(dx, dy) {
    return add(scale(this.plane.right, dx * this.pitch), scale(this.plane.down, dy * this.pitch));
  }

  /** Position of the plane along its normal. */
  get depth() {
    return dot(this.origin, this.normal);
  }

  /** Names of the axes (right, down, normal); empty ones for oblique directions. */
  get axes() {
    return [axisName(this.plane.right), axisName(this.plane.down), axisName(this.normal)];
  }

  /** Whether another frame lies in the same plane, with the same directions, whatever its window. */
  isSamePlane(other) {
    const turned = dot(this.plane.right, other.plane.right) < 1 - 1e-12 || dot(this.plane.down, other.plane.down) < 1 - 1e-12;
    return !turned && Math.abs(dot(subtract(this.origin, other.origin), this.normal)) < 1e-3 * this.pitch;
  }

  /**
   * Parameters of a request for the window's values.
   * @param {number} density Samples a CSS pixel.
   */
  query(density) {
    const width = Math.max(1, Math.round(this.width * density));
    const height = Math.max(1, Math.round(this.height * density));
    return {
      origin: this.origin.join(","),
      right: scale(this.plane.right, (this.pitch * this.width) / width).join(","),
      down: scale(this.plane.down, (this.pitch * this.height) / height).join(","),
      width,
      height,
    };
  }
}
