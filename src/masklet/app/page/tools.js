// What the mouse, or the keyboard's cross, does on the picture: points, boxes, brush and eraser, polygons, previews.

import { kept, say } from "./dom.js";
import { freshColour, maskOf, runsOf, unpack } from "./masks.js";
import { STATE } from "./model.js";
import { Polygon } from "./polygon.js";

const NEAR = 4; // pixels of the screen: a shorter drag is a click
const GRAB = 9; // a click so near to a point takes it back
const FIRST = { name: "object 1", color: freshColour(1) }; // what a first click would begin

export class Tools {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./stage.js").Stage} stage
   * @param {import("./candidates.js").Candidates} candidates
   */
  constructor(model, stage, candidates) {
    this.model = model;
    this.stage = stage;
    this.candidates = candidates;
    this.polygon = new Polygon(model, stage);
    this.kind = "point";
    this.size = kept.get("brush", 12); // radius of the brush, in pixels of the picture
    this.held = null; // a press that has not ended: {from, exclude, on}, then to or mask; or {pans}
    this.freezes = false; // whether a camera is held for it
    this.strokes = []; // those whose answers are not on the screen: the next one goes on from the last of them
    this.asking = false; // a preview that is under way
    const { root } = stage;
    root.addEventListener("pointerdown", (event) => this.press(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    root.addEventListener("pointerup", () => this.end());
    root.addEventListener("pointercancel", () => this.drop());
    root.addEventListener("pointerleave", () => { if (!this.held) { this.at = null; this.showBrush(); } });
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    model.on("shown", () => this.endPreview());
  }

  take(kind) {
    this.kind = kind;
    this.stage.root.dataset.tool = kind;
    this.polygon.use(kind === "polygon");
    if (kind === "polygon" && this.model.live) this.model.hold(true); // it takes its time
    this.showBrush();
    this.model.emit("view");
  }

  get isBrush() { return this.kind === "brush" || this.kind === "eraser"; }

  /** The ring of the brush, where the mouse is. */
  showBrush() {
    this.stage.brush = this.isBrush && this.at ? { at: this.at, radius: this.size, kind: this.kind } : null;
    this.stage.drawMarks();
  }

  resize(factor) {
    this.size = Math.max(1, Math.min(400, this.size * factor));
    kept.set("brush", this.size);
    this.showBrush();
  }

  // --- the mouse -----------------------------------------------------------------------------------

  press(event) {
    const pans = event.button === 1 || this.kind === "hand";
    this.stage.root.focus({ preventScroll: true });
    this.stage.root.setPointerCapture(event.pointerId);
    if (pans) this.held = { pans };
    else this.begin(this.stage.pointOf(event), event.button === 2 || event.altKey, { on: this.stage.isOn(event) });
  }

  move(event) {
    const { held } = this, at = this.stage.pointOf(event);
    if (held?.pans) return this.stage.pan(event.movementX, event.movementY);
    this.to(at);
    if (held || this.kind === "polygon") return undefined;
    this.shifted = event.shiftKey && this.stage.isOn(event);
    return this.shifted ? this.askPreview(event.altKey) : this.endPreview();
  }

  wheel(event) {
    event.preventDefault();
    const area = this.stage.root.getBoundingClientRect();
    if (event.altKey && this.isBrush) this.resize(Math.exp(-event.deltaY / 400));
    else if (event.shiftKey) this.stage.pan(-event.deltaY - event.deltaX, 0);
    else this.stage.zoom(Math.exp(-event.deltaY / 400), event.clientX - area.left, event.clientY - area.top);
  }

  // --- what a tool does, whoever moves it ------------------------------------------------------------

  /** Press the tool at a place of the picture; `clicks`: and let it go. */
  begin(from, exclude, { on = true, clicks = false } = {}) {
    this.endPreview();
    this.held = { from, exclude, on };
    if (this.model.live && !this.model.camera.held) { // so that nothing runs away under the hand
      this.freezes = true;
      this.model.hold(true);
    }
    if (this.isBrush) this.beginStroke(exclude);
    else if (this.kind === "polygon") this.polygon.press(from, exclude);
    return clicks ? this.end() : undefined;
  }

  /** Move it. */
  to(at) {
    const { held, stage } = this;
    this.at = at;
    if (this.kind === "polygon") this.polygon.move(at);
    else if (held?.mask) this.stroke(at);
    else if (!held) this.showBrush();
    else if (!this.isBrush && !held.exclude && (held.to || Math.hypot(at[0] - held.from[0], at[1] - held.from[1]) * stage.scale >= NEAR)) {
      held.to = at;
      stage.rubber = [...held.from, ...at];
      stage.drawMarks();
    }
  }

  /** Let it go: what was drawn becomes a prompt. */
  async end() {
    const { held } = this;
    if (!held) return;
    this.held = this.stage.rubber = null;
    this.stage.drawMarks();
    if (held.pans) return;
    if (this.kind === "polygon") await this.polygon.release();
    else if (held.mask) await this.endStroke(held);
    else if (held.to) await this.box(held.from, held.to);
    else if (held.on && this.kind === "point") await this.point(held.from, held.exclude ? 0 : 1);
    this.thaw();
  }

  thaw() {
    if (this.freezes) this.model.hold(false);
    this.freezes = false;
  }

  drop() {
    this.held = this.stage.rubber = null;
    this.polygon.drop();
    this.thaw();
    this.stage.preview = null;
    this.stage.refresh();
  }

  // --- prompts -------------------------------------------------------------------------------------

  /** @param {number[]} at */
  point(at, label) {
    const { model, stage } = this, object = model.target(), prompt = object.prompts?.[stage.shown];
    const on = ([x, y]) => Math.hypot(x - at[0], y - at[1]) * stage.scale < GRAB;
    if (stage.waiting.some(({ point }) => point && on(point))) return undefined; // a double click is one click
    const near = prompt?.points.findIndex(on) ?? -1;
    if (near >= 0 && !(model.live && prompt.points.length === 1)) return this.takeBack(object, prompt, near);
    const frame = stage.shown, first = label === 1 && !model.live && !(model.cell(object, frame) & STATE);
    return this.prompt({ point: at, label }, { object: object.name, points: [at], labels: [label] })
      .then((done) => { if (done && first) this.candidates.offer(object.name, frame, at); });
  }

  /** Have a prompt answered, which is shown at once. */
  async prompt(shown, said) {
    const { stage } = this;
    stage.waiting.push(shown);
    stage.drawMarks();
    const done = await this.model.act("prompt", { frame: stage.shown, ...said });
    stage.waiting = stage.waiting.filter((one) => one !== shown);
    stage.drawMarks();
    return done;
  }

  takeBack(object, prompt, place) {
    const frame = this.stage.shown, left = (list) => list.filter((_, n) => n !== place);
    if (prompt.points.length === 1 && !prompt.box) return this.model.act("clear", { frame, object: object.name });
    return this.model.act("prompt", {
      frame, object: object.name, points: left(prompt.points), labels: left(prompt.labels), box: prompt.box, replace: true,
    });
  }

  box(a, b) {
    const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    return this.prompt({ box }, { object: this.model.target().name, box });
  }

  // --- brush and eraser ----------------------------------------------------------------------------

  beginStroke(other) {
    const { stage, model, held } = this, { width, height } = stage.picture;
    const own = this.strokes.filter(({ name, frame }) => name === model.chosen && frame === stage.shown);
    if (!model.mayDraw(own.length)) return undefined;
    const object = model.target(), before = own.at(-1)?.mask, known = stage.masks?.find((mask) => mask.name === object.name);
    if (!known && !before && (this.kind === "eraser") !== other) return say("There is nothing to erase of this object here.");
    held.mask = before?.slice() ?? (known ? maskOf(known.runs, width * height) : new Uint8Array(width * height));
    held.value = (this.kind === "brush") !== other ? 1 : 0;
    Object.assign(held, { name: object.name, color: object.color, frame: stage.shown, last: held.from });
    return this.stroke(held.from);
  }

  stroke(to) {
    const { held, stage } = this, [x0, y0] = held.last, [x1, y1] = to;
    const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / Math.max(1, this.size / 3)));
    for (let n = 0; n <= steps; n++) this.dab(held, x0 + (x1 - x0) * n / steps, y0 + (y1 - y0) * n / steps);
    held.last = to;
    stage.preview = { runs: runsOf(held.mask), color: held.color };
    stage.drawMasks();
    this.showBrush();
  }

