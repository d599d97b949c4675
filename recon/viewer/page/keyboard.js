/** Keys that work wherever the focus is, unless it is in a field. */

const PANELS = { 1: "z", 2: "y", 3: "x", 4: "volume" };

/** Listen to the keys of the page. */
export function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || app.help.open) return;
    if (event.target.matches("input, select, textarea")) return;
    const { session, store } = app;
    const { volume } = session.view;
    if (event.key === "?") app.help.showModal();
    else if (event.key === "Escape") app.side.measure.toggle(false);
    else if (!session.run) return;
    else if (PANELS[event.key]) app.maximise(PANELS[event.key]);
    else if (event.key === "r") store.setVolume({ spin: !volume.spin });
    else if (event.key === "m") startMeasure(app);
    else if (event.key === "c") app.copyLink();
    else if (event.key === "," || event.key === ".") stepDraw(app, event.key === "." ? 1 : -1);
    else return;
    event.preventDefault();
  });
}

function startMeasure(app) {
  app.side.open("measure");
  app.side.measure.toggle();
}

/** Show the draw before or after; the mean stands before the first. */
function stepDraw({ session, store }, step) {
  const draws = session.run.draws < 2 ? [] : Array.from({ length: session.run.draws }, (_, i) => String(i));
  const order = ["mean", ...draws, ...(session.hasSpread ? ["spread"] : [])];
  const at = order.indexOf(session.draw);
  store.set({ draw: order[(at + step + order.length) % order.length] });
}
