// The polygon tool: the corners of a mask's outline are moved, added and taken away; new rings are drawn. Each change is a
// mask prompt of its own.

import { say, s } from "./dom.js";
import { sameRuns } from "./masks.js";
import { away, ringsOf, runsOfRings } from "./rings.js";

const NEAR = 8; // pixels of the screen around a corner or an edge
const FINEST = 1.2, SHARE = 1 / 80; // how far an outline may be off: pixels, or a share of the mask's size

export class Polygon {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./stage.js").Stage} stage
   */
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
    this.on = false;
    this.rings = []; // lists of [x, y]
    this.open = null; // a ring that is being drawn
    this.grabbed = this.over = null; // {ring, place} of a corner
    this.pointer = null;
    this.frame = -1; // of what is shown
    this.name = null; // of its object
    this.runs = null; // its mask
    this.applying = 0; // changes whose answers are not on the screen
    model.on("shown objects", () => { if (this.on && !this.grabbed && !this.applying) this.sync(); });
  }

  /** Begin or end to show the corners. */
  use(on) {
    this.on = on;
    this.open = null;
    this.runs = null;
    if (on) this.sync(); else this.rings = [];
    this.stage.shape = on ? (at) => this.drawn(at) : null;
  }

  /** Take the outline of the chosen object's mask, if it is not the one that was made here. */
  sync() {
    const { model, stage } = this, mask = stage.masks?.find(({ name }) => name === model.chosen), frame = stage.shown;
    const runs = mask?.runs ?? [];
    if (frame !== this.frame || model.chosen !== this.name) this.open = null;
    if (this.runs && frame === this.frame && model.chosen === this.name && sameRuns(runs, this.runs)) return;
    Object.assign(this, { frame, name: model.chosen, runs });
    const { width, height } = stage.picture;
    const area = runs.reduce((sum, run, n) => sum + (n % 2 ? run : 0), 0);
    this.rings = area ? ringsOf(runs, width, height, Math.max(FINEST, SHARE * Math.sqrt(area))) : [];
    stage.drawMarks();
  }

  // --- what is done --------------------------------------------------------------------------------

  press(point, away) {
    if (!this.model.mayDraw(this.applying)) return undefined;
    const corner = this.cornerAt(point), edge = corner ? null : this.edgeAt(point);
    if (away) return corner ? this.take(corner) : undefined;
    if (this.open) return this.draw(point);
    if (corner) this.grabbed = corner;
    else if (edge) {
      edge.ring.splice(edge.place + 1, 0, point);
      this.grabbed = { ring: edge.ring, place: edge.place + 1, moved: true };
    } else this.draw(point);
    return this.stage.drawMarks();
  }

  move(point) {
    this.pointer = point;
    if (this.grabbed) {
      this.grabbed.ring[this.grabbed.place] = point;
      this.grabbed.moved = true;
      this.paint();
    } else this.over = this.cornerAt(point);
    this.stage.drawMarks();
  }

  release() {
    const { grabbed } = this;
    this.grabbed = null;
    return grabbed?.moved ? this.apply() : undefined;
  }

  /** Whether a press at a place would be a corner of a new ring. */
  draws(point) { return this.on && Boolean(this.open || !(this.cornerAt(point) || this.edgeAt(point))); }

  /** A corner of a new ring; on its first one, or twice on its last one, the ring is closed. */
  draw(point) {
    const first = this.open?.[0], last = this.open?.at(-1);
    if (first && this.open.length > 2 && (this.far(first, point) < NEAR || this.far(last, point) < 1)) return this.close();
    this.open = [...this.open ?? [], point];
    return this.stage.drawMarks();
  }

  /** Close the new ring. Returns whether there was one. */
  close() {
    if (!this.open) return false;
    if (this.open.length < 3) { say("A polygon has at least three corners."); return true; }
    if (!this.model.mayDraw(this.applying)) return true;
    this.rings.push(this.open);
    this.open = null;
    this.apply();
    return true;
  }

  /** Forget the new ring. Returns whether there was one. */
  drop() {
    const was = Boolean(this.open);
    this.open = this.grabbed = null;
    if (was) this.stage.drawMarks();
    return was;
  }

  /** Take a corner away, by default the one under the pointer. Returns whether there was one. */
  take(corner = this.on ? this.over : null) {
    if (!corner) return false;
    if (!this.model.mayDraw(this.applying)) return true;
    this.over = null;
    corner.ring.splice(corner.place, 1);
    if (corner.ring.length < 3) this.rings.splice(this.rings.indexOf(corner.ring), 1);
    this.apply();
    return true;
  }

  paint() {
    const { width, height } = this.stage.picture;
    this.runs = this.rings.length ? runsOfRings(this.rings, width, height) : [width * height];
    this.stage.preview = { runs: this.runs, color: this.model.target().color };
    this.stage.drawMasks();
  }

  async apply() {
    this.applying++;
    this.name = this.model.target().name;
    this.paint();
    if (!await this.model.act("prompt", { frame: this.frame, object: this.name, mask: this.runs, replace: true })) this.runs = null;
    if (--this.applying) return;
    this.stage.preview = null;
    this.stage.drawMasks();
    if (this.on && !this.grabbed) this.sync();
  }

  // --- where things are ----------------------------------------------------------------------------

  far([x0, y0], [x1, y1]) { return Math.hypot(x0 - x1, y0 - y1) * this.stage.scale; }

  cornerAt(point) {
    let found = null, least = NEAR;
    for (const ring of this.rings)
      ring.forEach((corner, place) => { const far = this.far(corner, point); if (far < least) [found, least] = [{ ring, place }, far]; });
    return found;
  }

  edgeAt(point) {
    let found = null, least = NEAR / this.stage.scale;
    for (const ring of this.rings)
      ring.forEach((corner, place) => { const far = away(point, corner, ring[(place + 1) % ring.length]); if (far < least) [found, least] = [{ ring, place }, far]; });
    return found;
  }

  /** What is drawn over the picture; `at` gives the place on the stage. */
  drawn(at) {
    const made = [], line = (ring, kind, closed) => made.push(s("path", { class: kind, d: `M${ring.map((point) => at(point).join(" ")).join("L")}${closed ? "Z" : ""}` }));
    const corner = (point, kind) => { const [cx, cy] = at(point); made.push(s("circle", { class: kind, cx, cy, r: kind.includes("over") ? 6 : 4 })); };
    for (const ring of this.rings) {
      line(ring, "ring under", true);
      line(ring, "ring over", true);
    }
    for (const ring of this.rings)
      ring.forEach((point, place) => corner(point, this.over?.ring === ring && this.over.place === place ? "corner over" : "corner"));
    if (this.open) {
      line(this.pointer ? [...this.open, this.pointer] : this.open, "ring under", false);
      line(this.pointer ? [...this.open, this.pointer] : this.open, "ring over", false);
      this.open.forEach((point, place) => corner(point, place ? "corner" : "corner over"));
    }
    return made;
  }
}
