// The picture with its masks, which are always of the same frame; zoom and pan.

import { h, s } from "./dom.js";
import { Frames } from "./frames.js";
import { paint } from "./masks.js";

const FARTHEST = 40;

export class Stage {
  /** @param {import("./model.js").Model} model */
  constructor(model) {
    this.model = model;
    this.picture = h("canvas", { id: "picture" });
    this.overlay = h("canvas", { id: "masks" });
    this.sheet = h("div", { class: "sheet" }, this.picture, this.overlay);
    this.marks = s("svg", { class: "marks", "aria-hidden": "true" });
    this.hint = h("div", { class: "hint" });
    this.root = h("div", { id: "stage", tabindex: "0", role: "application", "aria-label": "Picture: click on the thing to cut out" },
      this.sheet, this.marks, this.hint);
    this.shown = -1; // the frame on the screen
    this.aim = 0; // the frame that is wanted there
    this.busy = false; // whether `present` is under way, and
    this.showing = Promise.resolve(); // what it resolves to
    this.opacity = 0.45;
    this.outline = true;
    this.visible = true; // masks at all
    this.held = null; // "before" or "bare" while a key is held
    this.masks = []; // of the frame that is shown
    this.shape = null; // (at) => elements, of the polygon tool
    this.rubber = this.cross = this.brush = null; // a box that is being drawn, the keyboard's cross, the brush's ring
    this.preview = null; // {runs, color, edge} while Shift is held, or while one paints
    this.waiting = []; // {point, label} or {box}: prompts that have not been answered
    this.scale = 1;
    this.x = this.y = 0;
    this.fitted = true;
    model.drawn = () => this.showing;
    model.on("state", () => this.begin());
    model.on("masks", (frame) => { if (frame === this.aim || frame === this.shown) this.refresh(); });
    model.on("objects", () => this.drawMarks());
    new ResizeObserver(() => { if (this.fitted) this.fit(); else this.place(); }).observe(this.root);
  }

  begin() {
    const { width, height, key } = this.model.video;
    if (this.frames?.key === key) return;
    this.frames = new Frames(this.model.path, key, width, height, this.model.live);
    for (const canvas of [this.picture, this.overlay]) Object.assign(canvas, { width, height });
    this.pen = this.picture.getContext("2d", { alpha: false });
    this.ink = this.overlay.getContext("2d");
    this.data = new ImageData(width, height);
    this.pixels = new Uint32Array(this.data.data.buffer);
    this.fit();
    if (!this.model.live) this.show(this.model.frame);
  }

  // --- which frame ---------------------------------------------------------------------------------

  /** Show a frame as soon as its picture and its masks are there. The newest wish counts. */
  show(frame) {
    this.aim = frame;
    if (!this.busy) this.showing = this.present();
  }

  async present() {
    this.busy = true;
    try {
      while (this.shown !== this.aim || this.stale) {
        const frame = this.aim;
        this.stale = false;
        try {
          const [picture, masks] = await Promise.all([this.frames.get(frame), this.model.masks.of(frame)]);
          this.draw(frame, picture, masks);
        } catch (error) {
          if (!this.model.live) this.hint.textContent = error.message; // a camera's newest frame comes soon
          if (this.aim === frame) break;
        }
      }
    } finally { this.busy = false; }
  }

  /** Show again what is known. */
  refresh() {
    if (!this.frames) return;
    this.stale = true;
    this.show(this.aim);
  }

  draw(frame, picture, masks) {
    this.hint.textContent = "";
    this.pen.drawImage(picture, 0, 0);
    this.masks = masks;
    const step = frame < this.shown ? -1 : 1;
    this.shown = frame;
    this.drawMasks();
    this.drawMarks();
    this.root.dataset.frame = frame;
    if (!this.model.live && this.model.job?.kind !== "follow") this.frames.ahead(frame, this.model.last, step);
    this.model.emit("shown", frame);
  }

  drawMasks() {
    if (!this.pixels) return;
    const drawn = [];
    const masks = this.held === "before" ? this.model.masks.before.get(this.shown) : this.masks;
    if (this.visible && this.held !== "bare")
      for (const mask of masks ?? []) {
        const object = this.model.object(mask.name);
        if (object && this.model.shows(object) && !(this.preview && !this.held && object.name === this.model.chosen))
          drawn.push({ runs: mask.runs, color: object.color });
      }
    if (this.preview && !this.held) drawn.push(this.preview);
    paint(this.pixels, this.overlay.width, drawn, this);
    this.ink.putImageData(this.data, 0, 0);
    this.root.dispatchEvent(new CustomEvent("painted", { detail: { frame: this.shown, masks: drawn.length } }));
  }

