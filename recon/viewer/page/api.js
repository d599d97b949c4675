/** Requests to the server of `unflat view`. */

/** Refusal of a request, with the server's message. */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "RequestError";
    this.status = status;
  }
}

/**
 * Ask the server.
 * @param {string} path Path below `/api/`, such as `runs/ID/plane`.
 * @param {Record<string, string|number|null|undefined>} [parameters] Absent values are left out.
 * @returns {Promise<Response>}
 * @throws {RequestError} If the server refuses, or does not answer.
 */
export async function request(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  let response;
  try {
    response = await fetch(`api/${path}${given.length ? `?${query}` : ""}`);
  } catch {
    throw new RequestError("The server of `unflat view` does not answer. Start it again, and open the address it prints.", 0);
  }
  if (response.ok) return response;
  let message = `The server answers ${response.status} ${response.statusText}.`;
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // A refusal without JSON, such as that of a forwarded port: the status says what there is to say.
  }
  throw new RequestError(message, response.status);
}

/** Ask for JSON. */
export const getJson = async (path, parameters) => (await request(path, parameters)).json();

/** Ask for numbers in single precision, little-endian as sent. */
export async function getFloats(path, parameters) {
  return new Float32Array(await (await request(path, parameters)).arrayBuffer());
}

/** Path of a run's resource; its name may hold any characters. */
export const runPath = (run, resource = "") => `runs/${encodeURIComponent(run)}${resource ? `/${resource}` : ""}`;

/** Text of a vector [z, y, x] in a query. */
export const vectorText = (vector) => vector.join(",");

/** Floats of base64 text, as panels send images. */
export function decodeFloats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** Runs one task at a time; while one runs, only the newest of the others waits. */
export class NewestOnly {
  #running = false;
  #waiting = null;
  #onIdle;

  /** @param {() => void} [onIdle] Called when nothing runs or waits any more. */
  constructor(onIdle = () => {}) {
    this.#onIdle = onIdle;
  }

  /** Whether a task runs or waits. */
  get busy() {
    return this.#running || this.#waiting !== null;
  }

  /** @param {() => Promise<void>} task A task that handles its own errors. */
  async run(task) {
    this.#waiting = task;
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting) {
      const next = this.#waiting;
      this.#waiting = null;
      await next();
    }
    this.#running = false;
    this.#onIdle();
  }
}
