/** List of the runs with their states, as a menu under the name of the run that is shown. */

import { element } from "./dom.js";
import { stateChip, verdictChip } from "./progress.js";
import { formatNumber } from "./units.js";

export class RunList {
  #shown = ""; // rows of the list as text

  /**
   * @param {import("./session.js").Session} session
   * @param {(id: string) => void} onChoice
   */
  constructor(session, onChoice) {
    Object.assign(this, { session, onChoice });
    this.name = element("span", { class: "run-name" }, "…");
    this.button = element("button", {
      type: "button", class: "run-button", "aria-haspopup": "listbox", "aria-expanded": "false", "aria-label": "Choose a run",
      onclick: () => this.toggle(),
      onkeydown: (event) => event.key === "ArrowDown" && (this.toggle(true), event.preventDefault()),
    }, this.name, element("span", { class: "caret", "aria-hidden": "true" }, "▾"));
    this.list = element("ul", { class: "run-list", role: "listbox", "aria-label": "Runs", hidden: true, onkeydown: (event) => this.#key(event) });
    this.chips = element("span", { class: "chips" });
    this.element = element("div", { class: "runs" }, this.button, this.list, this.chips);
    document.addEventListener("pointerdown", (event) => this.element.contains(event.target) || this.toggle(false));
  }

  /** Open or close the list. */
  toggle(open = this.list.hidden) {
    if (this.list.hidden !== open) return;
    this.list.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) (this.list.querySelector("[aria-selected=true]") ?? this.list.firstElementChild)?.focus();
    else if (this.list.contains(document.activeElement)) this.button.focus();
  }

  #key(event) {
    const rows = [...this.list.children];
    const at = rows.indexOf(document.activeElement);
    const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (target !== undefined) rows[Math.min(Math.max(target, 0), rows.length - 1)]?.focus();
    else if (event.key === "Enter" || event.key === " ") this.#choose(document.activeElement.dataset.run);
    else if (event.key === "Escape") this.toggle(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(id) {
    this.toggle(false);
    this.onChoice(id);
  }

  /** Show the runs as the server lists them. */
  refresh() {
    const { runs, view } = this.session;
    const current = runs.find((run) => run.id === view.run);
    this.name.textContent = current?.name ?? this.session.description?.name ?? "no run yet";
    this.chips.replaceChildren(...(current ? [stateChip(current.state), verdictChip(current.verdict)].filter(Boolean) : []));
    const key = JSON.stringify([view.run, runs]);
    if (key === this.#shown) return; // A row must stay the same from press to release, or else the click is lost.
    this.#shown = key;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.run : null;
    this.list.replaceChildren(...runs.map((run) => this.#row(run, run.id === view.run)));
    if (focused) this.list.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(run, isShown) {
    const loss = run.loss === null || run.loss === undefined ? "" : `, loss ${formatNumber(run.loss, 3)}`;
    const step = run.step === null || run.step === undefined ? "" : `step ${run.step}${loss}`;
    const detail = [run.kind, !run.has_result ? (run.state === "done" ? "nothing in space" : "no result yet") : run.is_preview ? "result so far" : "", step].filter(Boolean).join(" · ");
    return element("li", { role: "option", tabindex: -1, "data-run": run.id, "aria-selected": String(isShown), title: run.reason || false, onclick: () => this.#choose(run.id) },
      element("span", { class: "row-name" }, run.name), stateChip(run.state), verdictChip(run.verdict),
      element("span", { class: "detail" }, detail));
  }
}
