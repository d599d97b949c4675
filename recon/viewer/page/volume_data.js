/** Volumes for the rendering, from the server: a coarse one first, then the fine one. */

import { request, runPath } from "./api.js";

/** Samples of one quantity in the box, at cell centres. */
async function fetchVolume(run, query, longest) {
  const response = await request(runPath(run, "texture"), { ...query, longest });
  const header = JSON.parse(response.headers.get("X-Texture"));
  const buffer = await response.arrayBuffer();
  const data = header.type === "uint8" ? new Uint8Array(buffer) : new Uint16Array(buffer);
  return { ...header, data };
}

/** Keeps the volumes of the shown values and of the body, and asks for new ones where they changed. */
export class VolumeData {
  #keys = { values: "", body: "" };
  #loads = 0;

  /** @param {(name: string, volume: object) => void} onVolume Called with each volume that arrives. */
  constructor(onVolume) {
    this.onVolume = onVolume;
  }

  get busy() {
    return this.#loads > 0;
  }

  /**
   * Load what is not there yet.
   * @param {string} run
   * @param {{values: {query: object, key: string}, body: {query: object, key: string}}} sources
   * @param {number[]} sizes Longest edges, in the order to ask.
   * @param {() => Promise<void>} beforeFine Awaited before all but the first.
   */
  async load(run, sources, sizes, beforeFine) {
    const names = ["values", "body"].filter((name) => sources[name].key !== this.#keys[name]);
    if (!names.length) return;
    for (const name of names) this.#keys[name] = sources[name].key;
    const leaders = names.filter((name, i) => names.findIndex((each) => sources[each].key === sources[name].key) === i);
    this.#loads++;
    try {
      for (const [i, longest] of sizes.entries()) {
        if (i) await beforeFine();
        for (const name of leaders) await this.#fetch(run, sources[name], longest);
      }
    } catch (error) {
      this.forget();
      throw error;
    } finally {
      this.#loads--;
    }
  }

  async #fetch(run, { query, key }, longest) {
    const wanting = () => ["values", "body"].filter((name) => this.#keys[name] === key);
    if (!wanting().length) return;
    const volume = await fetchVolume(run, query, longest);
    for (const name of wanting()) this.onVolume(name, volume);
  }

  /** Load again at the next call. */
  forget() {
    this.#keys = { values: "", body: "" };
  }
}
