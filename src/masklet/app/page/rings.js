// Masks as polygons and back: closed rings of corners of pixels, those inside of others are holes (even-odd).

import { maskOf, runsOf } from "./masks.js";

/** The rings of a mask of run lengths, as lists of [x, y], with as few corners as its outline allows: none moves farther
 * than `tolerance` pixels. */
export function ringsOf(runs, width, height, tolerance) {
  return traced(maskOf(runs, width * height), width, height).map((ring) => simplified(ring, tolerance));
}

/** The run lengths of the pixels whose middles lie inside of rings. */
export function runsOfRings(rings, width, height) {
  const mask = new Uint8Array(width * height), edges = rings.flatMap((ring) => ring.map((from, n) => [from, ring[(n + 1) % ring.length]]));
  const ys = rings.flat().map(([, y]) => y);
  const first = Math.max(0, Math.floor(Math.min(...ys))), last = Math.min(height - 1, Math.ceil(Math.max(...ys)));
  for (let row = first; row <= last; row++) {
    const y = row + 0.5;
    const crossings = edges.filter(([[, y0], [, y1]]) => (y0 <= y) !== (y1 <= y))
      .map(([[x0, y0], [x1, y1]]) => x0 + (x1 - x0) * (y - y0) / (y1 - y0)).sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const [from, to] = [crossings[n], crossings[n + 1]].map((x) => Math.max(0, Math.min(width, Math.ceil(x - 0.5))));
      if (to > from) mask.fill(1, row * width + from, row * width + to);
    }
  }
  return runsOf(mask);
}

/** The outlines of a mask of 0 and 1, corner by corner along the edges of pixels. */
function traced(mask, width, height) {
  const across = width + 1, next = new Map(); // corner -> corners to which an edge goes, the mask on its right
  const add = (from, to) => { const known = next.get(from); if (known) known.push(to); else next.set(from, [to]); };
  for (let y = 0, place = 0; y < height; y++)
    for (let x = 0; x < width; x++, place++) {
      if (!mask[place]) continue;
      const corner = y * across + x;
      if (y === 0 || !mask[place - width]) add(corner, corner + 1);
      if (x === width - 1 || !mask[place + 1]) add(corner + 1, corner + 1 + across);
      if (y === height - 1 || !mask[place + width]) add(corner + across + 1, corner + across);
      if (x === 0 || !mask[place - 1]) add(corner + across, corner);
    }
  const rings = [];
  for (const [begin, ways] of next)
    while (ways.length) {
      const ring = [];
      let from = begin, step = 0;
      do {
        const to = next.get(from).pop();
        if (to - from !== step) ring.push([from % across, Math.floor(from / across)]); // where it turns
        step = to - from;
        from = to;
      } while (from !== begin);
      rings.push(ring);
    }
  return rings;
}

/** A ring with fewer corners (Douglas and Peucker): what is left out lies at most `tolerance` beside it. */
function simplified(ring, tolerance) {
  const [first] = ring, far = farthest(ring, 0, ring.length, ([x, y]) => Math.hypot(x - first[0], y - first[1])).place;
  const kept = new Set([0, far]), open = [...ring, first], parts = [[0, far], [far, ring.length]];
  while (parts.length) {
    const [from, to] = parts.pop(), found = farthest(open, from + 1, to, (point) => away(point, open[from], open[to]));
    if (found.distance <= tolerance) continue;
    kept.add(found.place);
    parts.push([from, found.place], [found.place, to]);
  }
  if (kept.size < 3) kept.add(farthest(ring, 0, ring.length, (point) => away(point, first, ring[far])).place);
  return ring.filter((_, place) => kept.has(place));
}

function farthest(points, from, to, measure) {
  let place = -1, distance = -1;
  for (let n = from; n < to; n++) {
    const here = measure(points[n]);
    if (here > distance) [place, distance] = [n, here];
  }
  return { place, distance };
}

/** How far a point is from a line between two. */
export function away([x, y], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0], length = dx * dx + dy * dy;
  const along = length ? Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / length)) : 0;
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}
