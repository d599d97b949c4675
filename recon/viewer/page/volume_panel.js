/** Panel of the volume: rendered in the browser where there is WebGL 2, else in pictures from the server. */

import { isCyclic } from "./colours.js";
import { element, iconButton } from "./dom.js";
import { normal } from "./geometry.js";
import { listenToGestures } from "./gestures.js";
import { isBelow } from "./session.js";
import { clearStatus, showError } from "./status.js";
import { defaultCurve } from "./opacity.js";
import { VolumeCamera } from "./volume_camera.js";
import { VolumeData } from "./volume_data.js";
import { paintBehind, paintBefore } from "./volume_marks.js";
import { ServerPictures } from "./volume_pictures.js";
import { BLOCK, VolumeBlocks } from "./volume_blocks.js";
import { hasWebGl, volumeNumbers, VolumeScene } from "./volume_scene.js";

const STILL = 160; // [ms] without a change, after which the picture is drawn at full resolution
const MOVING_TIME = 40; // [ms] for a picture in motion
const STILL_TIME = 1500; // [ms] for the picture when all is still
const SOFTWARE_TIME = 600; // [ms] for the same without a graphics card, whose work the server's processors do
const SLICES_TIME = 4000; // [ms] for which the fine volume waits for the slices at most
const TURN = 0.008; // [rad/pixel]
const SPIN = (2 * Math.PI) / 12; // [rad/s]

export class VolumePanel {
  #frameRequest = 0;
  #timer = 0;
  #moving = false;
  #last = 0;
  #cost = 3e-4; // [ms/pixel] of the last picture
  #volumes = {};
  #drawn = false;
  #blocks = null;
  #marksKey = "";
  #bodyZoom = 1; // enlargement with which the body fills the panel
  #pending = false; // a picture is with the graphics card
  #again = false; // another is wanted after it

