// A strip for each object: where it is seen, doubted, prompted, locked; the ruler, the marks, the frame one is at.

import { h } from "./dom.js";
import { ABSENT, ACCEPTED, CUT, DOUBTED, LOCKED, PROMPTED, STATE, UNCERTAIN, VISIBLE } from "./model.js";

const RULER = 22, ROW = 22, LABEL = 132, PAD = 12;
const GRAVITY = [0, 2, 3, 1]; // of unknown, absent, uncertain, visible: what shows where a column has many frames

export class Timeline {
  constructor(model, { go }) {
    this.model = model;
    this.go = go;
    this.canvas = h("canvas", { class: "strips", tabindex: "0", role: "slider", "aria-label": "Frame", "aria-valuemin": "0", "aria-valuenow": "0" });
    this.labels = h("div", { class: "labels" });
    this.scroll = h("div", { class: "rows" }, this.labels, this.canvas);
    this.root = h("div", { id: "timeline" }, this.scroll);
    this.canvas.onpointerdown = (event) => { this.canvas.setPointerCapture(event.pointerId); this.drag = true; this.seek(event); };
    this.canvas.onpointermove = (event) => { if (this.drag) this.seek(event); this.tip(event); };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => { this.drag = false; };
    model.on("state objects masks shown view", () => this.plan());
    new ResizeObserver(() => this.plan()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plan());
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; this.draw(); });
  }

  get wide() { return Math.max(60, this.root.clientWidth - LABEL); }
  get cell() { return (this.wide - 2 * PAD) / (this.model.last + 1); } // how wide a frame is
  x(frame) { return PAD + this.cell * (frame + 0.5); }
  frameAt(x) { return Math.max(0, Math.min(this.model.last, Math.floor((x - PAD) / this.cell))); }

  seek(event) {
    const area = this.canvas.getBoundingClientRect(), row = Math.floor((event.clientY - area.top - RULER) / ROW);
    const object = this.model.objects[row];
    if (object && object.name !== this.model.chosen) this.model.choose(object.name);
    this.go(this.frameAt(event.clientX - area.left));
  }

  tip(event) {
    const area = this.canvas.getBoundingClientRect(), frame = this.frameAt(event.clientX - area.left);
    const object = this.model.objects[Math.floor((event.clientY - area.top - RULER) / ROW)];
    const parts = [`frame ${frame}`];
    if (object) {
      const cell = this.model.cell(object, frame);
      parts.push(`${this.model.title(object.name)}: ${["unknown", "absent", "uncertain", "visible"][cell & STATE]}`);
      if (cell & STATE) parts.push(`IoU ${Math.round(100 * (object.ious[frame] ?? 0) / 255)} %`);
      for (const [bit, word] of [[PROMPTED, "prompted"], [LOCKED, "locked"], [DOUBTED, "doubtful"], [CUT, "scene cut"], [ACCEPTED, "accepted"]]) if (cell & bit) parts.push(word);
    }
    this.canvas.title = parts.join(" · ");
  }

  draw() {
    const { model, canvas } = this;
    if (!model.video) return;
    const wide = this.wide, high = RULER + ROW * model.objects.length + 6, dense = devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * dense) || canvas.height !== Math.round(high * dense)) {
      Object.assign(canvas, { width: Math.round(wide * dense), height: Math.round(high * dense) });
      Object.assign(canvas.style, { width: wide + "px", height: high + "px" });
    }
    const pen = canvas.getContext("2d"), theme = getComputedStyle(document.documentElement);
    const color = (name) => theme.getPropertyValue("--" + name).trim();
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, wide, high);
    this.ruler(pen, wide, color);
    model.objects.forEach((object, row) => this.strip(pen, object, RULER + row * ROW, color));
    this.marks(pen, high, color);
    this.head(pen, high, color);
    this.fillLabels();
    canvas.setAttribute("aria-valuemax", model.last);
    canvas.setAttribute("aria-valuenow", model.frame);
    canvas.setAttribute("aria-valuetext", `frame ${model.frame} of ${model.last}`);
  }

  ruler(pen, wide, color) {
    const { last } = this.model, fits = Math.max(1, Math.floor(wide / 80));
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000].find((n) => last / n <= fits) ?? 100000;
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillStyle = color("soft");
    pen.strokeStyle = color("line");
    for (let frame = 0; frame <= last; frame += step) {
      const x = Math.round(this.x(frame)) + 0.5;
      pen.fillText(String(frame), x, 12);
      pen.beginPath();
      pen.moveTo(x, 16);
      pen.lineTo(x, RULER - 2);
      pen.stroke();
    }
  }

  strip(pen, object, top, color) {
    const { model } = this, columns = this.columns(object), bar = top + 5, tall = 10;
    const chosen = object.name === model.chosen;
    pen.fillStyle = color(chosen ? "lane-on" : "lane");
    pen.fillRect(PAD, bar, this.wide - 2 * PAD, tall);
    const look = { [VISIBLE]: [object.color, 1], [UNCERTAIN]: [object.color, 0.4], [ABSENT]: [color("absent"), 1] };
    for (const { x, wide, state } of columns.spans) {
      const [fill, alpha] = look[state];
      pen.globalAlpha = alpha;
      pen.fillStyle = fill;
      if (state === ABSENT) pen.fillRect(x, bar + tall / 2 - 1, wide, 2); else pen.fillRect(x, bar, wide, tall);
    }
    pen.globalAlpha = 1;
    for (const frame of columns.cuts) this.tick(pen, frame, bar - 3, tall + 6, color("soft"), 1);
    pen.fillStyle = color("warn");
    for (const [from, to] of columns.doubts) pen.fillRect(this.x(from) - this.cell / 2, bar + tall + 1, Math.max(3, this.cell * (to - from + 1)), 2);
    pen.fillStyle = color("good");
    for (const [from, to] of columns.accepted) pen.fillRect(this.x(from) - this.cell / 2, bar + tall + 1, Math.max(2, this.cell * (to - from + 1)), 2);
    for (const frame of columns.locked) this.tick(pen, frame, bar - 1, tall + 2, color("ink"), 2);
    for (const frame of columns.prompted) {
      pen.beginPath();
      pen.arc(this.x(frame), bar + tall / 2, 4, 0, 7);
      pen.fillStyle = color("ink");
      pen.fill();
      pen.lineWidth = 1.5;
      pen.strokeStyle = color("card");
      pen.stroke();
    }
    this.ious(pen, object, bar, tall, color);
  }

  // Predicted IoU as a line over the strip of the chosen object.
  ious(pen, object, bar, tall, color) {
    if (object.name !== this.model.chosen) return;
    pen.beginPath();
    pen.strokeStyle = color("card");
    pen.lineWidth = 1;
    let open = false;
    const step = Math.max(1, Math.floor(object.cells.length / this.wide));
    for (let frame = 0; frame < object.cells.length; frame += step) {
      const state = object.cells[frame] & STATE;
      if (state < UNCERTAIN) { open = false; continue; }
      const y = bar + tall * (1 - object.ious[frame] / 255);
      if (open) pen.lineTo(this.x(frame), y); else pen.moveTo(this.x(frame), y);
      open = true;
    }
    pen.stroke();
  }

  tick(pen, frame, top, tall, fill, wide) {
    pen.fillStyle = fill;
    pen.fillRect(Math.round(this.x(frame)) - wide / 2, top, wide, tall);
  }

  /** Frames with one state beside each other, and the frames with marks. */
  columns({ cells }) {
    const spans = [], ranges = { doubts: [], accepted: [] }, found = { prompted: [], locked: [], cuts: [] };
    const half = this.cell / 2;
    for (let frame = 0; frame < cells.length; frame++) {
      const cell = cells[frame], state = cell & STATE;
      if (state) {
        const before = spans.at(-1), x = this.x(frame) - half;
        if (before?.to === frame && before.state === state) { before.to++; before.wide = this.x(frame) + half - before.x; }
        else if (!(before && x + 2 * half - before.x < 1 && GRAVITY[before.state] >= GRAVITY[state])) spans.push({ x, wide: 2 * half, state, to: frame + 1 });
      }
      for (const [bit, list] of [[DOUBTED, ranges.doubts], [ACCEPTED, ranges.accepted]])
        if (cell & bit) { if (list.at(-1)?.[1] === frame - 1) list.at(-1)[1] = frame; else list.push([frame, frame]); }
      if (cell & PROMPTED) found.prompted.push(frame);
      if (cell & LOCKED) found.locked.push(frame);
      if (cell & CUT) found.cuts.push(frame);
    }
    return { spans, ...ranges, ...found };
  }

  marks(pen, high, color) {
    const { first, last } = this.model.cut;
    pen.fillStyle = color("shade");
    const from = first === null ? 0 : this.x(first) - this.cell / 2, to = last === null ? this.wide : this.x(last) + this.cell / 2;
    pen.fillRect(0, RULER, from, high - RULER);
    pen.fillRect(to, RULER, this.wide - to, high - RULER);
    pen.fillStyle = color("accent");
    if (first !== null) pen.fillRect(from - 1, 2, 2, high);
    if (last !== null) pen.fillRect(to - 1, 2, 2, high);
  }

  head(pen, high, color) {
    const x = this.x(this.model.frame);
    pen.fillStyle = color("ink");
    pen.fillRect(x - 0.5, 14, 1, high);
    pen.beginPath();
    pen.moveTo(x - 5, 12);
    pen.lineTo(x + 5, 12);
    pen.lineTo(x, 19);
    pen.fill();
  }

  fillLabels() {
    const wanted = this.model.objects.map((object) => `${object.name}|${object.title}|${object.color}|${object.name === this.model.chosen}`).join();
    if (wanted === this.labelled) return;
    this.labelled = wanted;
    this.labels.replaceChildren(...this.model.objects.map((object) =>
      h("button", { type: "button", class: "label", tabindex: "-1", "aria-pressed": object.name === this.model.chosen, onclick: () => this.model.choose(object.name) },
        h("i", { class: "dot", style: { background: object.color } }), h("span", {}, this.model.title(object.name)))));
  }
}
