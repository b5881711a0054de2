// The four functions of an exported model by onnxruntime-web, and one object that is followed by them.
import * as ort from "./ort/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;

const MEAN = [0.485, 0.456, 0.406], STD = [0.229, 0.224, 0.225];
const POINTERS = 15, HIGHEST = 32, ABSENT = -1024;

const floats = (data, ...dims) => new ort.Tensor("float32", data, dims);
const integers = (data, ...dims) => new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims);
const truths = (data, ...dims) => new ort.Tensor("bool", Uint8Array.from(data), dims);

function joined(arrays) {
  const all = new Float32Array(arrays.reduce((sum, each) => sum + each.length, 0));
  arrays.reduce((at, each) => (all.set(each, at), at + each.length), 0);
  return all;
}

// A square map at `scale` times its side, bilinear.
export function enlarged(map, side, scale) {
  const wide = side * scale, answer = new Float32Array(wide * wide), places = [];
  for (let i = 0; i < wide; i++) {
    const at = Math.min(Math.max((i + 0.5) / scale - 0.5, 0), side - 1), low = Math.floor(at);
    places.push([low, Math.min(low + 1, side - 1), at - low]);
  }
  places.forEach(([top, bottom, down], y) => places.forEach(([left, right, across], x) => {
    const upper = map[top * side + left] * (1 - across) + map[top * side + right] * across;
    const lower = map[bottom * side + left] * (1 - across) + map[bottom * side + right] * across;
    answer[y * wide + x] = upper * (1 - down) + lower * down;
  }));
  return answer;
}

export class Tracker {
  // Opens a folder that `masklet export` wrote.
  static async open(folder) {
    const tracker = new Tracker();
    tracker.model = await (await fetch(`${folder}/model.json`)).json();
    tracker.side = tracker.model.config.image_size;
    tracker.graphs = {};
    for (const name of Object.keys(tracker.model.files)) {
      tracker.graphs[name] = await ort.InferenceSession.create(`${folder}/${name}.onnx`);
    }
    tracker.clear();
    return tracker;
  }

  clear() {
    this.known = new Map(); // frame -> {memory, pointer, logits, presence}
    this.prompted = null;
  }

  // Pixels of the square, RGBA, as features.
  async encode(pixels) {
    const area = this.side ** 2, images = new Float32Array(3 * area);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) images[c * area + i] = (pixels[4 * i + c] / 255 - MEAN[c]) / STD[c];
    }
    return this.graphs.encode_image.run({ images: floats(images, 1, 3, this.side, this.side) });
  }

  // The logits of the object that clicks [{x, y, label}], in pixels of the square, mean in a frame.
  async click(frame, pixels, clicks) {
    this.clear();
    this.prompted = frame;
    const levels = await this.encode(pixels), width = this.model.config.width, { nothing } = this.model.constants;
    const features = levels.stride16.data.slice(), cells = features.length / width;
    for (let i = 0; i < features.length; i++) features[i] += nothing[Math.floor(i / cells)];
    return this.answer(frame, levels, floats(features, ...levels.stride16.dims), clicks);
  }

  // The logits of the object in the frame after the last one.
  async follow(frame, pixels) {
    const levels = await this.encode(pixels), config = this.model.config, seen = [], told = [];
    seen.push([this.prompted, config.memory_frames - 1]);
    told.push([this.prompted, frame - this.prompted]);
    for (let age = 1; age <= POINTERS; age++) {
      if (frame - age <= this.prompted) break;
      if (age < config.memory_frames) seen.push([frame - age, age - 1]);
      told.push([frame - age, age]);
    }
    const memory = this.known.get(this.prompted).memory;
    const { conditioned } = await this.graphs.attend_memory.run({
      features: levels.stride16,
      memories: floats(joined(seen.map(([f]) => this.known.get(f).memory.data)), 1, seen.length, ...memory.dims.slice(1)),
      slots: integers(seen.map(([, slot]) => slot), 1, seen.length),
      pointers: floats(joined(told.map(([f]) => this.known.get(f).pointer)), 1, told.length, config.width),
      ages: floats(Float32Array.from(told, ([, age]) => age / POINTERS), 1, told.length),
    });
    const before = this.known.get(frame - 1);
    return this.answer(frame, levels, conditioned, [], before.presence > 0 ? before.logits : null);
  }

  async answer(frame, levels, features, clicks, earlier = null) {
    const side = this.side / 4, area = side ** 2;
    const tokens = [...clicks, { x: 0, y: 0, label: -1 }, ...(clicks.length ? [] : [{ x: 0, y: 0, label: -1 }])];
    const mask = earlier ? earlier.map((v) => Math.min(Math.max(v, -HIGHEST), HIGHEST)) : new Float32Array(area);
    const found = await this.graphs.decode_masks.run({
      features, stride4: levels.stride4, stride8: levels.stride8,
      points: floats(Float32Array.from(tokens.flatMap(({ x, y }) => [x, y])), 1, tokens.length, 2),
      labels: integers(tokens.map(({ label }) => label), 1, tokens.length),
      keep: truths(tokens.map(() => 1), 1, tokens.length),
      masks: floats(mask, 1, 1, side, side), keep_masks: truths([earlier ? 1 : 0], 1),
    });
    const iou = found.iou.data, presence = found.presence.data[0];
    const best = clicks.length > 1 ? 0 : [1, 2, 3].reduce((one, other) => (iou[other] > iou[one] ? other : one));
    const width = this.model.config.width, absent = presence <= 0;
    const logits = absent ? new Float32Array(area).fill(ABSENT) : found.logits.data.slice(best * area, (best + 1) * area);
    const pointer = absent
      ? Float32Array.from(this.model.constants.absent_pointer)
      : found.pointers.data.slice(best * width, (best + 1) * width);
    const full = enlarged(logits, side, 4).map((v) => (clicks.length ? (v > 0 ? 10 : -10) : 20 / (1 + Math.exp(-v)) - 10));
    const { memory } = await this.graphs.encode_memory.run({
      features: levels.stride16, masks: floats(full, 1, 1, this.side, this.side), presence: found.presence,
    });
    this.known.set(frame, { memory, pointer, logits, presence });
    if (frame - POINTERS - 1 > this.prompted) this.known.delete(frame - POINTERS - 1);
    return logits;
  }
}
