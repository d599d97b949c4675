/** Pictures and movies of the panels, with scale bar, colour bar and caption. */

import { paintRamp } from "./colours.js";
import { quantityTitle } from "./controls.js";
import { saveFile } from "./dom.js";
import { add, boxCorners, dot, scale, subtract } from "./geometry.js";
import { fetchPicture } from "./picture.js";
import { PlaneFrame } from "./plane_frame.js";
import { showError, showMessage } from "./status.js";
import { axisUnit, formatNumber } from "./units.js";
import { paintBefore, paintBehind } from "./volume_marks.js";

const FOOT = 46; // [CSS pixel] height of the caption
const RATE = 25; // [1/s] frames of movies
const SPIN_FRAMES = 120;
const SWEEP_FRAMES = 75;
const MOVIE_EDGE = 720; // [pixel] longest edge of movies
const MOVIE_TYPES = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** Save a panel as PNG. */
export async function savePicture(panel) {
  const canvas = composed(panel);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  saveFile(blob, `${fileName(panel)}.png`);
  showMessage(`Saved ${fileName(panel)}.png`);
}

function fileName({ session, name }) {
  const clean = (text) => text.replace(/[^\w.-]+/g, "_");
  return `${clean(session.run.name)}_${clean(session.quantity.name)}_${name ?? "volume"}`;
}

/** Draw a panel with its caption on a new canvas. */
function composed(panel) {
  const { stage, session } = panel;
  const density = Math.max(window.devicePixelRatio || 1, 1);
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  const canvas = newCanvas(Math.round(width * density), Math.round((height + FOOT) * density));
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.fillStyle = getComputedStyle(stage).getPropertyValue("--ground").trim();
  context.fillRect(0, 0, width, height);
  if (panel.name) {
    context.drawImage(panel.canvas, 0, 0, width, height);
    context.save();
    panel.paintMarks(context, panel.frame(), { lines: false });
    context.restore();
  } else {
    panel.draw({ full: true });
    for (const layer of [panel.behind, panel.pictures ? panel.pictures.image : panel.canvas, panel.before]) context.drawImage(layer, 0, 0, width, height);
  }
  paintCaption(context, session, panel.heading.textContent, width, height);
  return canvas;
}

function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Write run, quantity, place and colour bar below a picture. */
function paintCaption(context, session, place, width, top) {
  const { quantity, colouring, view, run } = session;
  context.fillStyle = "white";
  context.fillRect(0, top, width, FOOT);
  context.fillStyle = "#1a1a1a";
  context.textAlign = "left";
  context.textBaseline = "middle";
  const barWidth = Math.min(150, width * 0.36);
  const room = width - barWidth - 34;
  const draw = run.draws > 1 ? (view.draw === "mean" || view.draw === "spread" ? `, ${view.draw} of ${run.draws} draws` : `, draw ${view.draw}`) : "";
  context.font = "600 12px system-ui, sans-serif";
  context.fillText(`${run.name} · ${place}`, 10, top + 15, room);
  context.font = "12px system-ui, sans-serif";
  context.fillText(`${quantityTitle(quantity)}${draw}`, 10, top + 32, room);
  const ramp = newCanvas(256, 1);
  paintRamp(ramp, colouring.colours);
  context.drawImage(ramp, width - barWidth - 12, top + 9, barWidth, 10);
  const { factor, name } = axisUnit(quantity.unit, Math.max(Math.abs(colouring.low), Math.abs(colouring.high)));
  context.font = "11px system-ui, sans-serif";
  context.fillText(`${formatNumber(colouring.low * factor)} ${name}`, width - barWidth - 12, top + 32);
  context.textAlign = "right";
  context.fillText(`${formatNumber(colouring.high * factor)} ${name}`, width - 12, top + 32);
}

/** Even size of a movie with the shape of a panel. */
function movieSize(width, height) {
  const factor = Math.min(1, MOVIE_EDGE / Math.max(width, height));
  return [width, height].map((edge) => Math.max(2, 2 * Math.round((edge * factor) / 2)));
}

/** Save a movie of one turn of the volume. */
export async function saveSpin(panel) {
  const { stage, session } = panel;
  const [width, height] = movieSize(stage.clientWidth, stage.clientHeight + FOOT);
  const start = session.view.volume.azimuth;
  await saveMovie(`${fileName(panel)}.spin`, width, height, SPIN_FRAMES, async (context, i) => {
    session.store.setVolume({ azimuth: start + (2 * Math.PI * i) / SPIN_FRAMES, spin: false });
    const picture = composed(panel);
    context.drawImage(picture, 0, 0, width, height);
  });
  session.store.setVolume({ azimuth: start });
}

/** Save a movie of the slices through the box along the normal of a panel. */
export async function saveSweep(panel) {
  const { stage, session } = panel;
  const [width, height] = movieSize(stage.clientWidth, stage.clientHeight);
  const { normal, origin } = panel.frame();
  const depths = boxCorners(session.run.bounds).map((corner) => dot(subtract(corner, origin), normal));
  const [first, last] = [Math.min(...depths), Math.max(...depths)];
  const pitch = (session.scale * stage.clientWidth) / width;
  await saveMovie(`${fileName(panel)}.sweep`, width, height + FOOT, SWEEP_FRAMES, async (context, i) => {
    const offset = first + ((last - first) * (i + 0.5)) / SWEEP_FRAMES;
    const point = add(origin, scale(normal, offset));
    const frame = new PlaneFrame(panel.name, session.view.planes[panel.name], point, session.eye, pitch, width, height);
    const source = panel.source();
    const picture = await fetchPicture(frame, 1, source);
    context.fillStyle = getComputedStyle(stage).getPropertyValue("--ground").trim();
    context.fillRect(0, 0, width, height);
    picture.draw(context, frame, source.colouring);
    panel.paintMarks(context, frame, { lines: false });
    const { factor, name } = session.unit;
    paintCaption(context, session, `${panel.name} = ${((frame.depth) * factor).toFixed(2).replace("-", "−")} ${name}`, width, height);
  });
}

/** Draw frames, then play them into a video of the right speed, however long each took. */
async function saveMovie(name, width, height, count, draw) {
  try {
    const frames = [];
    for (let i = 0; i < count; i++) {
      const canvas = newCanvas(width, height);
      await draw(canvas.getContext("2d"), i);
      frames.push(await createImageBitmap(canvas));
      if (i % 5 === 0) showMessage(`Movie: frame ${i + 1} of ${count} …`, 60);
      await new Promise((resolve) => setTimeout(resolve));
    }
    showMessage("Movie: writing …", 60);
    const { blob, extension } = await recorded(frames, width, height);
    saveFile(blob, `${name}.${extension}`);
    showMessage(`Saved ${name}.${extension}`);
  } catch (error) {
    showError(error);
  }
}

async function recorded(frames, width, height) {
  const type = MOVIE_TYPES.find((each) => window.MediaRecorder?.isTypeSupported(each));
  if (!type) throw new Error("This browser records no movies: use `unflat render`, or another browser.");
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
