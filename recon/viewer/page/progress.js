/** Progress of the run: state, verdict, losses and residuals, last lines of the log. */

import { getJson, runPath } from "./api.js";
import { legend, lineChart } from "./chart.js";
import { element } from "./dom.js";
import { showError } from "./status.js";


export class Progress {
  #serial = 0;
  #text = "";

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.element = element("div", { class: "progress" });
  }

  /** Read the progress of the run that is shown. */
  async refresh() {
    if (!this.session.view.run) return;
    const serial = ++this.#serial;
    try {
      const progress = await getJson(runPath(this.session.view.run, "progress"));
      const text = JSON.stringify(progress);
      if (serial !== this.#serial || text === this.#text) return;
      this.#text = text;
      this.#show(progress);
    } catch (error) {
      if (error.status !== 404) showError(error);
    }
  }

  #show({ state, reason, verdict, series = {}, titles = {}, over = "step", numbers = [], log = [], resume = "" }) {
    const parts = [element("p", { class: "state" }, stateChip(state), reason ? ` ${reason}` : "")];
    if (verdict) parts.push(verdictBlock(verdict));
    for (const group of chartGroups(series, titles)) {
      parts.push(element("h3", {}, group.title));
      parts.push(lineChart(group.curves, { x: over, y: group.title, log: group.log, dots: over === "start", label: `${group.title} over the ${over}s` }));
      if (group.curves.length > 1) parts.push(legend(group.curves));
    }
    if (numbers.length) parts.push(numberTable(numbers));
    if (resume) parts.push(element("h3", {}, "To go on"), element("pre", { tabindex: 0 }, resume));
    if (log.length) parts.push(element("h3", {}, "Log"), element("pre", { class: "log", tabindex: 0 }, log.join("\n")));
    if (this.session.description?.report) {
      const address = `api/${runPath(this.session.view.run, "report")}`;
      parts.push(element("p", {}, element("a", { href: address, target: "_blank", rel: "noopener" }, "Report of the run")));
    }
    this.element.replaceChildren(...parts);
  }
}

/** Put series of like numbers into one chart: losses, residuals, and each other one by itself. */
function chartGroups(series, titles) {
  const groups = new Map();
  for (const [name, points] of Object.entries(series)) {
    const own = titles[name] ?? name.replaceAll("_", " ");
    const title = name.startsWith("residual") ? "Residual" : own;
    if (!groups.has(title)) groups.set(title, { title, curves: [] });
    groups.get(title).curves.push({ name: own, points });
  }
  return [...groups.values()].map((group) => ({ ...group, log: isWide(group.curves) }));
}

function isWide(curves) {
  const values = curves.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  return values.length > 1 && values.every((value) => value > 0) && Math.max(...values) / Math.min(...values) > 3;
}

/** State as a coloured word. */
export function stateChip(state) {
  return element("span", { class: "chip", "data-state": state }, state);
}

/** Verdict as a coloured word, for the head of the page. */
export function verdictChip(verdict) {
  if (!verdict) return null;
  const reasons = verdict.reasons.join("; ");
  return element("span", { class: "chip", "data-verdict": verdict.soundness, title: reasons || false }, verdict.soundness);
}

function verdictBlock(verdict) {
  const reasons = verdict.reasons.map((reason) => element("li", {}, reason));
  return element("div", { class: "verdict" }, verdictChip(verdict), element("ul", {}, ...reasons));
}

function numberTable(numbers) {
  const rows = numbers.map(({ title, name, value, meaning }) =>
    element("tr", { title: meaning || false }, element("th", { scope: "row" }, title ?? name), element("td", {}, value)));
  return element("table", { class: "numbers" }, element("caption", {}, "Numbers"), element("tbody", {}, ...rows));
}
