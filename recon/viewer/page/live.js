/** News of the runs: the list every two seconds, new results of the shown run, its progress. */

import { getJson } from "./api.js";
import { clearStatus, showError, showMessage } from "./status.js";

const PERIOD = 2000; // [ms]

export class Live {
  #failed = false;
  #gone = "";

  /** @param {object} app The page. */
  constructor(app) {
    this.app = app;
    /** Whether the page has chosen its first run; before, none is opened on news. */
    this.isStarted = false;
    setInterval(() => this.poll(), PERIOD);
  }

  /** Ask once; questions do not pile up behind a slow answer. */
  async poll() {
    if (this.asking) return;
    this.asking = true;
    try {
      const { runs } = await getJson("runs");
      if (this.#failed) clearStatus();
      this.#failed = false;
      await this.#take(runs);
    } catch (error) {
      this.#failed = true;
      showError(error);
    } finally {
      this.asking = false;
    }
  }

  async #take(runs) {
    const { session, runs: list, side, comparison } = this.app;
    const before = new Set(session.runs.map((run) => run.id));
    const isFirst = session.runs.length === 0;
    session.runs = runs;
    const added = runs.filter((run) => !before.has(run.id));
    if (!isFirst && added.length) showMessage(`New: ${added.map((run) => run.name).join(", ")}`);
    const shown = runs.find((run) => run.id === session.view.run);
    await this.#followShown(shown, added);
    // The version of the shown run goes with its description, which `open` reads.
    for (const run of runs) if (run.id !== session.view.run) session.changed[run.id] = run.changed;
    comparison.refresh();
    list.refresh();
    side.refresh();
    if (session.view.tab === "progress" && shown) side.progress.refresh();
  }

  async #followShown(shown, added) {
    const { app } = this;
    const { session } = app;
    if (!shown) {
      if (session.description && this.#gone !== session.view.run) {
        this.#gone = session.view.run;
        session.isGone = true;
        showError(`${session.description.name} is gone: its folder was removed, moved or renamed. What you see is the last of it.`);
      } else if (this.isStarted && !session.description && added.length) await app.open(added[0].id);
      return;
    }
    if (session.isGone) await app.open(shown.id);
    this.#gone = "";
    if (session.description && shown.changed !== session.changed[shown.id]) await app.open(shown.id);
  }
}
