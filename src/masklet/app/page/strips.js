// The strip of an object in the timeline: where it is seen, doubted, prompted, locked, and how sure the tracker is.

import { ABSENT, ACCEPTED, CUT, DOUBTED, LOCKED, PROMPTED, STATE, UNCERTAIN, VISIBLE } from "./model.js";

export const ROW = 22;
const TOP = 5, TALL = 10; // of the bar within its row
const GRAVITY = [0, 2, 3, 1]; // of unknown, absent, uncertain, visible: what shows where a column has many frames

/** Draw an object's strip at a height. `at` says where frames are: `x`, `left`, `cell`. */
export function drawStrip(pen, at, object, top, chosen, color) {
  const bar = top + TOP, end = at.model.last + 1, { spans, doubts, accepted, cuts, locked, prompted } = columns(object.cells, at);
  pen.fillStyle = color(chosen ? "lane-on" : "lane");
  pen.fillRect(at.left(0), bar, at.cell * end, TALL);
  const look = { [VISIBLE]: [object.color, 1], [UNCERTAIN]: [object.color, 0.4], [ABSENT]: [color("absent"), 1] };
  for (const { x, wide, state } of spans) {
    [pen.fillStyle, pen.globalAlpha] = look[state];
    if (state === ABSENT) pen.fillRect(x, bar + TALL / 2 - 1, wide, 2); else pen.fillRect(x, bar, wide, TALL);
  }
  pen.globalAlpha = 1;
  const tick = (frame, y, tall, wide) => pen.fillRect(Math.round(at.x(frame)) - wide / 2, y, wide, tall);
  const under = ([from, to], least) => pen.fillRect(at.left(from), bar + TALL + 1, Math.max(least, at.cell * (to - from + 1)), 2);
  pen.fillStyle = color("soft");
  for (const frame of cuts) pen.fillRect(Math.round(at.left(frame)) - 0.5, bar - 3, 1, TALL + 6);
  pen.fillStyle = color("warn");
  for (const span of doubts) under(span, 3);
  pen.fillStyle = color("good");
  for (const span of accepted) under(span, 2);
  pen.fillStyle = color("ink");
  for (const frame of locked) tick(frame, bar - 1, TALL + 2, 2);
  if (chosen) drawIous(pen, at, object, bar, color);
  for (const frame of prompted) {
    pen.beginPath();
    pen.arc(at.x(frame), bar + TALL / 2, 4, 0, 7);
    pen.fillStyle = color("ink");
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = color("card");
    pen.stroke();
  }
}

// Predicted IoU as a line over the strip: 100 % is its upper edge.
function drawIous(pen, at, { cells, ious }, bar, color) {
  pen.beginPath();
  pen.strokeStyle = color("card");
  pen.lineWidth = 1;
  let open = false;
  const step = Math.max(1, Math.floor(cells.length / at.wide));
  for (let frame = 0; frame < cells.length; frame += step) {
    if ((cells[frame] & STATE) < UNCERTAIN) { open = false; continue; }
    const y = bar + TALL * (1 - ious[frame] / 255);
    if (open) pen.lineTo(at.x(frame), y); else pen.moveTo(at.x(frame), y);
    open = true;
  }
  pen.stroke();
}

/** Frames with one state beside each other, and the frames with marks. */
function columns(cells, at) {
  const spans = [], ranges = { doubts: [], accepted: [] }, found = { prompted: [], locked: [], cuts: [] };
  for (let frame = 0; frame < cells.length; frame++) {
    const cell = cells[frame], state = cell & STATE;
    if (state) {
      const before = spans.at(-1), x = at.left(frame), right = x + at.cell;
      if (before?.to === frame && before.state === state) { before.to++; before.wide = right - before.x; }
      else if (!(before && right - before.x < 1 && GRAVITY[before.state] >= GRAVITY[state])) spans.push({ x, wide: at.cell, state, to: frame + 1 });
    }
    for (const name of ["doubts", "accepted"]) {
      const list = ranges[name];
      if (cell & (name === "doubts" ? DOUBTED : ACCEPTED)) { if (list.at(-1)?.[1] === frame - 1) list.at(-1)[1] = frame; else list.push([frame, frame]); }
    }
    if (cell & PROMPTED) found.prompted.push(frame);
    if (cell & LOCKED) found.locked.push(frame);
    if (cell & CUT) found.cuts.push(frame);
  }
  return { spans, ...ranges, ...found };
}
