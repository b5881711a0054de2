// Masks: run lengths along the rows, unpacked when they are drawn, and drawn into the pixels of a canvas.

// Colours of objects of which the server knows nothing yet: those that it will give.
const FRESH = ["#cb2828", "#28cb28", "#cbcb28", "#2828cb", "#cb28cb", "#28cbcb", "#cbcbcb", "#a42828", "#e82828", "#a4cb28", "#e8cb28", "#a428cb"];

export const freshColour = (number) => FRESH[(number - 1) % FRESH.length];

/** The runs of each mask of a message: Uint32Array each, the background first. */
export async function unpack(head, packed) {
  if (!head.runs.length) return [];
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let place = 0;
  return head.runs.map((count) => {
    const runs = new Uint32Array(count);
    for (let n = 0; n < count; n++) {
      let value = 0, scale = 1, byte;
      do { byte = bytes[place++]; value += (byte & 127) * scale; scale *= 128; } while (byte > 127);
      runs[n] = value;
    }
    return runs;
  });
}

/** The masks of a message: [{...head of the object, runs}]. */
export async function masksIn({ head, packed }) {
  const runs = await unpack(head, packed);
  return head.objects.map((object, place) => ({ ...object, runs: runs[place] }));
}

/** Run lengths of a mask of 0 and 1, the background first. */
export function runsOf(mask) {
  const runs = [];
  let value = 0, begin = 0;
  for (let place = 0; place < mask.length; place++) {
    if ((mask[place] ? 1 : 0) === value) continue;
    runs.push(place - begin);
    begin = place;
    value = 1 - value;
  }
  runs.push(mask.length - begin);
  return runs;
}

/** A mask of 0 and 1, of run lengths. */
export function maskOf(runs, length) {
  const mask = new Uint8Array(length);
  let place = 0;
  for (let n = 0; n < runs.length; n++) {
    if (n % 2) mask.fill(1, place, place + runs[n]);
    place += runs[n];
  }
  return mask;
}

/** [x0, y0, x1, y1] around a mask of run lengths, the last column and row left out; null if it is empty. */
export function boxOf(runs, width) {
  let box = null, place = 0;
  for (let n = 0; n < runs.length; place += runs[n++]) {
    if (n % 2 === 0 || !runs[n]) continue;
    const last = place + runs[n] - 1, top = Math.floor(place / width), bottom = Math.floor(last / width);
    const [left, right] = top === bottom ? [place % width, last % width] : [0, width - 1];
    box = box ? [Math.min(box[0], left), Math.min(box[1], top), Math.max(box[2], right + 1), bottom + 1] : [left, top, right + 1, bottom + 1];
  }
  return box;
}

/** Whether two masks of run lengths are the same. */
export const sameRuns = (runs, others) => runs.length === others.length && runs.every((run, n) => run === others[n]);

/** Whether two lists of masks are the same: [{name, runs}]. */
export function same(some, others) {
  return some.length === others.length && some.every(({ name, runs }, n) => name === others[n].name && sameRuns(runs, others[n].runs));
}

/** "#rrggbb" and an opacity as the 32 bits of a pixel. */
export function pixel(color, alpha) {
  const value = parseInt(color.slice(1), 16);
  return ((Math.round(255 * alpha) << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** Draw masks over each other into the pixels of a picture: filled, with an edge. `masks` is [{runs, color, edge}]. */
export function paint(pixels, width, masks, { opacity, outline }) {
  pixels.fill(0);
  const thick = Math.max(1, Math.round(width / 900));
  for (const { runs, color, edge = color } of masks) {
    const fill = pixel(color, opacity);
    let place = 0;
    const spans = [];
    for (let n = 0; n < runs.length; place += runs[n++]) {
      if (n % 2 === 0 || !runs[n]) continue;
      pixels.fill(fill, place, place + runs[n]);
      spans.push(place, place + runs[n]);
    }
    if (outline) drawEdge(pixels, width, spans, pixel(edge, 1), thick);
  }
}

// The edge is where the pixels so many columns or rows away are not in the mask. `spans` are its runs, [begin, end) by turns,
// which may go over the ends of rows.
function drawEdge(pixels, width, spans, edge, thick) {
  const inside = within(spans, pixels.length);
  for (let n = 0; n < spans.length; n += 2)
    for (let place = spans[n]; place < spans[n + 1]; place++) {
      const column = place % width;
      if (column < thick || column >= width - thick || !inside[place - thick] || !inside[place + thick]
        || !inside[place - thick * width] || !inside[place + thick * width]) pixels[place] = edge;
    }
}

let mark = new Uint8Array(0);
let marked = [];

function within(spans, length) {
  if (mark.length !== length) { mark = new Uint8Array(length); marked = []; }
  for (let n = 0; n < marked.length; n += 2) mark.fill(0, marked[n], marked[n + 1]);
  for (let n = 0; n < spans.length; n += 2) mark.fill(1, spans[n], spans[n + 1]);
  marked = spans;
  return mark;
}
