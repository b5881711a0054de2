// What is known of a video, and where one looks. Others listen: to "state", "objects" and "job"; to "frame", the one
// where one is, "shown", when it is on the screen, and "masks" of one; to "cells", which strips show, and "view".

import { say, Signals } from "./dom.js";
import { Link } from "./link.js";
import { freshColour } from "./masks.js";
import { Store } from "./store.js";

export const ABSENT = 1, UNCERTAIN = 2, VISIBLE = 3, STATE = 3, PROMPTED = 4, LOCKED = 8, DOUBTED = 16, CUT = 32, ACCEPTED = 64;
export const STATES = ["unknown", "absent", "uncertain", "visible"];

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
    this.masks = new Store(this);
    this.epoch = -1;
    this.unanswered = 0; // changes that are not answered, or not on the screen
    this.drawn = async () => {}; // the stage's: resolves when what is known is on the screen
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
      connected: (is) => { this.online = is; if (is) this.masks.clear(); else this.masks.release(); this.emit("lease"); },
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
      stale: () => { if (this.live) this.wantNewest(); else for (const frame of message.frames) { this.masks.forget(frame); this.emit("masks", frame); } },
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
    if (message.epoch !== this.epoch) this.masks.clear();
    if (message.masks !== undefined) this.masks.want(message.masks); // they come next
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
    const { frame } = head, before = this.video.frames;
    this.video.frames = Math.max(before, frame + 1);
    let changed = this.live || this.video.frames !== before;
    for (const found of head.objects) {
      const object = this.object(found.name);
      if (!object) continue;
      if (this.live) Object.assign(object, { cells: {}, ious: {}, presence: found.presence }); // of the newest frame alone
      else if (object.cells.length <= frame) this.lengthen(object, frame);
      const iou = Math.round(255 * found.iou);
      changed ||= object.cells[frame] !== found.cell || object.ious[frame] !== iou;
      object.cells[frame] = found.cell;
      object.ious[frame] = iou;
    }
    if (this.live) this.masks.clear();
    this.masks.put(frame, { head, packed });
    if (this.job?.kind === "follow" && frame !== this.frame) this.tellLater(frame);
    else {
      this.emit("masks", frame);
      if (changed) this.emit("cells");
    }
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
      this.emit("cells");
    }
    this.emit("job");
  }

  lengthen(object, frame) {
    for (const strip of ["cells", "ious"]) {
      const longer = new Uint8Array(Math.max(this.video.frames, frame + 1));
      longer.set(object[strip]);
      object[strip] = longer;
    }
  }

  /** Whether anything is known of a frame. */
  known(frame) { return this.objects.some((object) => this.cell(object, frame) & STATE); }

  // --- what is done --------------------------------------------------------------------------------

  /** Whether this page edits the video; if not, it is said why. */
  mayEdit() {
    if (!this.canEdit) say(this.online ? "Another page edits this video; take over to change it here." : "There is no connection to masklet.", true);
    return this.canEdit;
  }

  /**
   * Whether one may draw on the mask that is on the screen: it has all changes in it, but for some of one's own.
   * @param {number} own how many
   */
  mayDraw(own) {
    if (this.mayEdit() && this.unanswered > own) say("One moment: what you did last is not answered yet.");
    return this.canEdit && this.unanswered <= own;
  }

  /** Have something changed. Resolves to whether it was, when that is on the screen. */
  async act(type, values = {}) {
    this.unanswered++;
    const done = await this.ask(type, { frame: this.frame, ...values }); // of which masks come at once
    await this.drawn();
    this.unanswered--;
    return done;
  }

  /** Have something done; what the server refuses is said. Resolves to whether it was done. */
  async ask(type, values = {}) {
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
  hold(held) { return this.ask("hold", { held }); }

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
