// Masks by frame: kept as they came, asked for where they are not there, unpacked when they are drawn.

import { masksIn, same } from "./masks.js";

const KEPT = 64; // frames of which masks are kept unpacked
const PATIENCE = 5000; // milliseconds after which masks that do not come are asked for again

export class Store {
  /** @param {import("./model.js").Model} model */
  constructor(model) {
    this.model = model;
    this.masks = new Map(); // frame -> {head, packed}
    this.wanted = new Map(); // frame -> {promise, done}
    this.unpacked = new Map(); // an entry of `masks` -> promise of its masks
    this.newest = new Map(); // frame -> its masks as they were seen last
    this.before = new Map(); // frame -> its masks as they were before they changed
  }

  has(frame) { return this.masks.has(frame); }

  put(frame, entry) {
    this.masks.set(frame, entry);
    this.arrived(frame);
  }

  /** Masks that changed and were not sent are asked for when they are wanted. */
  forget(frame) {
    this.masks.delete(frame);
    this.arrived(frame);
  }

  clear() {
    this.masks.clear();
    this.release();
  }

  release() { for (const frame of [...this.wanted.keys()]) this.arrived(frame); }

  /** Nobody waits for the masks of a frame any longer. */
  arrived(frame) {
    this.wanted.get(frame)?.done();
    this.wanted.delete(frame);
  }

  /** What is known of a frame: [{...head of the object, runs}]. */
  async of(frame) {
    const { model, unpacked } = this;
    for (let asked = 0; !this.has(frame); asked++) {
      if (!model.known(frame)) return this.note(frame, []);
      if (!model.online || asked === 3) return [];
      await this.fetch(frame);
    }
    const entry = this.masks.get(frame);
    if (!unpacked.has(entry)) unpacked.set(entry, masksIn(entry));
    if (unpacked.size > KEPT) unpacked.delete(unpacked.keys().next().value);
    return this.note(frame, await unpacked.get(entry));
  }

  /** Keep what masks were seen on a frame, and before that. */
  note(frame, masks) {
    const last = this.newest.get(frame);
    if (last !== masks) {
      if (last && !same(last, masks)) this.before.set(frame, last);
      this.newest.set(frame, masks);
      for (const kept of [this.newest, this.before]) if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    return masks;
  }

  /** Masks of a frame that are on their way. */
  want(frame) {
    if (!this.wanted.has(frame)) {
      const entry = {};
      entry.promise = new Promise((done) => { entry.done = done; });
      this.wanted.set(frame, entry);
    }
    return this.wanted.get(frame);
  }

  /** Ask for those of a frame, and of some around it. */
  async fetch(frame) {
    const { model } = this;
    if (!this.wanted.has(frame)) {
      const near = [frame];
      for (let next = frame - 2; next <= frame + 8; next++)
        if (next >= 0 && next <= model.last && !this.has(next) && !this.wanted.has(next) && model.known(next)) near.push(next);
      model.link.send({ type: "want", frames: near });
    }
    const wish = this.want(frame);
    setTimeout(() => { if (this.wanted.get(frame) === wish) this.arrived(frame); }, PATIENCE); // not a later wish
    await wish.promise;
  }
}
