/** Dialog with the gestures and keys. */

import { button, element } from "./dom.js";

const ENTRIES = [
  ["Slices", [
    ["drag", "shift the picture"],
    ["wheel, pinch, + −", "zoom about the pointer"],
    ["drag a line", "move that plane; where the lines cross, both"],
    ["drag a ring", "turn the other planes"],
    ["Alt or Ctrl + drag, Alt + arrows", "tilt the plane"],
    ["Shift + drag, double-click", "put the planes through the pointer"],
    ["Shift + wheel, Page Up, Page Down", "go deeper or back"],
    ["arrows, Shift + arrows", "shift the picture, move the common point"],
    ["[ ]", "turn the other planes by 5°"],
    ["0, Home", "whole box, upright planes"],
  ]],
  ["Volume", [
    ["drag, arrows", "turn"],
    ["wheel, pinch, + −", "zoom"],
    ["Shift + drag", "shift"],
    ["0, Home", "look from the front"],
  ]],
  ["Anywhere", [
    ["1 2 3 4", "maximise z, y, x, volume; again: all four"],
    ["r", "spin the volume"],
    ["m", "draw a line to measure"],
    [", .", "draw before, draw after"],
    ["c", "copy a link to this view"],
    ["?", "this help"],
  ]],
];

/** Create the dialog. */
export function helpDialog() {
  const [slices, ...others] = ENTRIES.map(([title, rows]) =>
    element("section", {}, element("h3", {}, title), element("dl", {}, ...rows.flatMap(([key, text]) => [element("dt", {}, key), element("dd", {}, text)]))));
  const dialog = element("dialog", { class: "help", "aria-label": "Gestures and keys" });
  dialog.append(element("header", {}, element("h2", {}, "Gestures and keys"), button("Close", () => dialog.close())), element("div", { class: "tables" }, slices, element("div", {}, ...others)));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
