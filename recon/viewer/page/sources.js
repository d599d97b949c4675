/** Values that a slice panel shows: of the view, of one draw, or of another run. */

import { isBelow, positionIn } from "./session.js";

/** Values of the view. */
export const viewSource = (session) => (session.run ? source(session, session.run, {}) : null);

/** Values of one draw. */
export const drawSource = (session, draw) => (session.run ? source(session, session.run, { draw: String(draw) }) : null);

/**
 * Values of another run, in the colours of the view.
 * @param {object} run Its description.
 */
export function runSource(session, run) {
  const quantity = run.quantities.find(({ name }) => name === session.view.quantity);
  if (!session.run || !quantity || (session.draw === "spread" && !quantity.spread)) return null;
  const isThere = session.draw === "spread" || Number(session.draw) < run.draws;
  return source(session, run, { draw: isThere ? session.draw : "mean", cell: run.cells === null ? null : session.view.cell, at: positionIn(run, session.view.at) });
}

function source(session, run, changes) {
  const query = session.source(changes);
  const mask = session.masked ? maskOf(session, query) : null;
  const key = JSON.stringify([run.id, session.changed[run.id] ?? 0, query, mask]);
  const quantity = run.quantities.find(({ name }) => name === query.quantity) ?? session.quantity;
  return { run: run.id, description: run, quantity, query, mask, key, colouring: session.colouring };
}

function maskOf(session, query) {
  const { body, level } = session;
  const draw = query.draw === "spread" ? "mean" : query.draw;
  return { query: { ...query, quantity: body.name, draw }, level, below: isBelow(body, level) };
}
