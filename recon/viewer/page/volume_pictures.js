/** Pictures of the volume from the server, for browsers without WebGL 2. */

import { NewestOnly, request, runPath } from "./api.js";
import { element } from "./dom.js";
import { showError } from "./status.js";

export class ServerPictures {
  #queue = new NewestOnly(() => this.onChange());
  #key = "";

  /**
   * @param {import("./session.js").Session} session
   * @param {HTMLElement} stage
   * @param {() => void} onChange
   */
  constructor(session, stage, onChange) {
    Object.assign(this, { session, stage, onChange });
    this.image = element("img", { class: "picture server-picture", alt: "Volume, drawn by the server" });
    stage.prepend(this.image);
  }

  get isBusy() {
    return this.#queue.busy;
  }

  /** Ask for the picture of the view, unless it is there. */
  refresh() {
    const { session, stage } = this;
    const { mode, azimuth, elevation } = session.view.volume;
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