  /**
   * @param {import("./session.js").Session} session
   * @param {{onMaximise: () => void, onChange: () => void}} options
   */
  constructor(session, { onMaximise, onChange }) {
    Object.assign(this, { session, onChange });
    /** Whether a movie is made: only its own frames are drawn then. */
    this.isFilming = false;
    this.#build(onMaximise);
    this.data = new VolumeData((name, volume) => this.#take(name, volume));
    if (hasWebGl()) this.scene = new VolumeScene(this.canvas);
    else this.pictures = new ServerPictures(session, this.stage, () => this.camera, () => this.onChange());
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
  }

  #build(onMaximise) {
    this.behind = element("canvas", { class: "marks", "aria-hidden": "true" });
    this.canvas = element("canvas", { class: "picture", "aria-hidden": "true" });
    this.before = element("canvas", { class: "marks", "aria-hidden": "true" });
    this.stage = element("div", {
      class: "stage volume-stage",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "volume",
      "aria-label": "Volume: arrow keys turn it, plus and minus zoom, r spins it, question mark for all keys",
      onkeydown: (event) => this.#key(event),
    }, this.behind, this.canvas, this.before);
    this.heading = element("h2", {}, "Volume");
    const tools = [
      iconButton("reset", "Look from the front", () => this.session.store.setVolume({ azimuth: 0, elevation: 0, zoom: null, pan: [0, 0] })),
      iconButton("picture", "Save picture of the volume", () => this.onSave?.(this)),
      iconButton("maximise", "Maximise the volume", onMaximise),
    ];
    const head = element("header", {}, this.heading, element("output", { class: "readout" }), ...tools);
    this.element = element("section", { class: "panel volume", "data-panel": "volume" }, head, this.stage);
    listenToGestures(this.stage, {
      start: (x, y, event) => (this.stage.focus({ preventScroll: true }), { move: (dx, dy, _x, _y, now) => this.#drag(dx, dy, event.shiftKey || now.shiftKey) }),
      zoom: (_x, _y, factor) => this.#zoom(factor),
    });
  }

  get isVisible() {
    return this.stage.clientWidth > 0 && this.stage.clientHeight > 0;
  }

  /** Whether the picture on the screen is not yet the final one. */
  get isBusy() {
    if (!this.isVisible || !this.session.run || this.session.view.volume.spin) return false;
    if (this.pictures) return this.pictures.isBusy;
    return this.data.busy || this.#timer !== 0 || this.#frameRequest !== 0 || this.#pending || !this.#drawn;
  }

  get camera() {
    const { session, stage } = this;
    return new VolumeCamera(session.run.bounds, { ...session.view.volume, zoom: session.zoom }, stage.clientWidth, stage.clientHeight);
  }

  /** Follow a change of the view; load what it needs. */
  async refresh() {
    if (!this.isVisible || !this.session.run) return;
    this.invalidate();
    if (this.pictures) return this.pictures.refresh();
    const { session } = this;
    if (session.isGone) return;
    const version = session.changed[session.run.id] ?? 0;
    const source = (query) => ({ query, key: JSON.stringify([session.run.id, version, query]) });
    const values = source(session.source());
    const body = source(session.source({ quantity: session.body.name, draw: session.bodyDraw }));
    try {
      await this.data.load(session.run.id, { values, body }, this.scene.isSoftware ? [48, 112] : [64, 224], () => this.#slicesFirst());
      if (this.failed) clearStatus();
      this.failed = false;
    } catch (error) {
      this.failed = true;
      this.#drawn = true;
      showError(error);
    }
    this.onChange();
  }

  /** Let the slices have the server first: the fine volume takes it longest, and is needed last. */
  async #slicesFirst() {
    const end = performance.now() + SLICES_TIME;
    while (this.session.isSampling() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  #take(name, volume) {
    this.#volumes[name] = volume;
    this.scene.setVolume(name, volume);
    if (name === "body") {
      this.#blocks = new VolumeBlocks(volumeNumbers(volume), volume.shape);
      this.#marksKey = "";
      this.#fitZoom(volume);
    }
    this.invalidate();
  }

  /** Enlarge a body that is small in its box; once a result, so that nothing jumps with draws and quantities. */
  #fitZoom({ shape, bounds }) {
    const { session } = this;
    const result = `${session.run.id} ${session.changed[session.run.id]}`;
    if (session.zoomResult === result) return;
    session.zoomResult = result;
    const { body } = session;
    const { size } = this.camera.texturePlace(bounds);
    const edges = [...size].reverse();
    const marks = this.#blocks.underCurve(session.view.volume.curves[body.name] ?? defaultCurve(body));
    const reach = this.#blocks.reach(marks, edges, shape) || 1;
    this.#bodyZoom = Math.hypot(...edges) / 2 / (1.12 * reach);
    this.#limitZoom();
  }

  /** Keep the corners of the box in the panel. */
  #limitZoom() {
    this.session.autoZoom = Math.min(Math.max(this.#bodyZoom, 1), this.camera.wholeZoom);
  }

  /** Mark the blocks that the mode draws, where they have changed. */
  #mark(mode, curve, level, inward) {
    const key = JSON.stringify([mode, mode === "volume" ? curve : [level, inward]]);
    if (key === this.#marksKey) return;
    this.#marksKey = key;
    const blocks = this.#blocks;
    const marks = mode === "volume" ? blocks.underCurve(curve) : mode === "surface" ? blocks.inside(level, inward) : blocks.all();
    this.scene.setOccupied(marks, blocks.shape);
  }

  /** Draw soon: at once at a resolution that moves fluently, fully when nothing changes. */
  invalidate() {
    if (this.isFilming) return;
    this.#moving = true;
    this.#drawn = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#moving = false;
      this.#schedule();
    }, STILL);
    this.#schedule();
  }

  #schedule() {
    this.#frameRequest ||= requestAnimationFrame((now) => this.#frame(now));
  }

