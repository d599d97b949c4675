/** Arrangement of the panels: the four views as in the figures of unflat, one of them alone, or a comparison. */

import { boxSize } from "./geometry.js";
import { element } from "./dom.js";

export class Layout {
  /** @param {object} app The page. */
  constructor(app) {
    this.app = app;
    this.node = document.getElementById("views");
    const [z, x, y] = app.slices;
    this.grid = element("div", { class: "grid" }, z.element, x.element, y.element, app.volume.element);
    this.empty = element("p", { class: "empty", hidden: true });
    this.node.append(this.grid, app.comparison.element, this.empty);
    for (const panel of app.slices) panel.onResize = () => this.fit();
  }

  /** Show the panels that the view asks for. */
  refresh() {
    const { session, comparison } = this.app;
    const { layout } = session.view;
    this.grid.hidden = !session.run || comparison.isShown;
    this.empty.hidden = session.run !== null;
    this.empty.textContent = emptyText(session.description);
    this.grid.dataset.layout = layout;
    for (const panel of this.grid.children) panel.hidden = layout !== "grid" && panel.dataset.panel !== layout;
    if (session.run) this.fit();
  }

  /** Find the scale with which the box fits all panels that are shown. */
  fit() {
    const { session, shownSlices } = this.app;
    const [depth, height, width] = boxSize(session.run.bounds);
    const sides = { z: [width, height], y: [width, depth], x: [depth, height] };
    const visible = shownSlices.filter((panel) => panel.isVisible);
    const pitches = visible.map(({ name, stage }) =>
      Math.max(sides[name][0] / (stage.clientWidth * 0.94), sides[name][1] / (stage.clientHeight * 0.94)));
    const fit = Math.max(...pitches, 0) || session.fit;
    if (fit === session.fit) return;
    session.fit = fit;
    if (!session.view.scale) for (const panel of visible) panel.refresh();
  }
}

/** Text in place of the panels, where there is nothing to draw. */
function emptyText(description) {
  if (!description) return "There is no run here yet. The first one appears here by itself when it begins.";
  const { name, failure, state, reason } = description;
  if (failure) return `${name} cannot be shown. ${failure}`;
  if (reason && ["failed", "died", "stopped"].includes(state)) return `${name} has no result; it ${state}: ${reason}`;
  if (state === "done") return `${name} is done and holds nothing in space, as a training does: the tab Progress shows its course.`;
  return `${name} has no result yet. Its slices appear here with the first one, those of a fit in tiles at its end; the tab Progress shows how far it is.`;
}
