/** Pictures of the volume from the server, for browsers without WebGL 2. */

import { NewestOnly, request, runPath } from "./api.js";
import { element } from "./dom.js";
import { norm } from "./geometry.js";
import { showError } from "./status.js";

export class ServerPictures {
  #queue = new NewestOnly(() => this.onChange());
  #key = "";
  #camera;

  /**
   * @param {import("./session.js").Session} session
   * @param {HTMLElement} stage
   * @param {() => import("./volume_camera.js").VolumeCamera} camera
   * @param {() => void} onChange
   */
  constructor(session, stage, camera, onChange) {
    Object.assign(this, { session, stage, onChange });
    this.#camera = camera;
    this.image = element("img", { class: "picture server-picture", alt: "Volume, drawn by the server" });
    stage.prepend(this.image);
    stage.classList.add("server-stage");
  }

  get isBusy() {
    return this.#queue.busy;
  }

  /** Lay the picture, a square whose edge is the diagonal of the box, where the box is drawn. */
  place() {
    const camera = this.#camera();
    const edge = norm(camera.size) / camera.pitch;
    const [x, y] = camera.toPixel(camera.centre);
    Object.assign(this.image.style, { left: `${x - edge / 2}px`, top: `${y - edge / 2}px`, width: `${edge}px`, height: `${edge}px` });
  }

  /** Copy what the panel shows, at a number of pixels a CSS pixel. */
  capture(density) {
    const { clientWidth, clientHeight } = this.stage;
    const size = { width: Math.round(clientWidth * density), height: Math.round(clientHeight * density) };
    const canvas = Object.assign(document.createElement("canvas"), size);
    const context = canvas.getContext("2d");
    context.scale(density, density);
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = this.image;
    context.drawImage(this.image, offsetLeft, offsetTop, offsetWidth, offsetHeight);
    return canvas;
  }

  /** Ask for the picture of the view, unless it is there. */
  refresh() {
    const { session, stage } = this;
    this.place();
    const { mode } = session;
    const { azimuth, elevation } = session.view.volume;
    const query = session.source({
      style: mode === "surface" ? "surface" : "volume",
      azimuth: (azimuth * 180) / Math.PI,
      elevation: (elevation * 180) / Math.PI,
      level: mode === "surface" ? session.level : null,
      size: Math.round(Math.min(stage.clientWidth, stage.clientHeight)),
    });
    const key = JSON.stringify([session.run.id, session.changed[session.run.id], query]);
    if (key === this.#key) return;
    this.#key = key;
    this.#queue.run(async () => {
      try {
        const blob = await (await request(runPath(session.run.id, "picture"), query)).blob();
        URL.revokeObjectURL(this.image.src);
        this.image.src = URL.createObjectURL(blob);
      } catch (error) {
        showError(error);
      }
    });
  }
}
