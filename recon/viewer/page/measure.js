/** Distances and profiles along a line that is drawn on a slice. */

import { getJson, NewestOnly, runPath, vectorText } from "./api.js";
import { lineChart } from "./chart.js";
import { button, element, saveFile } from "./dom.js";
import { norm, subtract } from "./geometry.js";
import { showError } from "./status.js";
import { quantityTitle } from "./titles.js";
import { axisUnit, formatCoordinate, formatLength, lengthUnit } from "./units.js";

const COUNT = 501; // samples along the line

export class Measure {
  #queue = new NewestOnly(() => this.onChange());
  #key = "";

  /**
   * @param {import("./session.js").Session} session
   * @param {() => void} onChange Called when a profile arrived.
   */
  constructor(session, onChange) {
    Object.assign(this, { session, onChange });
    this.profile = null;
    this.tool = element("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggle() }, "Draw a line");
    this.length = element("output", { class: "length" });
    this.ends = element("p", { class: "hint" });
    this.chart = element("div", { class: "plot" });
    this.save = button("Save as CSV", () => this.#saveCsv());
    const remove = button("Remove", () => session.store.set({ line: null }));
    const hint = element("p", { class: "hint" }, "Press the button or m, then drag over a slice. The line stays where it is in the model.");
    this.result = element("div", { class: "result" }, this.length, this.ends, this.chart, element("div", { class: "row" }, this.save, remove));
    this.element = element("div", { class: "measure" }, this.tool, hint, this.result);
  }

  /** Begin or end the drawing of lines. */
  toggle(on = !this.session.measuring) {
    this.session.measuring = on;
    this.tool.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("measuring", on);
  }

  get isBusy() {
    return this.#queue.busy;
  }

  /** Show the line of the view, and ask for the values along it. */
  refresh() {
    const { session } = this;
    const { line } = session.view;
    this.result.hidden = line === null;
    if (!line) return;
    const { length_unit: unit, id } = session.run;
    this.length.textContent = formatLength(norm(subtract(line.to, line.from)), unit, 4);
    const point = (p) => p.map((c) => formatCoordinate(c, session.unit, session.scale)).join(", ");
    this.ends.textContent = `from (z, y, x) = (${point(line.from)}) to (${point(line.to)}) ${session.unit.name}`;
    const query = session.source({ from: vectorText(line.from), to: vectorText(line.to), count: COUNT });
    const key = JSON.stringify([id, session.changed[id], query]);
    if (key === this.#key || session.isGone) return;
    this.#key = key;
    this.#queue.run(async () => {
      try {
        const profile = await getJson(runPath(id, "profile"), query);
        if (key === this.#key) this.#show(profile);
      } catch (error) {
        this.chart.replaceChildren();
        showError(error);
      }
    });
  }

  #show(profile) {
    this.profile = { ...profile, title: this.session.quantity.name, lengthUnit: this.session.run.length_unit };
    const { distance, values } = profile;
    const along = lengthUnit(distance[distance.length - 1], this.session.run.length_unit);
    const finite = values.filter(Number.isFinite);
    const { factor, name } = axisUnit(profile.unit, Math.max(...finite.map(Math.abs), 0));
    const points = distance.map((d, i) => [d * along.factor, values[i] === null ? NaN : values[i] * factor]);
    const title = quantityTitle({ ...this.session.quantity, unit: name });
    const label = `Profile of ${title} along the line`;
    this.chart.replaceChildren(lineChart([{ name: title, points }], { x: `distance (${along.name})`, y: title, label }));
  }

  #saveCsv() {
    if (!this.profile) return;
    const { distance, values, title, unit, lengthUnit: length } = this.profile;
    const suffix = unit && unit !== "1" ? ` [${unit}]` : "";
    const rows = distance.map((d, i) => `${d},${values[i] ?? ""}`);
    saveFile(new Blob([`distance [${length}],${title}${suffix}\n${rows.join("\n")}\n`], { type: "text/csv" }), "profile.csv");
  }
}
