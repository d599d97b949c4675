/** Pointers on a panel: drag, pinch, wheel, hover; one finger drags, two zoom. */

/**
 * Listen to gestures on an element. Positions are CSS pixels in it.
 * @param {HTMLElement} node
 * @param {object} listeners
 * @param {(x: number, y: number, event: PointerEvent) => object|null} listeners.start Returns the drag: `move(dx, dy, x, y,
 *     event)` with the shift since the last call, and `end(x, y, event)`.
 * @param {(x: number, y: number, factor: number, event: Event) => void} listeners.zoom Factor over 1 enlarges.
 * @param {(x: number|null, y: number|null, event: PointerEvent) => void} [listeners.hover] Null when the pointer leaves.
 */
export function listenToGestures(node, { start, zoom, hover = () => {} }) {
  const pointers = new Map();
  let drag = null;
  const place = (event) => {
    const box = node.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const pinch = () => {
    const [[ax, ay], [bx, by]] = pointers.values();
    return { middle: [(ax + bx) / 2, (ay + by) / 2], span: Math.hypot(ax - bx, ay - by) };
  };

  node.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    node.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) drag = start(...place(event), event);
  });
  node.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!pointers.has(event.pointerId)) return hover(...at, event);
    const before = pointers.size === 2 ? pinch() : null;
    const last = pointers.get(event.pointerId);
    pointers.set(event.pointerId, at);
    if (before) {
      const now = pinch();
      drag?.move?.(now.middle[0] - before.middle[0], now.middle[1] - before.middle[1], ...now.middle, event);
      if (before.span > 10) zoom(...now.middle, now.span / before.span, event);
    } else if (pointers.size === 1) {
      drag?.move?.(at[0] - last[0], at[1] - last[1], ...at, event);
      hover(...at, event);
    }
    return undefined;
  });
  const finish = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    drag?.end?.(...place(event), event);
    drag = null;
  };
  node.addEventListener("pointerup", finish);
  node.addEventListener("pointercancel", finish);
  node.addEventListener("pointerleave", (event) => hover(null, null, event));
  node.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      // Lines, as Firefox counts on some machines, are about 16 pixels; a mouse's notch is 100 or 120.
      const turn = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 16 : 1);
      zoom(...place(event), Math.exp(-Math.max(-240, Math.min(turn, 240)) * 0.0018), event);
    },
    { passive: false },
  );
}
