/** Pictures and movies of the panels, with scale bar, colour bar and caption. */

import { paintRamp } from "./colours.js";
import { saveFile } from "./dom.js";
import { add, boxCorners, dot, scale, subtract } from "./geometry.js";
import { fetchPicture } from "./picture.js";
import { PlaneFrame } from "./plane_frame.js";
import { placeText } from "./slice_panel.js";
import { viewSource } from "./sources.js";
import { showError, showMessage } from "./status.js";
import { positionTitle, quantityTitle, valuesTitle } from "./titles.js";
import { axisUnit, formatNumber } from "./units.js";
import { paintBefore, paintBehind } from "./volume_marks.js";

const NARROW = 480; // [CSS pixel] width of a picture whose colour bar is below the text
const RATE = 25; // [1/s] frames of movies
const SPIN_FRAMES = 100;
const SWEEP_FRAMES = 75;
const PICTURE_EDGE = 1600; // [pixel] longest edge of pictures
const MOVIE_EDGE = 800; // [pixel] longest edge of movies
const MOVIE_TYPES = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** Save a panel as PNG, at the resolution of a printed figure. */
export async function savePicture(panel) {
  try {
    const canvas = await composed(panel, PICTURE_EDGE / Math.max(panel.stage.clientWidth, panel.stage.clientHeight));
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    saveFile(blob, `${fileName(panel)}.png`);
    showMessage(`Saved ${fileName(panel)}.png`);
  } catch (error) {
    showError(error);
  }
}

function fileName(panel) {
  const { description, quantity, query } = sourceOf(panel);
  const draw = description.draws > 1 ? `${description.draws_name.one}_${query.draw}` : query.draw === "spread" ? "spread" : "";
  const clean = (text) => text.replace(/[^\w.-]+/g, "_");
  const when = description.series ? `${description.series.name}_${query.at}` : "";
  return [description.name, quantity.name, draw, when, panel.name ?? "volume"].filter(Boolean).map(clean).join("_");
}

/** Values that a panel shows. */
function sourceOf({ source, session }) {
  const shown = source ? source() : viewSource(session);
  if (!shown) throw new Error("The panel shows no values, so there is nothing to save.");
  return shown;
}

/**
 * Draw a panel with its caption on a new canvas.
 * @param {number} density Pixels a CSS pixel.
 * @param {PlaneFrame} [frame] Another plane than the one that a slice panel shows.
 */
async function composed(panel, density, frame = panel.frame?.()) {
  const { stage, session } = panel;
  if (!panel.isVisible) throw new Error("The panel is not shown any more, so it could not be saved.");
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  const canvas = newCanvas(Math.round(width * density), Math.round((height + footOf(width)) * density));
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.fillStyle = getComputedStyle(stage).getPropertyValue("--ground").trim();
  context.fillRect(0, 0, width, height);
  if (frame) await paintSlice(context, panel, frame, density);
  else await paintVolume(context, panel, density);
  paintCaption(context, captionOf(panel, frame), width, height);
  return canvas;
}

/**
 * What a caption says of a panel: run and place, quantity and draw, colours.
 * @param {PlaneFrame} [frame] Plane of a slice; none for the volume.
 */
export function captionOf(panel, frame) {
  const { description: run, quantity, query, colouring } = sourceOf(panel);
  const cell = run.cells > 1 ? [run.names[query.cell] || `cell ${query.cell}`] : [];
  const when = run.series ? [positionTitle(run.series, query.at)] : [];
  const place = frame ? placeText(frame, panel.session.unit, true) : panel.heading.textContent;
  const draw = run.draws > 1 || query.draw === "spread" ? [valuesTitle(run, query.draw)] : [];
  return { title: [run.name, ...cell, ...when, place].join(" · "), values: [quantityTitle(quantity), ...draw].join(", "), unit: quantity.unit, colouring };
}

async function paintSlice(context, panel, frame, density) {
  const source = sourceOf(panel);
  const picture = await fetchPicture(frame, density, source);
  context.save();
  context.beginPath();
  context.rect(0, 0, frame.width, frame.height);
  context.clip();
  picture.draw(context, frame, source.colouring);
  panel.paintMarks(context, frame, { lines: false });
  context.restore();
}

async function paintVolume(context, panel, density) {
  const { stage, session, camera } = panel;
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  const volume = await panel.capture(density);
  const layer = newCanvas(Math.round(width * density), Math.round(height * density));
  paintBehind(layer, camera, session, stage);
  context.drawImage(layer, 0, 0, width, height);
  if (volume) context.drawImage(volume, 0, 0, width, height);
  paintBefore(layer, camera, session, stage);
  context.drawImage(layer, 0, 0, width, height);
}

/** Height of the caption [CSS pixel]. */
const footOf = (width) => (width < NARROW ? 82 : 46);

