/** Line of text at the foot of the page: errors of the server, and what was saved. */

const IDLE = "Drag to shift or turn, wheel to zoom, drag a line or its rings to move or turn planes. Press ? for all keys.";

let line = null;
let timer = 0;

/** @param {HTMLElement} node Element with `role="status"`. */
export function useStatusLine(node) {
  line = node;
}

/** Show a message for some seconds. */
export function showMessage(text, seconds = 6) {
  show(text, "message");
  timer = setTimeout(clearStatus, seconds * 1000);
}

/** Show an error until the next message, or until `clearStatus`. */
export function showError(error) {
  show(error instanceof Error ? error.message : String(error), "error");
}

/** Remove the text. */
export function clearStatus() {
  show("", "message");
}

function show(text, kind) {
  clearTimeout(timer);
  line.textContent = text || IDLE;
  line.dataset.kind = text ? kind : "";
}
