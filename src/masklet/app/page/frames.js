// Pictures of a video by frame number, fetched ahead of where one looks.

const BUDGET = 160e6; // bytes of pictures that are kept
const AHEAD = 10;

export class Frames {
  constructor(path, key, width, height, live = false) {
    this.key = key;
    this.path = path;
    this.most = live ? 6 : Math.max(6, Math.floor(BUDGET / (4 * width * height)));
    this.kept = new Map(); // frame -> promise of an ImageBitmap, the oldest first
    this.ready = new Map(); // frame -> ImageBitmap
    this.fetching = 0;
  }

  /** The picture of a frame. Rejects if there is none. */
  get(frame) {
    const known = this.kept.get(frame);
    if (known) {
      this.kept.delete(frame);
      this.kept.set(frame, known);
      return known;
    }
    const coming = this.fetch(frame);
    this.kept.set(frame, coming);
    this.forget();
    return coming;
  }

  /** Whether a picture is at hand. */
  has(frame) { return this.ready.has(frame); }

  /** Fetch what is likely to be wanted next, a few at a time. */
  ahead(frame, last, step = 1) {
    const most = Math.min(AHEAD, Math.floor(this.most / 2));
    for (let n = 1; n <= most && this.fetching < 3; n++) {
      for (const next of [frame + n * step, ...(n <= 2 ? [frame - n * step] : [])])
        if (next >= 0 && next <= last && !this.kept.has(next)) this.get(next).catch(() => {});
    }
  }

  async fetch(frame) {
    this.fetching++;
    try {
      const answer = await fetch(`${this.path}/frame/${frame}.jpg?v=${this.key}`);
      if (!answer.ok) throw new Error((await answer.json()).error);
      const picture = await createImageBitmap(await answer.blob());
      if (this.kept.has(frame)) this.ready.set(frame, picture);
      return picture;
    } catch (error) {
      this.kept.delete(frame);
      throw error;
    } finally { this.fetching--; }
  }

  forget() {
    for (const frame of this.kept.keys()) {
      if (this.kept.size <= this.most) return;
      this.kept.delete(frame);
      const picture = this.ready.get(frame);
      this.ready.delete(frame);
      if (picture) setTimeout(() => picture.close(), 2000); // it may be being drawn
    }
  }
}
