/** The same plane of several draws, or of two runs, side by side. */

import { element } from "./dom.js";
import { SlicePanel } from "./slice_panel.js";
import { drawSource, runSource, viewSource } from "./sources.js";
import { showError } from "./status.js";
import { capital, drawTitle } from "./titles.js";

const MOST = 6; // draws

export class Comparison {
  #key = "";

  /**
   * @param {import("./session.js").Session} session
   * @param {{onChange: () => void, onSave: (panel: SlicePanel) => void, onResize: () => void}} options
   */
  constructor(session, options) {
    Object.assign(this, { session, ...options });
    this.panels = [];
    /** Whether its panels are not there yet. */
    this.isBusy = false;
    this.element = element("div", { class: "comparison", hidden: true });
  }

  get isShown() {
    return this.session.run !== null && this.session.view.compare.kind !== "none";
  }

  /** Show the panels that the view asks for. */
  async refresh() {
    const { session } = this;
    this.element.hidden = !this.isShown;
    const { compare } = session.view;
    const key = this.isShown ? JSON.stringify([session.run.id, session.run.draws, compare, session.changed[compare.run]]) : "";
    if (key === this.#key) return;
    this.#key = key;
    this.isBusy = true;
    try {
      const entries = this.isShown ? await this.#entries(compare) : [];
      if (key !== this.#key) return;
      for (const panel of this.panels) panel.remove();
      this.panels = entries.map(({ title, source }) => this.#panel(compare.plane, title, source));
      this.element.dataset.count = this.panels.length;
      this.element.replaceChildren(...this.panels.map((panel) => panel.element));
    } catch (error) {
      showError(error);
      session.store.set({ compare: { ...compare, kind: "none" } });
    }
    if (key === this.#key) this.isBusy = false;
    this.onChange();
  }

  async #entries(compare) {
    const { session } = this;
    if (compare.kind === "draws") {
      const draws = Array.from({ length: Math.min(session.run.draws, MOST) }, (_, draw) => draw);
      return draws.map((draw) => ({ title: capital(drawTitle(session.run, draw)), source: () => drawSource(session, draw) }));
    }
    const other = await session.describe(compare.run);
    return [
      { title: session.run.name, source: () => viewSource(session) },
      { title: other.name, source: () => runSource(session, other) },
    ];
  }

  #panel(plane, title, source) {
    const panel = new SlicePanel(this.session, plane, { source, title, onChange: this.onChange });
    Object.assign(panel, { onSave: this.onSave, onResize: this.onResize });
    return panel;
  }
}
