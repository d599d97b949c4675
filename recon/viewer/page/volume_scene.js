/** The volume rendering with WebGL 2: one triangle over the canvas, whose shader walks through the box. */

import {
  BufferGeometry,
  Camera,
  ClampToEdgeWrapping,
  Data3DTexture,
  DataTexture,
  DataUtils,
  Float32BufferAttribute,
  GLSL3,
  HalfFloatType,
  LinearFilter,
  Matrix3,
  Mesh,
  NearestFilter,
  NoBlending,
  RawShaderMaterial,
  RedFormat,
  RGBAFormat,
  Scene,
  UnsignedByteType,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "./vendor/three/three.module.min.js";
import { colourTable } from "./colours.js";
import { curveAt } from "./opacity.js";
import { FRAGMENT_SHADER, MODES, RENDERERS, VERTEX_SHADER } from "./volume_shader.js";

const CURVE_SAMPLES = 512;

/** Whether the browser has WebGL 2. */
export function hasWebGl() {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}

/** Renderer of one volume on one canvas. */
export class VolumeScene {
  #textures = new Map();
  #keys = new Map();

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.renderer = new WebGLRenderer({
      canvas,
      alpha: true,
      premultipliedAlpha: true,
      antialias: false,
      preserveDrawingBuffer: true,
      powerPreference: "high-performance",
    });
    this.renderer.setClearColor(0, 0);
    /** Whether the processor draws, for want of a graphics card. */
    this.isSoftware = this.#findSoftware();
    this.camera = new Camera();
    this.material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX_SHADER,
      fragmentShader: FRAGMENT_SHADER,
      uniforms: uniforms(),
      blending: NoBlending,
      depthTest: false,
      depthWrite: false,
    });
    const triangle = new BufferGeometry();
    triangle.setAttribute("position", new Float32BufferAttribute([-1, -1, 0, 3, -1, 0, -1, 3, 0], 3));
    const mesh = new Mesh(triangle, this.material);
    mesh.frustumCulled = false;
    this.scene = new Scene();
    this.scene.add(mesh);
  }

  #findSoftware() {
    const gl = this.renderer.getContext();
    const information = gl.getExtension("WEBGL_debug_renderer_info");
    const name = information ? gl.getParameter(information.UNMASKED_RENDERER_WEBGL) : "";
    return /swiftshader|llvmpipe|software|basic render/i.test(name);
  }

  /**
   * Replace a volume.
   * @param {"values"|"body"} name
   * @param {{data: Uint16Array|Uint8Array, shape: number[]}} volume Samples at cell centres, axes z y x.
   */
  setVolume(name, { data, shape: [depth, height, width] }) {
    const texture = new Data3DTexture(data, width, height, depth);
    Object.assign(texture, {
      format: RedFormat,
      type: data instanceof Uint8Array ? UnsignedByteType : HalfFloatType,
      minFilter: LinearFilter,
      magFilter: LinearFilter,
      wrapS: ClampToEdgeWrapping,
      wrapT: ClampToEdgeWrapping,
      wrapR: ClampToEdgeWrapping,
      unpackAlignment: 1,
      needsUpdate: true,
    });
    this.#replace(name, texture);
  }

  /**
   * Replace the marks of the blocks that hold something to draw.
   * @param {Uint8Array} marks 255 or 0.
   * @param {number[]} shape Number of blocks (z, y, x).
   */
  setOccupied(marks, [depth, height, width]) {
    const texture = new Data3DTexture(marks, width, height, depth);
    Object.assign(texture, { format: RedFormat, type: UnsignedByteType, unpackAlignment: 1, needsUpdate: true });
    Object.assign(texture, { minFilter: NearestFilter, magFilter: NearestFilter });
    this.#replace("occupied", texture);
  }

  /** Replace the colour map, where it is another. */
  setColours(name) {
    if (!this.#isNew("colourMap", name)) return;
    const table = colourTable(name);
    const bytes = new Uint8Array(256 * 4);
    for (let i = 0; i < 256; i++) bytes.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    const texture = new DataTexture(bytes, 256, 1, RGBAFormat, UnsignedByteType);
    Object.assign(texture, { minFilter: LinearFilter, magFilter: LinearFilter, needsUpdate: true });
    this.#replace("colourMap", texture);
  }

  /** Replace the opacity curve, where it is another: points [value from 0 to 1, opacity], in order. */
  setCurve(points) {
    if (!this.#isNew("opacityCurve", JSON.stringify(points))) return;
    const data = new Uint16Array(CURVE_SAMPLES);
    for (let i = 0; i < CURVE_SAMPLES; i++) data[i] = DataUtils.toHalfFloat(curveAt(points, i / (CURVE_SAMPLES - 1)));
    const texture = new DataTexture(data, CURVE_SAMPLES, 1, RedFormat, HalfFloatType);
    Object.assign(texture, { minFilter: LinearFilter, magFilter: LinearFilter, needsUpdate: true });
    this.#replace("opacityCurve", texture);
  }

  /** Whether a texture has other content than the last of its name, and note the content. */
  #isNew(name, key) {
    if (this.#keys.get(name) === key) return false;
    this.#keys.set(name, key);
    return true;
  }

  #replace(name, texture) {
    this.#textures.get(name)?.dispose();
    this.#textures.set(name, texture);
    this.material.uniforms[name].value = texture;
  }

  /** Choose the mode; see `MODES`. */
  setMode(mode) {
    if (this.material.defines.MODE === MODES[mode]) return;
    this.material.defines = { MODE: MODES[mode], RENDER: RENDERERS[mode] };
    this.material.needsUpdate = true;
  }

  /** Set numbers of the shader; vectors as arrays. */
  set(numbers) {
    for (const [name, value] of Object.entries(numbers)) {
      const uniform = this.material.uniforms[name];
      if (Array.isArray(value)) uniform.value.fromArray(value);
      else uniform.value = value;
    }
  }

  /**
   * Draw.
   * @returns {Promise<number>} [ms] Time until the picture is there; the page goes on meanwhile.
   */
  async render(width, height) {
    const start = performance.now();
    this.renderer.setSize(width, height, false);
    this.renderer.render(this.scene, this.camera);
    const gl = this.renderer.getContext();
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (!gl.isContextLost() && gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED) await pause();
    gl.deleteSync(fence);
    return performance.now() - start;
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 4));

/** Values of a volume as numbers, from 0 to 1 over its range. */
export function volumeNumbers({ data }) {
  if (data instanceof Uint8Array) return Float32Array.from(data, (value) => value / 255);
  return Float32Array.from(data, DataUtils.fromHalfFloat);
}

function uniforms() {
  const empty = { values: null, body: null, occupied: null, colourMap: null, opacityCurve: null };
  const numbers = { background: 0, level: 0.5, inward: 1, strength: 1, stepLength: 0.01, otherBody: false, masked: true, cyclic: false };
  return Object.fromEntries(
    Object.entries({
      ...empty,
      ...numbers,
      boxSize: new Vector3(1, 1, 1),
      blockSize: new Vector3(1, 1, 1),
      valuesCentre: new Vector3(),
      valuesSize: new Vector3(1, 1, 1),
      bodyCentre: new Vector3(),
      bodySize: new Vector3(1, 1, 1),
      voxel: new Vector3(0.01, 0.01, 0.01),
      toModel: new Matrix3(),
      halfView: new Vector2(1, 1),
      pan: new Vector2(),
      colourRange: new Vector2(0, 1),
      planePoint: new Vector3(),
      planeNormals: new Matrix3(),
    }).map(([name, value]) => [name, { value }]),
  );
}
