/** `TextEncoder` and `TextDecoder`: UTF-8, and Windows-1252 under its names (ISO 8859-1 is one of them on the web). */

import { platform } from "pipehat:host";

export function viewed(data: unknown): Uint8Array {
  if (data === undefined) return new Uint8Array(0);
  // A class of its own may have methods of its own: `slice` of a `Buffer` copies nothing.
  if (data instanceof Uint8Array && Object.getPrototypeOf(data) === Uint8Array.prototype) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError("an ArrayBuffer or a view of one is wanted");
}

export class TextEncoder {
  get encoding(): string { return "utf-8"; }

  encode(text: unknown = ""): Uint8Array { return platform.utf8Encode(String(text)); }

  encodeInto(text: string, into: Uint8Array): { read: number; written: number } {
    let read = 0;
    let written = 0;
    for (const character of String(text)) {
      const bytes = platform.utf8Encode(character);
      if (written + bytes.length > into.length) break;
      into.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

const UTF_8 = ["unicode-1-1-utf-8", "unicode11utf8", "utf-8", "utf8", "x-unicode20utf8"];
const WINDOWS_1252 = [
  "ascii", "cp1252", "iso-8859-1", "iso8859-1", "iso88591", "iso_8859-1", "l1", "latin1", "us-ascii", "windows-1252", "x-cp1252",
];
/** What 0x80 to 0x9F are. */
const HIGH =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

/** How many bytes at the end begin a character that is not complete. */
function incomplete(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? back : 0;
    }
    if (byte < 0x80) return 0;
  }
  return 0;
}

export class TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  #rest = new Uint8Array(0);
  #begun = false;

  constructor(label: unknown = "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    const name = String(label).trim().toLowerCase();
    if (UTF_8.includes(name)) this.encoding = "utf-8";
    else if (WINDOWS_1252.includes(name)) this.encoding = "windows-1252";
    else throw new RangeError(`the encoding '${name}' is not supported: utf-8 and windows-1252 are`);
    this.fatal = Boolean(options?.fatal);
    this.ignoreBOM = Boolean(options?.ignoreBOM);
  }

  decode(data?: unknown, options: { stream?: boolean } = {}): string {
    let bytes = viewed(data);
    if (this.encoding === "windows-1252") {
      let text = "";
      for (const byte of bytes) text += byte >= 0x80 && byte <= 0x9f ? HIGH[byte - 0x80] : String.fromCharCode(byte);
      return text;
    }
    if (this.#rest.length > 0) {
      const joined = new Uint8Array(this.#rest.length + bytes.length);
      joined.set(this.#rest);
      joined.set(bytes, this.#rest.length);
      bytes = joined;
    }
    const left = options?.stream ? incomplete(bytes) : 0;
    this.#rest = bytes.slice(bytes.length - left);
    let text = platform.utf8Decode(bytes.subarray(0, bytes.length - left), this.fatal);
    if (text === undefined) {
      this.#rest = new Uint8Array(0);
      this.#begun = false;
      throw new TypeError("it is not UTF-8");
    }
    if (!this.#begun && !this.ignoreBOM && text.startsWith("\ufeff")) text = text.slice(1);
    this.#begun = Boolean(options?.stream) && (this.#begun || text.length > 0);
    return text;
  }
}
