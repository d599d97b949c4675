/** The side of the page: tabs with the controls, measures, panels of the kind, and progress. */

import { Controls } from "./controls.js";
import { button, element } from "./dom.js";
import { KindPanels } from "./kind_panels.js";
import { Measure } from "./measure.js";
import { Progress } from "./progress.js";
import { saveSpin, saveSweep } from "./save.js";

const TITLES = { view: "View", measure: "Measure", panels: "Data", progress: "Progress" };

export class Side {
  /**
   * @param {object} app The page.
   * @param {() => void} onChange Called when a profile arrived.
   */
  constructor(app, onChange) {
    this.app = app;
    const { session } = app;
    this.controls = new Controls(session);
    this.measure = new Measure(session, onChange);
    this.panels = new KindPanels(session);
    this.progress = new Progress(session);
    this.saving = this.#saving();
    const contents = { view: [this.controls.element, this.saving], measure: [this.measure.element], panels: [this.panels.element], progress: [this.progress.element] };
    this.tabs = Object.entries(TITLES).map(([name, title]) => this.#tab(name, title, contents[name]));
    const list = element("div", { class: "tabs", role: "tablist", "aria-label": "Side", onkeydown: (event) => this.#key(event) }, ...this.tabs.map(({ tab }) => tab));
    document.getElementById("side").append(list, ...this.tabs.map(({ panel }) => panel));
  }

  #tab(name, title, content) {
    const tab = element("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => this.open(name) }, title);
    const panel = element("div", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, class: "tab-panel" }, ...content);
    return { name, tab, panel };
  }

  #saving() {
    const { app } = this;
    const slice = () => {
      const visible = app.shownSlices.filter((panel) => panel.isVisible);
      return visible.find((panel) => panel.element.contains(document.activeElement)) ?? visible[0];
    };
    this.turnMovie = button("Movie of one turn", () => saveSpin(app.volume), { class: "small" });
    this.sliceMovie = button("Movie through the slices", () => saveSweep(slice()), { class: "small" });
    const buttons = [
      this.turnMovie,
      this.sliceMovie,
      button("Copy link", () => app.copyLink(), { class: "small", title: "A link to exactly this view" }),
    ];
    const hint = element("p", { class: "hint" }, "Each panel has a button that saves its picture.");
    return element("section", { class: "group" }, element("h3", {}, "Save"), element("div", { class: "row" }, ...buttons), hint);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const shown = this.tabs.filter(({ tab }) => !tab.hidden);
    const at = shown.findIndex(({ name }) => name === this.app.store.view.tab);
    const next = shown[(at + step + shown.length) % shown.length];
    this.open(next.name);
    next.tab.focus();
    event.preventDefault();
  }

  /** Open a tab. */
  open(name) {
    this.app.store.set({ tab: name });
    if (name === "progress") this.progress.refresh();
    if (name !== "measure") this.measure.toggle(false);
  }

  /** Show the state of the view. */
  refresh() {
    const { session } = this.app;
    const { tab: open } = session.view;
    document.body.dataset.tab = open;
    for (const { name, tab, panel } of this.tabs) {
      const isOpen = name === open;
      tab.setAttribute("aria-selected", String(isOpen));
      tab.tabIndex = isOpen ? 0 : -1;
      panel.hidden = !isOpen;
    }
    const byName = (name) => this.tabs.find((each) => each.name === name).tab;
    if (session.description) this.panels.refresh(open === "panels");
    byName("panels").hidden = this.panels.isEmpty;
    if (session.run) {
      this.controls.refresh();
      this.measure.refresh();
    }
    this.controls.element.hidden = !session.run;
    this.saving.hidden = !session.run;
    const { layout } = session.view;
    const isCompared = this.app.comparison.isShown;
    enable(this.turnMovie, !isCompared && ["grid", "volume"].includes(layout), "Turns the volume once", "The volume is not shown: show all panels, or the volume alone");
    enable(this.sliceMovie, isCompared || layout !== "volume", "Through the first plane that is shown", "No slice is shown: show all panels, or one slice");
  }
}

/** Enable or disable a button, with a hint for either. */
function enable(node, isPossible, hint, reason) {
  node.disabled = !isPossible;
  node.title = isPossible ? hint : reason;
}
