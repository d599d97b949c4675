/** Values that a slice panel shows: of the view, of one draw, or of another run. */

import { isBelow } from "./session.js";

/** Values of the view. */
export const viewSource = (session) => (session.run ? source(session, session.run, {}) : null);

/** Values of one draw. */
export const drawSource = (session, draw) => (session.run ? source(session, session.run, { draw: String(draw) }) : null);

/**
 * Values of another run, in the colours of the view.
 * @param {object} run Its description.
 */
export function runSource(session, run) {
  const hasQuantity = run.quantities.some(({ name }) => name === session.view.quantity);
  return session.run && hasQuantity ? source(session, run, { draw: run.draws > 1 ? session.view.draw : "mean", cell: run.cells === null ? null : session.view.cell }) : null;
}

function source(session, run, changes) {
  const query = session.source(changes);
  const mask = session.masked ? maskOf(session, query) : null;
  const key = JSON.stringify([run.id, session.changed[run.id] ?? 0, query, mask]);
  return { run: run.id, query, mask, key, colouring: session.colouring };
}

function maskOf(session, query) {
  const { body, level } = session;
  const draw = query.draw === "spread" ? "mean" : query.draw;
  return { query: { ...query, quantity: body.name, draw }, level, below: isBelow(body, level) };
}
