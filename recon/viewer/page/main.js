/** The page of `unflat view`: builds the panels, follows the view, asks for news of the runs. */

import { Comparison } from "./compare.js";
import { helpDialog } from "./help.js";
import { Layout } from "./layout.js";
import { listenToKeys } from "./keyboard.js";
import { decodeView, encodeView, linkTo } from "./link.js";
import { Live } from "./live.js";
import { Outlines } from "./outlines.js";
import { RunList } from "./run_list.js";
import { savePicture } from "./save.js";
import { Session } from "./session.js";
import { Side } from "./side.js";
import { SlicePanel } from "./slice_panel.js";
import { viewSource } from "./sources.js";
import { Store } from "./state.js";
import { clearStatus, showError, showMessage, useStatusLine } from "./status.js";
import { TopButtons } from "./top.js";
import { VolumePanel } from "./volume_panel.js";

const LINK_PAUSE = 300; // [ms] without a change, after which the address follows the view

class App {
  #linkTimer = 0;
  #writtenHash = "";
  #opening = 0; // descriptions of runs on their way
  #failure = ""; // message of the last one that did not come

  constructor() {
    useStatusLine(document.getElementById("status"));
    this.store = new Store();
    this.session = new Session(this.store);
    this.#restore();
    const onChange = () => this.settle();
    this.slices = ["z", "x", "y"].map((name) => this.#slice(name, onChange));
    this.outlines = this.slices.map((panel) => new Outlines(panel, onChange));
    this.volume = new VolumePanel(this.session, { onMaximise: () => this.maximise("volume"), onChange });
    this.comparison = new Comparison(this.session, { onChange, onSave: savePicture, onResize: () => this.layout.fit() });
    for (const panel of [...this.slices, this.volume]) panel.onSave = savePicture;
    this.session.isSampling = () => this.shownSlices.some((panel) => panel.isBusy);
    this.layout = new Layout(this);
    this.side = new Side(this, onChange);
    this.help = helpDialog();
    this.runs = new RunList(this.session, (id) => this.open(id));
    this.top = new TopButtons(this);
    document.getElementById("top").append(this.runs.element, this.top.element);
    document.body.append(this.help);
    this.live = new Live(this);
    this.store.subscribe((changed) => this.#follow(changed));
    listenToKeys(this);
    window.addEventListener("hashchange", () => this.#followLink());
  }

  #slice(name, onChange) {
    const source = () => viewSource(this.session);
    return new SlicePanel(this.session, name, { source, onMaximise: () => this.maximise(name), onChange });
  }

  /** Take the view from the address; a fault of it is shown when the page is open. */
  #restore() {
    try {
      const view = decodeView(window.location.hash);
      if (view) this.store.view = view;
      this.fault = null;
    } catch (error) {
      this.fault = error;
    }
  }

  /** Another link was put into the address of the open page. */
  async #followLink() {
    if (window.location.hash === this.#writtenHash) return;
    this.#restore();
    await this.open(this.store.view.run, true);
    this.store.set(this.store.view);
    if (this.fault) showError(this.fault);
  }

  /**
   * Show a run.
   * @param {string} id
   * @param {boolean} [isRestored] Whether the view comes from a link to this run.
   */
  async open(id, isRestored = false) {
    this.#opening++;
    this.settle();
    const isNew = id !== this.session.description?.id;
    try {
      if (await this.session.open(id, isRestored)) {
        if (isNew || this.#failure) clearStatus();
        this.#failure = "";
      }
    } catch (error) {
      if (isNew || error.message !== this.#failure) showError(error);
      this.#failure = error.message;
    }
    this.#opening--;
    this.layout.refresh();
    this.runs.refresh();
    this.settle();
  }

  /** Show one panel alone, or all again. */
  maximise(name) {
    this.store.set({ layout: this.store.view.layout === name ? "grid" : name });
  }

  /** Put a link to the view into the clipboard, or the address where the browser forbids that. */
  async copyLink() {
    const link = linkTo(this.session.run ? this.session.wholeView : this.store.view);
    try {
      await navigator.clipboard.writeText(link);
      showMessage("Link copied. It opens this view where the same `unflat view` runs.");
    } catch {
      window.history.replaceState(null, "", link);
      showMessage("The browser forbids the clipboard: the link is in the address line.");
    }
  }

  #follow(changed) {
    const { session } = this;
    if (changed.has("layout") || changed.has("compare") || changed.has("run")) this.layout.refresh();
    this.comparison.refresh();
    if (session.run) {
      const isOnlyVolume = changed.size === 1 && changed.has("volume");
      const bodyMatters = session.masked || session.view.contours;
      if (!isOnlyVolume || bodyMatters) for (const panel of this.shownSlices) panel.refresh();
      const volumeParts = ["volume", "run", "quantity", "draw", "cell", "at", "ranges", "colours", "point", "planes", "mask", "layout", "compare"];
      if (volumeParts.some((name) => changed.has(name)) || !changed.size) this.volume.refresh();
    }
    this.side.refresh();
    this.top.refresh();
    this.#noteLink();
    this.settle();
  }

  /** Show two results of one kind, and no more, side by side: for that they were named together. */
  #comparePair() {
    const [first, second, ...more] = this.session.runs;
    if (!second || more.length || !first.has_result || !second.has_result || first.kind !== second.kind) return;
    const other = first.id === this.session.run.id ? second.id : first.id;
    this.store.set({ compare: { kind: "run", plane: "z", run: other } });
  }

  get shownSlices() {
    return this.comparison.isShown ? this.comparison.panels : this.slices;
  }

  #noteLink() {
    clearTimeout(this.#linkTimer);
    this.#linkTimer = setTimeout(() => {
      if (!this.session.run) return;
      this.#writtenHash = `#${encodeView(this.session.wholeView)}`;
      window.history.replaceState(null, "", this.#writtenHash);
    }, LINK_PAUSE);
  }

  /** Note whether all that is shown is final; outlines follow the exact slices. */
  settle() {
    for (const outline of this.outlines) if (this.session.run && outline.panel.exact) outline.refresh();
    const panels = [...this.shownSlices, this.comparison.isShown ? null : this.volume].filter(Boolean);
    const isBusy = this.#opening > 0 || !this.session.description || [...panels, ...this.outlines, this.comparison, this.side.measure].some((each) => each.isBusy);
    document.body.dataset.busy = String(isBusy);
    if (!isBusy) document.body.dataset.ready = "true";
  }

  /** Read the list of runs, and show the one of the link, or the first with a result. */
  async start() {
    await this.live.poll();
    this.live.isStarted = true;
    const { runs, view } = this.session;
    const first = runs.find((run) => run.id === view.run) ?? runs.find((run) => run.has_result) ?? runs[0];
    if (!first) {
      clearStatus();
      return this.layout.refresh();
    }
    if (view.run && first.id !== view.run) this.fault ??= "The run of the link is not here: another one is shown.";
    await this.open(first.id, first.id === view.run);
    if (!view.run) this.#comparePair();
    return this.fault && showError(this.fault);
  }
}

const app = new App();
window.unflat = app;
app.start().catch(showError);
