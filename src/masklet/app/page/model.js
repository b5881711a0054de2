// What is known of a video, and where one looks. Others listen: "state", "frame", "masks", "objects", "view", "job".

import { say, Signals } from "./dom.js";
import { Link } from "./link.js";
import { masksIn, same } from "./masks.js";

export const ABSENT = 1, UNCERTAIN = 2, VISIBLE = 3, STATE = 3, PROMPTED = 4, LOCKED = 8, DOUBTED = 16, CUT = 32, ACCEPTED = 64;
export const STATES = ["unknown", "absent", "uncertain", "visible"];

const KEPT = 64; // frames of which masks are kept unpacked
// Milliseconds between what is shown of frames that are followed, at least and at most, and how many times the last one took
// until it was on the screen: what draws on the tracker's processor takes one part in so many of its time.
const PACE = 250, SLOWEST = 3000, SHARE = 20;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export class Model extends Signals {
  constructor(path) {
    super();
    this.path = path;
    this.video = null;
    this.objects = []; // {name, number, color, cells, ious, prompts, fresh}
    this.chosen = null; // the name of the object that prompts are for
    this.queue = [];
    this.frame = 0;
    this.mine = false;
    this.online = false;
    this.job = null; // {kind, frame, rate, ...} while following or exporting
    this.masks = new Map(); // frame -> {head, packed}
    this.wanted = new Map(); // frame -> {promise, done}
    this.unpacked = new Map(); // an entry of `masks` -> promise of its masks
    this.newest = new Map(); // frame -> its masks as they were seen last
    this.before = new Map(); // frame -> its masks as they were before they changed
    this.epoch = -1;
    this.pace = PACE;
    this.on("shown", () => {
      const { begun } = this;
      this.begun = null;
      if (begun) requestAnimationFrame(() => setTimeout(() => { this.pace = Math.min(SLOWEST, Math.max(PACE, SHARE * (performance.now() - begun))); }));
    });
    this.latest = this.telling = null; // the frame that came last while following, until listeners hear of it
    this.cut = { first: null, last: null }; // the in and out marks
    this.hidden = new Set();
    this.solo = false;
    this.along = true; // whether one sees what is followed as it comes
    this.link = new Link(path + "/session", {
      hear: (message) => this.hear(message),
      see: (head, packed) => this.see(head, packed),
      connected: (is) => { this.online = is; this.wantNone(); this.emit("lease"); },
    });
  }

  get last() { return Math.max(0, (this.video?.frames ?? 1) - 1); }
  /** What people read for an object's name. */
  title(name) { return this.object(name)?.title || String(name); }
  get picture() { return this.video?.kind === "picture"; }
  get live() { return this.video?.kind === "camera"; }
  get canEdit() { return this.mine && this.online; }
  /** The classes that are offered, and those that objects have. */
  get categories() { return [...new Set([...this.classes ?? [], ...this.objects.map(({ category }) => category).filter(Boolean)])]; }
  object(name) { return this.objects.find((object) => object.name === name); }
  shows(object) { return !this.hidden.has(object.name) && (!this.solo || object.name === this.chosen); }
  cell(object, frame) { return object.cells[frame] ?? 0; }

  // --- what is told --------------------------------------------------------------------------------

  hear(message) {
    const told = {
      state: () => this.begin(message),
      brief: () => this.brief(message),
      lease: () => { Object.assign(this, { mine: message.mine, free: message.free, editor: message.who }); this.emit("lease"); },
      camera: () => { this.camera = message; this.queue = message.queue; this.emit("camera"); },
      following: () => { this.job = { kind: "follow", ...message }; this.emit("job"); },
      progress: () => { this.job = { ...message, kind: message.job }; if (message.file) this.exported(message); else this.tellLater(); },
      imported: () => { this.finish(); this.emit("imported", message); },
      warning: () => { if (message.job) this.finish(); say(message.sentence, true); },
      stale: () => { if (this.live) this.wantNewest(); else for (const frame of message.frames) this.forget(frame); },
      refused: () => say(message.sentence, true),
      fault: () => { this.fault = message.sentence; this.emit("fault"); },
    }[message.type];
    told?.();
  }

  begin(message) {
    if (this.job?.kind === "follow") this.tellNow();
    this.video = message.video;
    this.fault = null;
    this.model = message.model;
    this.classes = message.classes;
    const fresh = this.objects.filter((object) => object.fresh && !message.objects.some((o) => o.name === object.name));
    this.objects = [...message.objects.map((object) => ({ ...object, cells: bytes(object.cells), ious: bytes(object.ious) })), ...fresh];
    if (!this.object(this.chosen)) this.chosen = this.objects[0]?.name ?? null;
    if (message.epoch !== this.epoch) { this.masks.clear(); this.wantNone(); }
    this.epoch = message.epoch;
    if (!message.following && this.job?.kind === "follow") this.job = null;
    if (message.sentence) say(message.sentence, true);
    else if (message.interrupted && message.interrupted !== this.told) say(`Interrupted: ${message.interrupted}. Follow again to go on.`, true);
    this.told = message.interrupted;
    if (this.live) {
      this.camera = message;
      this.wantNewest();
    }
    this.brief(message);
    this.emit("state");
    if (!this.live || this.masks.has(this.frame)) this.emit("masks", this.frame);
    this.emit("job");
  }

  /** Ask for the masks of a camera's newest frame: one goes to a frame when its masks are there. */
  wantNewest() {
    if (this.video.frames) this.link.send({ type: "want", frames: [this.last] });
  }

  brief(message) {
    this.queue = message.queue;
    this.undo = message.undo;
    this.redo = message.redo;
    const said = message.prompted, object = said && this.object(said.object);
    if (object) object.prompts[said.frame] = said.prompt;
    this.emit("objects");
  }

  see(head, packed) {
    if (head.epoch !== this.epoch) return;
    const { frame } = head;
    this.video.frames = Math.max(this.video.frames, frame + 1);
    for (const found of head.objects) {
      const object = this.object(found.name);
      if (!object) continue;
      if (this.live) Object.assign(object, { cells: {}, ious: {}, presence: found.presence }); // of the newest frame alone
      else if (object.cells.length <= frame) this.lengthen(object, frame);
      object.cells[frame] = found.cell;
      object.ious[frame] = Math.round(255 * found.iou);
    }
    if (this.live) this.masks.clear();
    this.masks.set(frame, { head, packed });
    const wanted = this.wanted.get(frame);
    this.wanted.delete(frame);
    wanted?.done();
    if (this.job?.kind === "follow" && frame !== this.frame) this.tellLater(frame);
    else this.emit("masks", frame);
  }

  /** Have listeners hear of what was followed, a few times a second. */
  tellLater(frame = this.latest) {
    this.latest = frame;
    this.telling ??= setTimeout(() => this.tellNow(), this.pace);
  }

  tellNow() {
    const { latest } = this;
    clearTimeout(this.telling);
    this.telling = this.latest = null;
    if (latest !== null) {
      this.begun = performance.now();
      this.emit("masks", latest);
    }
    this.emit("job");
  }

  /** Masks that changed and were not sent: they are fetched when they are wanted. */
  forget(frame) {
    this.masks.delete(frame);
    this.emit("masks", frame);
  }

  lengthen(object, frame) {
    for (const strip of ["cells", "ious"]) {
      const longer = new Uint8Array(Math.max(this.video.frames, frame + 1));
      longer.set(object[strip]);
      object[strip] = longer;
    }
  }

  // --- masks ---------------------------------------------------------------------------------------

  /** Whether anything is known of a frame. */
  known(frame) { return this.objects.some((object) => this.cell(object, frame) & STATE); }

  /** What is known of a frame: [{...head of the object, runs}]. */
  async masksOf(frame) {
    for (let asked = 0; !this.masks.has(frame); asked++) {
      if (!this.known(frame)) return this.note(frame, []);
      if (!this.online || asked === 3) return [];
      await this.fetchMasks(frame);
    }
    const entry = this.masks.get(frame), { unpacked } = this;
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

  /** Nobody waits any longer for masks that were asked for. */
  wantNone() {
    for (const { done } of this.wanted.values()) done();
    this.wanted.clear();
  }

  fetchMasks(frame) {
    if (!this.wanted.has(frame)) {
      const entry = {};
      entry.promise = new Promise((done) => { entry.done = done; });
      setTimeout(entry.done, 5000);
      this.wanted.set(frame, entry);
      const near = [frame];
      for (let next = frame - 2; next <= frame + 8; next++)
        if (next >= 0 && next <= this.last && !this.masks.has(next) && !this.wanted.has(next) && this.known(next)) near.push(next);
      this.link.send({ type: "want", frames: near });
    }
    return this.wanted.get(frame).promise;
  }

  // --- what is done --------------------------------------------------------------------------------

  /** Whether this page edits the video; if not, it is said why. */
  mayEdit() {
    if (!this.canEdit) say(this.online ? "Another page edits this video; take over to change it here." : "There is no connection to masklet.", true);
    return this.canEdit;
  }

  /** Have something done; what the server refuses is said. Resolves to whether it was done. */
  async act(type, values = {}) {
    if (!this.mayEdit()) return false;
    try {
      await this.link.ask({ type, ...values });
      return true;
    } catch (error) {
      say(error.message, true);
      return false;
    }
  }

  /** Say what an object is: its title, category, colour. */
  describe(object, values) {
    const changed = Object.fromEntries(Object.entries(values).filter(([key, value]) => value !== (key === "colour" ? object.color : object[key] ?? "")));
    return Object.keys(changed).length ? this.act("describe", { object: object.name, ...changed }) : true;
  }

  /** Hold a camera's picture still, or go on. */
  hold(held) { return this.act("hold", { held }); }

  look(frame) {
    this.frame = frame;
    this.link.send({ type: "look", frame });
  }

  /** The object that a prompt is for; a new one if there is none. */
  target() { return this.object(this.chosen) ?? this.addObject(); }

  /** Begin a new object, of which nothing is known yet. */
  addObject(name = null) {
    let number = 1;
    while (this.objects.some((object) => object.number === number || object.name === `object ${number}`)) number++;
    const object = { name: name ?? `object ${number}`, number, color: freshColour(number), cells: new Uint8Array(0), ious: new Uint8Array(0), prompts: {}, fresh: true };
    if (!this.object(object.name)) this.objects.push(object);
    this.choose(object.name);
    return object;
  }

  choose(name) {
    this.chosen = name;
    this.emit("objects");
    this.emit("masks", this.frame);
  }

  removeObject(name) {
    if (!this.object(name)?.fresh) return this.act("remove", { object: name });
    this.objects = this.objects.filter((object) => object.name !== name);
    this.choose(this.objects[0]?.name ?? null);
    return true;
  }

  finish() { this.job = null; this.emit("job"); }

  exported({ file }) {
    this.finish();
    this.emit("exported", `${this.path}/exports/${encodeURIComponent(file)}`, file);
  }
}

// Colours of objects of which the server knows nothing yet: those that it will give.
const FRESH = ["#cb2828", "#28cb28", "#cbcb28", "#2828cb", "#cb28cb", "#28cbcb", "#cbcbcb", "#a42828", "#e82828", "#a4cb28", "#e8cb28", "#a428cb"];

export const freshColour = (number) => FRESH[(number - 1) % FRESH.length];
