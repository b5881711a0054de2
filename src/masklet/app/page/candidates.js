// What a first click may mean: small pictures of up to three masks, one of which is chosen by key or by a click.

import { h } from "./dom.js";
import { boxOf, maskOf, paint, runsOf, unpack } from "./masks.js";

const WIDE = 92, HIGH = 64; // of a small picture
const PATIENCE = 250; // milliseconds after a click: who takes it back at once, or clicks again, does not wait for the network

export class Candidates {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./stage.js").Stage} stage
   * @param {() => string} key how the key that takes another one is written
   */
  constructor(model, stage, key) {
    this.model = model;
    this.stage = stage;
    this.found = []; // [{iou, runs}], the surest first
    this.place = 0; // of the one that was taken
    /** @type {{object: string, frame: number} | null} */
    this.about = null;
    this.key = h("kbd");
    this.keyText = key;
    this.list = h("div", { class: "list" });
    this.root = h("div", { class: "candidates", role: "group", "aria-label": "What the click may mean", hidden: true }, this.list, h("p", { class: "soft" }, "Another one was meant?  ", this.key));
    model.on("shown objects", () => { if (this.found.length && !this.stands()) this.close(); });
  }

  /** Whether the click that they are for is still the newest word on what one sees. */
  stands() {
    const { model, stage, about } = this, prompt = model.object(about.object)?.prompts?.[about.frame];
    return stage.shown === about.frame && model.chosen === about.object && prompt && (prompt.mask || prompt.points.length === 1) && !prompt.box;
  }

  /** Ask what a click that was just answered may mean, and show it if there is a choice. */
  async offer(object, frame, point) {
    this.close();
    this.about = { object, frame };
    const about = this.about;
    await new Promise((done) => setTimeout(done, PATIENCE));
    if (about !== this.about || !this.stands()) return;
    try {
      const { head, packed } = await this.model.link.ask({ type: "candidates", frame, points: [point], labels: [1] });
      if (about !== this.about || head.objects.length < 2 || !this.stands()) return;
      const runs = await unpack(head, packed);
      this.found = head.objects.map(({ iou }, place) => ({ iou, runs: runs[place] }));
      this.place = 0;
      await this.show();
    } catch { /* the click stands as it was answered */ }
  }

  async show() {
    const picture = await this.stage.frames.get(this.about.frame), color = this.model.object(this.about.object).color;
    const box = around(this.found.map(({ runs }) => boxOf(runs, picture.width)), picture);
    this.buttons = this.found.map(({ runs, iou }, place) => {
      const canvas = h("canvas", { width: 2 * WIDE, height: 2 * HIGH });
      draw(canvas, picture, runs, color, box);
      const see = (is) => () => { this.stage.preview = is ? { runs, color, edge: "#ffffff" } : null; this.stage.drawMasks(); };
      return h("button", { type: "button", "aria-label": `Candidate ${place + 1}, IoU ${Math.round(100 * iou)} %`, onclick: () => this.choose(place), onpointerenter: see(true), onpointerleave: see(false) },
        canvas, h("span", { class: "facts" }, `${Math.round(100 * iou)} %`));
    });
    this.list.replaceChildren(...this.buttons);
    this.mark();
    this.key.textContent = this.keyText();
    this.root.hidden = false;
  }

  mark() { this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", place === this.place)); }

  /** The next one, or the one before. */
  next(step) {
    if (!this.found.length) return false;
    this.choose((this.place + step + this.found.length) % this.found.length);
    return true;
  }

  async choose(place) {
    if (place === this.place) return;
    this.place = place;
    this.mark();
    this.stage.preview = null;
    const { object, frame } = this.about;
    await this.model.act("prompt", { frame, object, mask: [...this.found[place].runs], replace: true });
  }

  close() {
    this.about = null;
    this.found = [];
    this.root.hidden = true;
    if (this.root.matches(":hover")) this.stage.preview = null;
  }
}

/**
 * What of a picture is shown: all boxes with a margin, in the shape of the small pictures.
 * @returns {[number, number, number, number]} left, top, width, height
 */
function around(boxes, { width, height }) {
  const known = boxes.filter(Boolean), edge = (n, pick) => pick(...known.map((box) => box[n]));
  const [x0, y0, x1, y1] = [edge(0, Math.min), edge(1, Math.min), edge(2, Math.max), edge(3, Math.max)];
  const wide = Math.min(width, Math.max(1.3 * (x1 - x0), 1.3 * (y1 - y0) * WIDE / HIGH, 40)), high = wide * HIGH / WIDE;
  const inside = (middle, size, most) => Math.max(0, Math.min(most - size, middle - size / 2));
  return [inside((x0 + x1) / 2, wide, width), inside((y0 + y1) / 2, high, Math.max(high, height)), wide, high];
}

function draw(canvas, picture, runs, color, [x, y, wide, high]) {
  const { width, height } = canvas, layer = h("canvas", { width, height }), ink = layer.getContext("2d"), data = ink.createImageData(width, height);
  const mask = maskOf(runs, picture.width * picture.height), small = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const line = Math.floor(y + (row + 0.5) * high / height) * picture.width;
    for (let column = 0; column < width; column++) small[row * width + column] = mask[line + Math.floor(x + (column + 0.5) * wide / width)];
  }
  paint(new Uint32Array(data.data.buffer), width, [{ runs: runsOf(small), color }], { opacity: 0.5, outline: true });
  ink.putImageData(data, 0, 0);
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, x, y, wide, high, 0, 0, width, height);
  pen.drawImage(layer, 0, 0);
}
