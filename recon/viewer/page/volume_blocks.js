/** Blocks of a volume: which of them hold anything to draw, so that rays pass over the empty ones. */

import { curveAt } from "./opacity.js";

/** [voxel] Edge of a block. */
export const BLOCK = 8;

/** Least and largest value in each block of a volume, with the voxels beside it that interpolation draws in. */
export class VolumeBlocks {
  /**
   * @param {ArrayLike<number>} values Values, axes z y x.
   * @param {number[]} shape Number of voxels (z, y, x).
   */
  constructor(values, shape) {
    this.shape = shape.map((n) => Math.ceil(n / BLOCK));
    const [depth, height, width] = this.shape;
    this.low = new Float32Array(depth * height * width).fill(Infinity);
    this.high = new Float32Array(depth * height * width).fill(-Infinity);
    let i = 0;
    for (let z = 0; z < depth; z++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) this.#measure(values, shape, [z, y, x], i++);
      }
    }
  }

  #measure(values, [depth, height, width], block, index) {
    const from = block.map((n) => Math.max(n * BLOCK - 1, 0));
    const [z1, y1, x1] = [depth, height, width].map((n, i) => Math.min((block[i] + 1) * BLOCK + 1, n));
    let [low, high] = [Infinity, -Infinity];
    for (let z = from[0]; z < z1; z++) {
      for (let y = from[1]; y < y1; y++) {
        const row = (z * height + y) * width;
        for (let x = from[2]; x < x1; x++) {
          const value = values[row + x];
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
    }
    this.low[index] = low;
    this.high[index] = high;
  }

  /** Mark (255) the blocks whose values are not all clear on an opacity curve. */
  underCurve(points) {
    const clamp = (t) => Math.min(Math.max(t, 0), 1);
    const peak = (a, b) => Math.max(curveAt(points, a), curveAt(points, b), ...points.filter(([t]) => t > a && t < b).map(([, opacity]) => opacity));
    return this.#marks((low, high) => peak(clamp(low), clamp(high)) > 0.001);
  }

  /** Mark the blocks that reach inside a surface: over its level, or under it where `inward` is −1. */
  inside(level, inward) {
    return this.#marks((low, high) => (inward > 0 ? high >= level : low <= level));
  }

  /** Mark all blocks. */
  all() {
    return this.#marks(() => true);
  }

  #marks(isMarked) {
    return Uint8Array.from(this.low, (low, i) => (isMarked(low, this.high[i]) ? 255 : 0));
  }

  /**
   * Largest distance of a marked block's far corner from a point, in units of the volume's longest edge.
   * @param {Uint8Array} marks
   * @param {number[]} size Edges (z, y, x) of the volume in that unit.
   * @param {number[]} shape Number of voxels (z, y, x).
   */
  reach(marks, size, shape) {
    const [, height, width] = this.shape;
    const corner = (n, i) => Math.max(...[n, n + 1].map((k) => Math.abs((Math.min(k * BLOCK, shape[i]) / shape[i] - 0.5) * size[i])));
    let largest = 0;
    for (let i = 0; i < marks.length; i++) {
      if (!marks[i]) continue;
      const place = [Math.floor(i / (width * height)), Math.floor(i / width) % height, i % width];
      largest = Math.max(largest, Math.hypot(...place.map(corner)));
    }
    return largest;
  }
}
