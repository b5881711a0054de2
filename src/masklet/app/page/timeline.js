// Under the picture: filmstrip and ruler, and a strip for each object; the frame one is at, the marks, the scene cuts.

import { Film } from "./film.js";
import { h, kept } from "./dom.js";
import { ACCEPTED, CUT, DOUBTED, LOCKED, PROMPTED, STATE, STATES } from "./model.js";
import { drawStrip, ROW } from "./strips.js";

const RULER = 22, LABEL = 132, PAD = 12, FILM = 40;
const MARKS = [{ bit: PROMPTED, word: "prompted" }, { bit: LOCKED, word: "locked" }, { bit: DOUBTED, word: "doubtful" }, { bit: CUT, word: "scene cut" }, { bit: ACCEPTED, word: "accepted" }];
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 100000];

export class Timeline {
  /**
   * @param {import("./model.js").Model} model
   * @param {{go: (frame: number) => void, quiet: () => boolean}} does
   */
  constructor(model, { go, quiet }) {
    this.model = model;
    this.go = go;
    this.film = new Film(model, { changed: () => this.plan(), quiet });
    this.filmShown = kept.get("film", true);
    this.head = h("canvas", { class: "ruler", tabindex: "0", role: "slider", "aria-label": "Frame", "aria-valuemin": "0", "aria-valuenow": "0" });
    this.body = h("canvas", { class: "strips", "aria-hidden": "true" });
    this.labels = h("div", { class: "labels" });
    this.rows = h("div", { class: "rows" }, this.labels, this.body);
    this.chip = h("span", {});
    this.line = h("div", { class: "playhead", "aria-hidden": "true" }, this.chip); // the frame that one is at
    this.root = h("div", { id: "timeline" }, h("div", { class: "head" }, this.head), this.rows, this.line);
    this.wide = 60; // of the strips, in pixels
    for (const canvas of [this.head, this.body]) {
      canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); this.drag = true; this.seek(event); };
      canvas.onpointermove = (event) => { if (this.drag) this.seek(event); this.tip(event); };
      canvas.onpointerup = canvas.onpointercancel = () => { this.drag = false; };
    }
    model.on("state objects cells view", () => this.plan());
    model.on("frame", () => this.move());
    new ResizeObserver(() => this.plan()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plan());
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; this.draw(); });
  }

  toggleFilm() {
    this.filmShown = !this.filmShown;
    kept.set("film", this.filmShown);
    this.plan();
  }

  // --- where frames are ----------------------------------------------------------------------------

  get tall() { return RULER + this.above; }
  get above() { return this.filmShown ? FILM : 0; } // the ruler
  get cell() { return (this.wide - 2 * PAD) / (this.model.last + 1); } // how wide a frame is
  x(frame) { return PAD + this.cell * (frame + 0.5); }
  left(frame) { return PAD + this.cell * frame; }
  frameAt(x) { return Math.max(0, Math.min(this.model.last, Math.floor((x - PAD) / this.cell))); }

  at(event) {
    const area = event.currentTarget.getBoundingClientRect();
    const row = event.currentTarget === this.body ? Math.floor((event.clientY - area.top) / ROW) : -1;
    return { frame: this.frameAt(event.clientX - area.left), object: this.model.objects[row] };
  }

  seek(event) {
    const { frame, object } = this.at(event);
    if (object && object.name !== this.model.chosen) this.model.choose(object.name);
    this.go(frame);
  }

  tip(event) {
    const { frame, object } = this.at(event), parts = [`frame ${frame}`];
    if (object) {
      const cell = this.model.cell(object, frame);
      parts.push(`${this.model.title(object.name)}: ${STATES[cell & STATE]}`);
      if (cell & STATE) parts.push(`IoU ${Math.round(100 * (object.ious[frame] ?? 0) / 255)} %`);
      parts.push(...MARKS.filter(({ bit }) => cell & bit).map(({ word }) => word));
    }
    event.currentTarget.title = parts.join(" · ");
  }

  // --- drawing -------------------------------------------------------------------------------------

  draw() {
    const { model } = this;
    if (model.video?.kind !== "video") return;
    this.wide = Math.max(60, this.rows.clientWidth - LABEL);
    const theme = getComputedStyle(document.documentElement), color = (name) => theme.getPropertyValue("--" + name).trim();
    this.drawHead(color);
    const high = Math.max(ROW * model.objects.length, this.rows.clientHeight);
    const pen = penOf(this.body, this.wide, high);
    model.objects.forEach((object, row) => drawStrip(pen, this, object, row * ROW, object.name === model.chosen, color));
    this.marks(pen, ROW * model.objects.length, color);
    this.fillLabels();
    this.head.setAttribute("aria-valuemax", model.last);
    this.chip.style.top = `${this.above + 2}px`;
    this.move();
  }

  /** Show which frame one is at: nothing else of the timeline is drawn again. */
  move() {
    const { frame, last } = this.model, x = Math.round(this.x(frame)), wide = 12 + 7 * String(frame).length;
    this.line.style.transform = `translateX(${LABEL + x}px)`;
    this.chip.textContent = String(frame);
    Object.assign(this.chip.style, { width: `${wide}px`, left: `${Math.max(-x, Math.min(this.wide - wide - x, -wide / 2))}px` });
    this.head.setAttribute("aria-valuenow", frame);
    this.head.setAttribute("aria-valuetext", `frame ${frame} of ${last}`);
  }

  drawHead(color) {
    const pen = penOf(this.head, this.wide, this.tall);
    if (this.filmShown) {
      pen.fillStyle = color("lane");
      pen.fillRect(PAD, 0, this.wide - 2 * PAD, FILM - 2);
      this.film.draw(pen, PAD, this.wide - 2 * PAD, FILM - 2);
    }
    this.ruler(pen, color);
    this.marks(pen, this.above, color);
    this.cuts(pen, color);
  }

  ruler(pen, color) {
    const { last } = this.model, fits = Math.max(1, Math.floor(this.wide / 80)), top = this.above;
    const step = STEPS.find((n) => last / n <= fits) ?? STEPS.at(-1);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillStyle = color("soft");
    for (let frame = 0; frame <= last; frame += step) {
      const x = Math.round(this.x(frame));
      pen.fillText(String(frame), x, top + 14);
      pen.fillRect(x, top + RULER - 4, 1, 4);
    }
  }

  /** A dashed line where the tracker saw a scene cut, whichever object it was. */
  cuts(pen, color) {
    const found = new Set();
    for (const { cells } of this.model.objects) cells.forEach((cell, frame) => { if (cell & CUT) found.add(frame); });
    pen.fillStyle = color("ink");
    for (const frame of found)
      for (let y = 0; y < this.tall; y += 6) pen.fillRect(Math.round(this.left(frame)) - 1, y, 2, 3);
  }

  /** Darken what lies outside of the in and out marks, and draw these. */
  marks(pen, high, color) {
    const { first, last } = this.model.cut;
    const from = first === null ? PAD : this.left(first), to = last === null ? this.wide - PAD : this.left(last + 1);
    pen.fillStyle = color("shade");
    pen.fillRect(PAD, 0, from - PAD, high);
    pen.fillRect(to, 0, this.wide - PAD - to, high);
    pen.fillStyle = color("accent");
    const tall = pen.canvas === this.head ? this.tall : high;
    for (const [mark, x, way] of [[first, from, 1], [last, to, -1]]) {
      if (mark === null) continue;
      pen.fillRect(x - (way < 0 ? 2 : 0), 0, 2, tall);
      if (pen.canvas === this.head) for (const y of [0, tall - 2]) pen.fillRect(way < 0 ? x - 7 : x, y, 7, 2);
    }
  }

  fillLabels() {
    const { model } = this, wanted = model.objects.map((object) => `${object.name}|${object.title}|${object.color}|${object.name === model.chosen}`).join();
    if (wanted === this.labelled) return;
    this.labelled = wanted;
    this.labels.replaceChildren(...model.objects.map((object) =>
      h("button", { type: "button", class: "label", tabindex: "-1", "aria-pressed": object.name === model.chosen, onclick: () => model.choose(object.name) },
        h("i", { class: "dot", style: { background: object.color } }), h("span", {}, model.title(object.name)))));
    this.labels.querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest" });
  }
}

/** The empty canvas in a size of CSS pixels, ready to be drawn on. */
function penOf(canvas, wide, high) {
  const dense = devicePixelRatio || 1, width = Math.round(wide * dense), height = Math.round(high * dense);
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
    Object.assign(canvas.style, { width: wide + "px", height: high + "px" });
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, wide, high);
  return pen;
}