  async #frame(now) {
    this.#frameRequest = 0;
    const { session } = this;
    this.#again = this.#pending;
    if (this.#pending || !this.isVisible || !session.run) return;
    this.#pending = true;
    await this.draw();
    this.#pending = false;
    if (this.#again) this.#schedule();
    this.onChange();
    const { spin, azimuth } = session.view.volume;
    if (spin) {
      const passed = Math.min(now - (this.#last || now), 200) / 1000;
      this.#last = now;
      session.store.setVolume({ azimuth: (azimuth + SPIN * passed) % (2 * Math.PI) });
      this.invalidate();
    } else this.#last = 0;
  }

  /** Draw now, the volume with the box and its marks. */
  async draw() {
    const { stage } = this;
    const full = !this.#moving;
    const camera = this.camera;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    for (const canvas of [this.behind, this.before]) {
      const size = [Math.round(width * density), Math.round(height * density)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    }
    paintBehind(this.behind, camera, this.session, stage);
    paintBefore(this.before, camera, this.session, stage);
    if (!this.#isLoaded) return;
    const time = !full ? MOVING_TIME : this.scene.isSoftware ? SOFTWARE_TIME : STILL_TIME;
    // Two samples a pixel of the screen smooth the outline of a surface.
    const ratio = Math.min(full ? Math.max(2, density) : density, Math.sqrt(time / this.#cost / (width * height)));
    this.#drawn = full;
    await this.#render(camera, width * ratio, height * ratio, full);
  }

  get #isLoaded() {
    return Boolean(this.scene && this.#volumes.values && this.#volumes.body);
  }

  /** Draw the volume in a number of pixels; the time is noted for the next. */
  async #render(camera, width, height, full) {
    const size = [width, height].map((n) => Math.max(16, Math.round(n)));
    this.#prepare(camera, full);
    const time = await this.scene.render(...size);
    const cost = (time / (size[0] * size[1])) * (full ? 0.5 : 1);
    this.#cost = Math.max(0.5 * this.#cost + 0.5 * cost, 1e-7);
  }

  /**
   * Draw the volume in full quality, for a picture to save.
   * @param {number} density Pixels a CSS pixel.
   * @returns {Promise<CanvasImageSource|null>} Null where there is no volume.
   */
  async capture(density) {
    if (this.pictures) return this.pictures.capture(density);
    while (this.#pending) await new Promise((resolve) => setTimeout(resolve, 5));
    if (!this.#isLoaded) return null;
    this.#pending = true;
    const { clientWidth, clientHeight } = this.stage;
    await this.#render(this.camera, clientWidth * density, clientHeight * density, true);
    const bitmap = await createImageBitmap(this.canvas);
    this.#pending = false;
    this.invalidate();
    return bitmap;
  }

  #prepare(camera, full) {
    const { session, scene } = this;
    const { volume, planes } = session.view;
    const { body, colouring } = session;
    const [values, solid] = [this.#volumes.values, this.#volumes.body];
    const share = (value, { low, high }) => (value - low) / (high - low || 1);
    const [depth, height, width] = solid.shape;
    const box = camera.texturePlace(solid.bounds);
    const voxel = [box.size[0] / width, box.size[1] / height, box.size[2] / depth];
    scene.setMode(session.mode);
    scene.setColours(colouring.colours);
    const curve = volume.curves[body.name] ?? defaultCurve(body);
    const level = share(session.level, solid);
    const inward = isBelow(body, session.level) ? -1 : 1;
    scene.setCurve(curve);
    this.#mark(session.mode, curve, level, inward);
    const normals = ["z", "y", "x"].flatMap((name) => [...normal(name, planes[name])].reverse());
    scene.set({
      ...camera.uniforms(),
      ...named("body", box),
      ...named("values", camera.texturePlace(values.bounds)),
      voxel,
      stepLength: Math.min(...voxel) * (full ? 0.5 : 1),
      cyclic: isCyclic(colouring.colours),
      colourRange: [share(colouring.low, values), share(colouring.high, values)],
      background: share(session.background, values),
      level,
      inward,
      blockSize: voxel.map((edge) => edge * BLOCK),
      strength: volume.strength,
      otherBody: session.hasOtherBody,
      masked: session.masked,
      planePoint: camera.toShader(session.point),
      planeNormals: normals,
    });
  }

  resize() {
    if (!this.session.run || !this.isVisible) return;
    this.#limitZoom();
    this.refresh();
  }

  #drag(dx, dy, pans) {
    const { store, view } = this.session;
    const { azimuth, elevation, pan } = view.volume;
    const { zoom } = this.session;
    const side = Math.min(this.stage.clientWidth, this.stage.clientHeight) * zoom;
    if (pans) return store.setVolume({ pan: [pan[0] + dx / side, pan[1] + dy / side] });
    return this.turn(azimuth - dx * TURN, elevation + dy * TURN);
  }

  /** Look from an azimuth and an elevation [rad]. */
  turn(azimuth, elevation) {
    const limit = Math.PI / 2;
    this.session.store.setVolume({ azimuth: azimuth % (2 * Math.PI), elevation: Math.max(-limit, Math.min(elevation, limit)) });
  }

  #zoom(factor) {
    const { store, zoom } = this.session;
    store.setVolume({ zoom: Math.min(Math.max(zoom * factor, 0.3), 40) });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { azimuth, elevation } = this.session.view.volume;
    const step = Math.PI / 36;
    const turns = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (turns && event.shiftKey) this.#drag((-turns[0] * 20) / step, (turns[1] * 20) / step, true);
    else if (turns) this.turn(azimuth + turns[0], elevation + turns[1]);
    else if (event.key === "+" || event.key === "=") this.#zoom(1.25);
    else if (event.key === "-") this.#zoom(0.8);
    else if (event.key === "Home" || event.key === "0") this.session.store.setVolume({ azimuth: 0, elevation: 0, zoom: null, pan: [0, 0] });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const named = (name, { centre, size }) => ({ [`${name}Centre`]: centre, [`${name}Size`]: size });
