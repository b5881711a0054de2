// What browsers have and older TypeScript does not know.
declare class DecompressionStream {
  constructor(format: string);
  readable: ReadableStream;
  writable: WritableStream;
}
interface RequestInit {
  priority?: string;
}
