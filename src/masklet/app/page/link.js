// The WebSocket of a video: what is asked is answered once, also over a lost connection.

import { kept } from "./dom.js";

const FIRST_WAIT = 500, LONGEST_WAIT = 8000;
const mine = Math.random().toString(36).slice(2, 10);

export class Link {
  /** `hear(message)` gets every JSON message, `see(head, packed)` every one with masks. */
  constructor(path, { hear, see, connected }) {
    this.address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
    this.hear = hear;
    this.see = see;
    this.connected = connected;
    this.waiting = new Map(); // req -> {message, done, fail}, sent and not answered
    this.count = 0;
    this.wait = FIRST_WAIT;
    this.open();
  }

  open() {
    this.socket = new WebSocket(this.address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.send({ type: "hello", version: 1, who: kept.get("who", "") });
      for (const { message } of this.waiting.values()) this.send(message);
      this.wait = FIRST_WAIT;
      this.connected(true);
    };
    this.socket.onmessage = ({ data }) => typeof data === "string" ? this.take(JSON.parse(data)) : this.takeMasks(data);
    this.socket.onclose = () => {
      this.connected(false);
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
    };
  }

  /** Say something to which no answer is waited for; nothing happens while there is no connection. */
  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Have something done. Resolves when it is on the server's disk, rejects with the server's sentence. */
  ask(message) {
    const req = `${mine}-${++this.count}`;
    const whole = { ...message, req };
    return new Promise((done, fail) => {
      this.waiting.set(req, { message: whole, done, fail });
      this.send(whole);
    });
  }

  take(message) {
    const asked = this.waiting.get(message.req);
    if (asked && (message.type === "done" || message.type === "refused")) {
      this.waiting.delete(message.req);
      if (message.type === "done") asked.done(message); else asked.fail(new Error(message.sentence));
    } else this.hear(message);
  }

  takeMasks(data) {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const packed = new Uint8Array(data, 4 + length);
    const asked = this.waiting.get(head.req);
    if (asked) {
      this.waiting.delete(head.req);
      asked.done({ head, packed });
    } else this.see(head, packed);
  }
}
