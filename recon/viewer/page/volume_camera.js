/**
 * Parallel view of the box: from points of the model to pixels of the panel.
 *
 * As in `unflat render`: at azimuth and elevation 0 the view is along +z, with y down and x right. The azimuth rotates
 * the specimen about its y axis, then the elevation about the horizontal of the picture, both right-handed in (x, y, z).
 */

import { BOX_EDGES, boxCentre, boxCorners, boxSize, dot, norm, subtract } from "./geometry.js";
import { defaultView } from "./state.js";

const { elevation: ELEVATION } = defaultView().volume;
const MARGIN = 28; // [CSS pixel] both sides together

export class VolumeCamera {
  /**
   * @param {number[][]} bounds Box of the model [m].
   * @param {{azimuth: number, elevation: number, zoom: number, pan: number[]}} volume Angles [rad]; pan in panel heights.
   * @param {number} width CSS pixels.
   * @param {number} height CSS pixels.
   */
  constructor(bounds, { azimuth, elevation, zoom, pan }, width, height) {
    Object.assign(this, { bounds, width, height });
    this.centre = boxCentre(bounds);
    this.size = boxSize(bounds);
    this.longest = Math.max(...this.size);
    const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
    // Rows: directions right, down and away in the model, as (z, y, x).
    this.right = [sa, 0, ca];
    this.down = [-ca * se, ce, sa * se];
    this.away = [ca * ce, se, -sa * ce];
    /** Metres a CSS pixel. */
    this.pitch = (1.02 * norm(this.size)) / Math.min(width, height) / zoom;
    this.pan = [pan[0] * Math.min(width, height) * zoom, pan[1] * Math.min(width, height) * zoom];
  }

  /** Largest enlargement with which the box stays in the panel through a whole turn at the first elevation. */
  get wholeZoom() {
    const [depth, height, width] = this.size;
    const across = Math.hypot(width, depth);
    const upright = height * Math.cos(ELEVATION) + across * Math.sin(ELEVATION);
    const pitch = Math.max(across / Math.max(this.width - MARGIN, 1), upright / Math.max(this.height - MARGIN, 1));
    return (1.02 * norm(this.size)) / Math.min(this.width, this.height) / pitch;
  }

  /** Pixel of a point. */
  toPixel(point) {
    const p = subtract(point, this.centre);
    return [
      this.width / 2 + this.pan[0] + dot(p, this.right) / this.pitch,
      this.height / 2 + this.pan[1] + dot(p, this.down) / this.pitch,
    ];
  }

  /** Edges of the box as pairs of points; those behind it, or those before it. */
  edges(areBehind) {
    const corners = boxCorners(this.bounds);
    const depth = corners.map((corner) => dot(corner, this.away));
    const last = depth.indexOf(Math.max(...depth));
    const chosen = BOX_EDGES.filter(([a, b]) => (a === last || b === last) === areBehind);
    return chosen.map(([a, b]) => [corners[a], corners[b]]);
  }

  /** Numbers of the shader: lengths in longest edges, vectors (x, y, z). */
  uniforms() {
    const unit = this.longest;
    const flip = ([z, y, x]) => [x, y, z];
    return {
      boxSize: flip(this.size).map((edge) => edge / unit),
      toModel: [...flip(this.right), ...flip(this.down), ...flip(this.away)],
      halfView: [(this.width / 2) * (this.pitch / unit), (this.height / 2) * (this.pitch / unit)],
      pan: [this.pan[0] * (this.pitch / unit), this.pan[1] * (this.pitch / unit)],
    };
  }

  /** Centre and edges of the box of a texture, for the shader. */
  texturePlace(bounds) {
    const size = boxSize(bounds).map((edge) => edge / this.longest);
    return { centre: this.toShader(boxCentre(bounds)), size: size.reverse() };
  }

  /** Point (x, y, z) of the shader for a point of the model. */
  toShader(point) {
    const [z, y, x] = subtract(point, this.centre);
    return [x / this.longest, y / this.longest, z / this.longest];
  }
}