  dab(held, x, y) {
    const { width, height } = this.stage.picture, radius = this.size;
    for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (row - y) ** 2));
      const from = Math.max(0, Math.ceil(x - half)), to = Math.min(width - 1, Math.floor(x + half));
      if (to >= from) held.mask.fill(held.value, row * width + from, row * width + to + 1);
    }
  }

  async endStroke(held) {
    const { mask, name, frame } = held;
    this.strokes.push(held);
    await this.model.act("prompt", { frame, object: name, mask: runsOf(mask), replace: true });
    this.strokes = this.strokes.filter((stroke) => stroke !== held);
    if (this.strokes.length) return;
    if (!this.held?.mask) this.stage.preview = null;
    this.stage.drawMasks();
  }

  // --- previews ------------------------------------------------------------------------------------

  /** What a click here would give; one question at a time, the newest place counts. */
  async askPreview(exclude = false) {
    const { model, stage } = this;
    if (!this.at || !model.online || model.live || this.kind !== "point") return;
    this.wish = { point: this.at, label: exclude ? 0 : 1 };
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.wish) {
        const { point, label } = this.wish, object = model.object(model.chosen) ?? FIRST;
        this.wish = null;
        const { head, packed } = await model.link.ask({ type: "preview", frame: stage.shown, object: object.name, points: [point], labels: [label] });
        const [runs] = await unpack(head, packed);
        if (!this.shifted || head.frame !== stage.shown) continue; // Shift may have been let go meanwhile
        stage.preview = { runs, color: object.color, edge: "#ffffff" };
        stage.drawMasks();
      }
    } catch { /* the next one may do better */ } finally { this.asking = false; }
  }

  /** Shift was pressed or let go. */
  shift(is) {
    this.shifted = is && Boolean(this.at) && !this.held;
    if (this.shifted) this.askPreview(); else this.endPreview();
  }

  endPreview() {
    this.wish = null;
    if (!this.stage.preview || this.held?.mask) return;
    this.stage.preview = null;
    this.stage.drawMasks();
  }
}
