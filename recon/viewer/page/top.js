/** Buttons at the head of the page: panels, colours of the page, help. */

import { button, element } from "./dom.js";

const PANELS = [["grid", "All"], ["z", "z"], ["y", "y"], ["x", "x"], ["volume", "3D"]];
const SYSTEM = matchMedia("(prefers-color-scheme: dark)");
const THEMES = { "": "Auto", light: "Light", dark: "Dark" };

export class TopButtons {
  /** @param {object} app The page. */
  constructor(app) {
    this.app = app;
    this.layouts = PANELS.map(([name, title]) =>
      button(title, () => app.store.set({ layout: name, compare: { ...app.store.view.compare, kind: "none" } }), {
        "data-layout": name,
        "aria-label": name === "grid" ? "Show all panels" : `Show only ${name === "volume" ? "the volume" : `the ${name} plane`}`,
      }));
    this.theme = button("", () => this.#nextTheme(), { class: "quiet" });
    const help = button("?", () => app.help.showModal(), { class: "quiet", "aria-label": "Gestures and keys" });
    this.element = element("div", { class: "top-buttons" }, element("div", { class: "segments layouts", role: "group", "aria-label": "Panels" }, ...this.layouts), this.theme, help);
    this.theme.dataset.choice = storedTheme();
    SYSTEM.addEventListener("change", () => this.#applyTheme());
    this.#applyTheme();
  }

  #nextTheme() {
    const names = Object.keys(THEMES);
    this.theme.dataset.choice = names[(names.indexOf(this.theme.dataset.choice) + 1) % names.length];
    this.#applyTheme();
  }

  /** Apply the user's choice, or that of the system: canvases read the colours from the one palette that holds. */
  #applyTheme() {
    const name = this.theme.dataset.choice;
    document.documentElement.dataset.theme = name || (SYSTEM.matches ? "dark" : "light");
    this.app.volume?.invalidate();
    this.theme.textContent = THEMES[name];
    this.theme.setAttribute("aria-label", `Colours of the page: ${THEMES[name]}`);
    try {
      localStorage.setItem("unflat-theme", name);
    } catch {
      // A browser that stores nothing forgets the choice: no harm.
    }
  }

  /** Show which panel is maximised. */
  refresh() {
    const { layout, compare } = this.app.store.view;
    for (const node of this.layouts) node.setAttribute("aria-pressed", String(compare.kind === "none" && node.dataset.layout === layout));
  }
}

function storedTheme() {
  try {
    const name = localStorage.getItem("unflat-theme") ?? "";
    return name in THEMES ? name : "";
  } catch {
    return "";
  }
}