function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Write a caption and the colour bar below a picture: beside the text, or below it where the picture is narrow. */
function paintCaption(context, { title, values, unit, colouring }, width, top) {
  context.fillStyle = "white";
  context.fillRect(0, top, width, footOf(width));
  context.fillStyle = "#1a1a1a";
  context.textAlign = "left";
  context.textBaseline = "middle";
  const isNarrow = width < NARROW;
  const [barWidth, barTop] = isNarrow ? [width - 24, top + 48] : [150, top + 9];
  const left = width - barWidth - 12;
  const room = isNarrow ? width - 20 : left - 22;
  context.font = "600 12px system-ui, sans-serif";
  context.fillText(title, 10, top + 15, room);
  context.font = "12px system-ui, sans-serif";
  context.fillText(values, 10, top + 32, room);
  const ramp = newCanvas(256, 1);
  paintRamp(ramp, colouring.colours);
  context.drawImage(ramp, left, barTop, barWidth, 10);
  const { factor, name } = axisUnit(unit, Math.max(Math.abs(colouring.low), Math.abs(colouring.high)));
  const text = (value) => `${formatNumber(value * factor)} ${name}`;
  context.font = "11px system-ui, sans-serif";
  context.fillText(text(colouring.low), left, barTop + 23, barWidth / 2 - 4);
  context.textAlign = "right";
  context.fillText(text(colouring.high), width - 12, barTop + 23, barWidth / 2 - 4);
}

/** Pixels a CSS pixel of a movie of a panel. */
const movieDensity = ({ stage }) => MOVIE_EDGE / Math.max(stage.clientWidth, stage.clientHeight + footOf(stage.clientWidth));

/** Save a movie of one turn of the volume. */
export async function saveSpin(panel) {
  const { session } = panel;
  const start = session.view.volume.azimuth;
  panel.isFilming = true;
  await saveMovie(panel, "spin", SPIN_FRAMES, async (i) => {
    session.store.setVolume({ azimuth: start + (2 * Math.PI * i) / SPIN_FRAMES, spin: false });
    return composed(panel, movieDensity(panel));
  });
  panel.isFilming = false;
  session.store.setVolume({ azimuth: start });
}

/** Save a movie of the slices through the box along the normal of a panel. */
export async function saveSweep(panel) {
  const { session } = panel;
  const { normal, origin } = panel.frame();
  const depths = boxCorners(session.run.bounds).map((corner) => dot(subtract(corner, origin), normal));
  const [first, last] = [Math.min(...depths), Math.max(...depths)];
  await saveMovie(panel, "sweep", SWEEP_FRAMES, async (i) => {
    const depth = first + ((last - first) * (i + 0.5)) / SWEEP_FRAMES;
    return sweepFrame(panel, add(origin, scale(normal, depth)));
  });
}

function sweepFrame(panel, point) {
  const { stage, session } = panel;
  const plane = session.view.planes[panel.name];
  const frame = new PlaneFrame(panel.name, plane, point, session.eye, session.scale, stage.clientWidth, stage.clientHeight);
  return composed(panel, movieDensity(panel), frame);
}

/**
 * Draw frames, then play them into a video of the right speed, however long each took.
 * @param {(i: number) => Promise<HTMLCanvasElement>} draw
 */
async function saveMovie(panel, kind, count, draw) {
  try {
    const frames = [];
    for (let i = 0; i < count; i++) {
      frames.push(await createImageBitmap(await draw(i)));
      if (i % 5 === 0) showMessage(`Movie: frame ${i + 1} of ${count} …`, 60);
    }
    showMessage("Movie: writing …", 60);
    const { blob, extension } = await recorded(frames);
    const name = `${fileName(panel)}.${kind}.${extension}`;
    saveFile(blob, name);
    showMessage(`Saved ${name}`);
  } catch (error) {
    showError(error);
  }
}

async function recorded(frames) {
  const type = MOVIE_TYPES.find((each) => window.MediaRecorder?.isTypeSupported(each));
  if (!type) throw new Error("This browser records no movies: use `unflat render`, or another browser.");
  // Encoders take even sizes only.
  const [width, height] = [frames[0].width, frames[0].height].map((edge) => edge - (edge % 2));
  const canvas = newCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(frames[0], 0, 0);
  const recorder = new MediaRecorder(canvas.captureStream(RATE), { mimeType: type, videoBitsPerSecond: 8e6 });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const end = new Promise((resolve, reject) => {
    recorder.onstop = resolve;
    recorder.onerror = () => reject(new Error("The browser could not write the movie."));
  });
  recorder.start();
  const start = performance.now();
  for (let i = 0; i < frames.length; i++) {
    context.drawImage(frames[i], 0, 0);
    const wait = start + ((i + 1) * 1000) / RATE - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 0)));
  }
  recorder.stop();
  await end;
  for (const frame of frames) frame.close();
  return { blob: new Blob(parts, { type: type.split(";")[0] }), extension: type.startsWith("video/mp4") ? "mp4" : "webm" };
}