  // --- where on the screen -------------------------------------------------------------------------

  fit() {
    const { clientWidth: wide, clientHeight: high } = this.root, { width, height } = this.picture;
    if (!wide || !width) return;
    this.scale = Math.min((wide - 24) / width, (high - 24) / height);
    this.x = (wide - width * this.scale) / 2;
    this.y = (high - height * this.scale) / 2;
    this.place();
    this.fitted = true;
  }

  /** Zoom by a factor, so that what is at a place of the stage stays there. */
  zoom(factor, x = this.root.clientWidth / 2, y = this.root.clientHeight / 2) {
    const scale = Math.min(FARTHEST, Math.max(0.05, this.scale * factor));
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.place();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.place();
  }

  place() {
    this.fitted = false;
    this.sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.sheet.classList.toggle("near", this.scale > 2.5);
    this.drawMarks();
    this.model.emit("zoom");
  }

  /** Pixels of the picture, of an event's place; kept inside. */
  pointOf(event) {
    const area = this.root.getBoundingClientRect(), { width, height } = this.picture;
    const within = (value, most) => Math.max(0, Math.min(most - 0.01, value));
    return [within((event.clientX - area.left - this.x) / this.scale, width), within((event.clientY - area.top - this.y) / this.scale, height)];
  }

  /** Whether an event is on the picture. */
  isOn(event) {
    const area = this.picture.getBoundingClientRect();
    return event.clientX >= area.left && event.clientX <= area.right && event.clientY >= area.top && event.clientY <= area.bottom;
  }

  // --- prompts -------------------------------------------------------------------------------------

  /** Show the masks as they were before the last change ("before"), or none ("bare"); gives what ends it. */
  hold(what) {
    const put = (held) => { this.held = held; this.root.dataset.held = held ?? ""; this.drawMasks(); this.drawMarks(); };
    put(what);
    return () => put(null);
  }

  drawMarks() {
    if (this.held) return this.marks.replaceChildren();
    const made = [];
    /** @type {(point: number[]) => number[]} */
    const at = ([x, y]) => [x * this.scale + this.x, y * this.scale + this.y];
    for (const object of this.model.objects) {
      const prompt = object.prompts?.[this.shown];
      if (!prompt || !this.model.shows(object)) continue;
      const pale = object.name === this.model.chosen ? "" : " pale";
      if (prompt.box) made.push(this.rectangle(prompt.box, "box" + pale, object.color));
      prompt.points.forEach((point, place) => made.push(click(at(point), prompt.labels[place], pale)));
    }
    for (const { box, point, label } of this.waiting)
      made.push(box ? this.rectangle(box, "rubber", "currentColor") : click(at(point), label, " pale"));
    if (this.shape) made.push(...this.shape(at));
    if (this.rubber) made.push(this.rectangle(this.rubber, "rubber", "currentColor"));
    if (this.cross) {
      const [x, y] = at(this.cross);
      made.push(s("path", { class: "cross", d: `M${x} ${y - 18}v36M${x - 18} ${y}h36` }));
    }
    if (this.brush) {
      const [x, y] = at(this.brush.at);
      const r = Math.max(1, this.brush.radius * this.scale);
      for (const line of ["under", "over"]) made.push(s("circle", { class: `brush ${line} ${this.brush.kind}`, cx: x, cy: y, r }));
    }
    return this.marks.replaceChildren(...made);
  }

  rectangle([x0, y0, x1, y1], kind, color) {
    const [left, top] = [Math.min(x0, x1) * this.scale + this.x, Math.min(y0, y1) * this.scale + this.y];
    return s("rect", { class: kind, x: left, y: top, width: Math.abs(x1 - x0) * this.scale, height: Math.abs(y1 - y0) * this.scale, stroke: color });
  }
}

/** The mark of a click at a place: a plus where it includes, a minus where it excludes. */
function click(at, label, more) {
  const [x, y] = at;
  return s("g", { class: (label === 1 ? "include" : "exclude") + more, transform: `translate(${x} ${y})` },
    s("circle", { r: 7 }), s("path", { d: label === 1 ? "M-3.5 0h7M0-3.5v7" : "M-3.5 0h7" }));
}
