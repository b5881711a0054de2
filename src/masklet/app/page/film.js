// The filmstrip: small pictures of frames, evenly over the video, each the exact frame of its middle.

const WIDTH = 160, MOST = 24, KEPT = 96; // pixels of a picture, pictures beside each other, pictures kept in all
const PAUSE = 40; // milliseconds between two of them: what a person does goes first

export class Film {
  /**
   * @param {import("./model.js").Model} model
   * @param {{changed: () => void, quiet: () => boolean}} told `changed` is called when a picture has come; `quiet` says
   *   whether nothing more important is under way
   */
  constructor(model, { changed, quiet }) {
    this.model = model;
    this.changed = changed;
    this.quiet = quiet;
    this.kept = new Map(); // frame -> ImageBitmap, or null where there is none; the oldest first
    this.wanted = [];
  }

  /** Which frames are shown in a strip of this size, from left to right. */
  frames(wide, tall) {
    const { video, last } = this.model, frames = last + 1;
    const fit = Math.round(wide / (tall * video.width / video.height));
    const count = Math.max(1, Math.min(MOST, frames, fit));
    return Array.from({ length: count }, (_, place) => Math.floor((place + 0.5) * frames / count));
  }

  draw(pen, left, wide, tall) {
    const frames = this.frames(wide, tall), each = wide / frames.length;
    this.wanted = frames.filter((frame) => !this.kept.has(frame));
    frames.forEach((frame, place) => {
      const picture = this.kept.get(frame);
      if (picture) cover(pen, picture, left + place * each, each, tall);
    });
    this.fetch();
  }

  async fetch() {
    if (this.fetching) return;
    this.fetching = true;
    const { path, video } = this.model;
    while (this.wanted.length) {
      await new Promise((done) => setTimeout(done, PAUSE));
      if (!this.quiet() || !this.wanted.length) continue; // what is wanted may have changed
      const frame = this.wanted.shift();
      try {
        const answer = await fetch(`${path}/frame/${frame}.jpg?v=${video.key}&w=${WIDTH}`, { priority: "low" });
        this.keep(frame, answer.ok ? await createImageBitmap(await answer.blob()) : null);
        this.changed();
      } catch { this.keep(frame, null); }
    }
    this.fetching = false;
  }

  keep(frame, picture) {
    this.kept.set(frame, picture);
    for (const [other, old] of this.kept) {
      if (this.kept.size <= KEPT) return;
      this.kept.delete(other);
      old?.close();
    }
  }
}

/** Draw the middle of a picture so that it fills its place. */
function cover(pen, picture, left, wide, tall) {
  const scale = Math.max(wide / picture.width, tall / picture.height);
  const [w, h] = [wide / scale, tall / scale];
  pen.drawImage(picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, left, 0, wide - 1, tall);
}
