/**
 * `Buffer` as programs for Node.js use it: a `Uint8Array` that reads and writes texts in several encodings, and numbers.
 *
 * What it does is what Node.js 20 does, its leniency among it: Base64 in either alphabet with whatever is no Base64 passed
 * over, hexadecimal up to what is none. Not here: pools (`allocUnsafe` gives zeros), `transcode`, `Blob`, `File`.
 */

export type BufferEncoding =
  | "utf8"
  | "utf-8"
  | "hex"
  | "base64"
  | "base64url"
  | "latin1"
  | "binary"
  | "ascii"
  | "utf16le"
  | "utf-16le"
  | "ucs2"
  | "ucs-2";

type Kind = "utf8" | "hex" | "base64" | "base64url" | "latin1" | "ascii" | "utf16le";

const KINDS: Record<string, Kind> = {
  utf8: "utf8",
  "utf-8": "utf8",
  hex: "hex",
  base64: "base64",
  base64url: "base64url",
  latin1: "latin1",
  binary: "latin1",
  ascii: "ascii",
  utf16le: "utf16le",
  "utf-16le": "utf16le",
  ucs2: "utf16le",
  "ucs-2": "utf16le",
};

function kindNamed(name: unknown): Kind | undefined {
  const known = String(name).toLowerCase();
  return Object.hasOwn(KINDS, known) ? KINDS[known] : undefined;
}

function kindOf(encoding: unknown): Kind {
  if (encoding === undefined || encoding === null || encoding === "") return "utf8";
  const kind = kindNamed(encoding);
  if (kind === undefined)
    throw failure(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(encoding)}`);
  return kind;
}

function failure(kind: new (text: string) => Error, code: string, text: string): Error {
  return Object.assign(new kind(text), { code });
}

/** What a value is, without what it holds. */
function sort(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const name = typeof value === "object" ? value.constructor?.name : undefined;
  return name ? `an instance of ${name}` : `type ${typeof value}`;
}

function wrongType(name: string, wanted: string, value: unknown): Error {
  const text = `The "${name}" argument must be ${wanted}. Received ${sort(value)}`;
  return failure(TypeError, "ERR_INVALID_ARG_TYPE", text);
}

function outOfRange(name: string, wanted: string): Error {
  return failure(
    RangeError,
    "ERR_OUT_OF_RANGE",
    `The value of "${name}" is out of range. It must be ${wanted}.`,
  );
}

// The methods as they are of `Uint8Array`: a `Buffer` has others by these names.
const plain = Uint8Array.prototype;

/** The bytes of a view as they are, in no class of ours. */
function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function base64Decoded(text: string): Uint8Array {
  try {
    return (Uint8Array as any).fromBase64(text);
  } catch {
    const end = text.indexOf("=");
    const whole = (end < 0 ? text : text.slice(0, end)).replaceAll("-", "+").replaceAll("_", "/");
    const clean = whole.replace(/[^A-Za-z0-9+/]/g, "");
    // A single character at the end holds no byte.
    const kept = clean.length % 4 === 1 ? clean.slice(0, -1) : clean;
    return (Uint8Array as any).fromBase64(kept);
  }
}

function hexDecoded(text: string): Uint8Array {
  const good = /^(?:[0-9A-Fa-f]{2})*/.exec(text)?.[0] ?? "";
  return (Uint8Array as any).fromHex(good);
}

function encoded(text: string, kind: Kind): Uint8Array {
  if (kind === "utf8") return new TextEncoder().encode(text);
  if (kind === "hex") return hexDecoded(text);
  if (kind === "base64" || kind === "base64url") return base64Decoded(text);
  if (kind === "utf16le") {
    const bytes = new Uint8Array(text.length * 2);
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      bytes[at * 2] = code & 0xff;
      bytes[at * 2 + 1] = code >> 8;
    }
    return bytes;
  }
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at) & 0xff;
  return bytes;
}

/** How many characters are made of numbers at once. */
const AT_ONCE = 4096;

function decoded(bytes: Uint8Array, kind: Kind): string {
  if (kind === "utf8") return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (kind === "hex") return (bytes as any).toHex();
  if (kind === "base64") return (bytes as any).toBase64();
  if (kind === "base64url") return (bytes as any).toBase64({ alphabet: "base64url", omitPadding: true });
  let text = "";
  if (kind === "utf16le") {
    const codes: number[] = [];
    for (let at = 0; at + 1 < bytes.length; at += 2) {
      codes.push(bytes[at]! | (bytes[at + 1]! << 8));
      if (codes.length === AT_ONCE) text += String.fromCharCode(...codes.splice(0));
    }
    return text + String.fromCharCode(...codes);
  }
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    const part = bytes.subarray(at, at + AT_ONCE);
    text += String.fromCharCode(...(kind === "ascii" ? part.map((byte) => byte & 0x7f) : part));
  }
  return text;
}

/** A place as Node.js takes it: cut to what is there; of what is no number, the other one. */
function place(given: unknown, length: number, otherwise: number): number {
  if (given === undefined) return otherwise;
  const at = Math.trunc(Number(given)) || 0;
  return at <= 0 ? 0 : Math.min(at, length);
}

function sizeOf(size: unknown): number {
  if (typeof size !== "number") throw wrongType("size", "of type number", size);
  if (!(size >= 0 && size <= kMaxLength)) throw outOfRange("size", `>= 0 && <= ${kMaxLength}`);
  return Math.trunc(size);
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return value instanceof ArrayBuffer;
}

function compared(one: Uint8Array, other: Uint8Array): -1 | 0 | 1 {
  const both = Math.min(one.length, other.length);
  for (let at = 0; at < both; at++) {
    if (one[at] !== other[at]) return one[at]! < other[at]! ? -1 : 1;
  }
  return one.length === other.length ? 0 : one.length < other.length ? -1 : 1;
}

/** The longest there can be, as Node.js says it; memory ends sooner. */
export const kMaxLength: number = 4294967296;

export const constants: { MAX_LENGTH: number; MAX_STRING_LENGTH: number } = {
  MAX_LENGTH: kMaxLength,
  MAX_STRING_LENGTH: 536870888,
};

/** What is looked for: bytes, or one of them. */
function wanted(value: unknown, encoding: unknown): Uint8Array {
  if (typeof value === "string") return encoded(value, kindOf(encoding));
  if (typeof value === "number") return new Uint8Array([value & 0xff]);
  if (isBytes(value)) return value;
  throw wrongType("value", "one of type number or string or an instance of Buffer or Uint8Array", value);
}

function found(within: Uint8Array, value: unknown, from: unknown, encoding: unknown, last: boolean): number {
  if (typeof from === "string") [from, encoding] = [undefined, from];
  const part = wanted(value, encoding);
  const end = within.length - part.length;
  let at = Number(from);
  if (Number.isNaN(at)) at = last ? within.length : 0;
  at = Math.trunc(at);
  if (at < 0) at += within.length;
  if (part.length === 0) return Math.max(0, Math.min(at, within.length));
  if (at < 0) {
    if (last) return -1;
    at = 0;
  }
  const step = last ? -1 : 1;
  for (at = last ? Math.min(at, end) : at; at >= 0 && at <= end; at += step) {
    let same = 0;
    while (same < part.length && within[at + same] === part[same]) same++;
    if (same === part.length) return at;
  }
  return -1;
}

export class Buffer extends Uint8Array {
  constructor(value: any, encodingOrOffset?: any, length?: number) {
    // `new Buffer("text")` and the like, as older programs have it.
    if (typeof value === "number") super(sizeOf(value));
    else if (isArrayBuffer(value)) super(value, encodingOrOffset, length);
    else super(contentOf(value, encodingOrOffset));
  }

  static override from(value: any, encodingOrOffset?: any, length?: any): Buffer {
    if (isArrayBuffer(value)) return new Buffer(value, encodingOrOffset, length);
    return viewOf(contentOf(value, encodingOrOffset));
  }

  static override of(...values: number[]): Buffer {
    return viewOf(new Uint8Array(values));
  }

  static alloc(size: number, fill?: unknown, encoding?: unknown): Buffer {
    const made = new Buffer(sizeOf(size));
    return fill === undefined || fill === 0 ? made : made.fill(fill as any, encoding as any);
  }

  static allocUnsafe(size: number): Buffer {
    return new Buffer(sizeOf(size));
  }

  static allocUnsafeSlow(size: number): Buffer {
    return new Buffer(sizeOf(size));
  }

  static concat(list: readonly Uint8Array[], totalLength?: number): Buffer {
    if (!Array.isArray(list)) throw wrongType("list", "an instance of Array", list);
    for (const [at, one] of list.entries()) {
      if (!isBytes(one)) throw wrongType(`list[${at}]`, "an instance of Buffer or Uint8Array", one);
    }
    const all = list.reduce((sum, one) => sum + one.length, 0);
    const made = new Buffer(totalLength === undefined ? all : sizeOf(totalLength));
    let at = 0;
    for (const one of list) {
      if (at >= made.length) break;
      const part = bytesOf(one).subarray(0, made.length - at);
      made.set(part, at);
      at += part.length;
    }
    return made;
  }

  static byteLength(value: unknown, encoding?: unknown): number {
    if (typeof value === "string") return encoded(value, kindNamed(encoding) ?? "utf8").length;
    if (isArrayBuffer(value) || ArrayBuffer.isView(value)) return value.byteLength;
    throw wrongType("string", "of type string or an instance of Buffer or ArrayBuffer", value);
  }

  static isBuffer(value: unknown): value is Buffer {
    return value instanceof Buffer;
  }

  static isEncoding(encoding: unknown): boolean {
    return typeof encoding === "string" && kindNamed(encoding) !== undefined;
  }

  static compare(one: Uint8Array, other: Uint8Array): -1 | 0 | 1 {
    if (!isBytes(one)) throw wrongType("buf1", "an instance of Buffer or Uint8Array", one);
    if (!isBytes(other)) throw wrongType("buf2", "an instance of Buffer or Uint8Array", other);
    return compared(one, other);
  }

  override toString(encoding?: unknown, start?: number, end?: number): string {
    const from = place(start, this.length, 0);
    const to = place(end, this.length, this.length);
    return to <= from ? "" : decoded(bytesOf(this).subarray(from, to), kindOf(encoding));
  }

  override toLocaleString(encoding?: unknown): string {
    return this.toString(encoding);
  }

  toJSON(): { type: "Buffer"; data: number[] } {
    return { type: "Buffer", data: [...this] };
  }

  equals(other: Uint8Array): boolean {
    if (!isBytes(other)) throw wrongType("otherBuffer", "an instance of Buffer or Uint8Array", other);
    return compared(this, other) === 0;
  }

  compare(
    target: Uint8Array,
    targetStart?: number,
    targetEnd?: number,
    sourceStart?: number,
    sourceEnd?: number,
  ): -1 | 0 | 1 {
    if (!isBytes(target)) throw wrongType("target", "an instance of Buffer or Uint8Array", target);
    const part = (bytes: Uint8Array, start: unknown, end: unknown): Uint8Array =>
      bytesOf(bytes).subarray(place(start, bytes.length, 0), place(end, bytes.length, bytes.length));
    return compared(part(this, sourceStart, sourceEnd), part(target, targetStart, targetEnd));
  }

  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number {
    if (!isBytes(target)) throw wrongType("target", "an instance of Buffer or Uint8Array", target);
    const at = place(targetStart, target.length, 0);
    const from = place(sourceStart, this.length, 0);
    const to = Math.min(place(sourceEnd, this.length, this.length), from + target.length - at);
    if (to <= from) return 0;
    target.set(bytesOf(this).subarray(from, to), at);
    return to - from;
  }

  // As in Node.js, and other than of `Uint8Array`: it shows the same memory.
  override slice(start?: number, end?: number): any {
    return this.subarray(start, end);
  }

  override subarray(start?: number, end?: number): any {
    const { buffer, byteOffset, length } = plain.subarray.call(bytesOf(this), start, end);
    return new Buffer(buffer, byteOffset, length);
  }

  write(text: string, offset?: any, length?: any, encoding?: unknown): number {
    if (typeof text !== "string") throw wrongType("string", "of type string", text);
    if (typeof offset === "string") [offset, length, encoding] = [undefined, undefined, offset];
    else if (typeof length === "string") [length, encoding] = [undefined, length];
    const at = offset === undefined ? 0 : offset;
    if (!(at >= 0 && at <= this.length)) throw outOfRange("offset", `>= 0 && <= ${this.length}`);
    const room = length === undefined ? this.length - at : Math.min(length, this.length - at);
    const kind = kindOf(encoding);
    const bytes = encoded(text, kind);
    let count = Math.min(bytes.length, room);
    // No part of a character.
    if (kind === "utf8") while (count > 0 && count < bytes.length && (bytes[count]! & 0xc0) === 0x80) count--;
    if (kind === "utf16le") count -= count % 2;
    this.set(bytes.subarray(0, count), at);
    return count;
  }

  override fill(value: any, offset?: any, end?: any, encoding?: unknown): this {
    if (typeof offset === "string") [offset, end, encoding] = [undefined, undefined, offset];
    else if (typeof end === "string") [end, encoding] = [undefined, end];
    const from = offset === undefined ? 0 : offset;
    const to = end === undefined ? this.length : end;
    if (!(from >= 0 && from <= this.length)) throw outOfRange("offset", `>= 0 && <= ${this.length}`);
    if (!(to >= 0 && to <= this.length)) throw outOfRange("end", `>= 0 && <= ${this.length}`);
    const part = typeof value === "string" || isBytes(value) ? wanted(value, encoding) : undefined;
    if (part === undefined || part.length < 2) {
      if (part?.length === 0 && isBytes(value)) {
        throw failure(TypeError, "ERR_INVALID_ARG_VALUE", "The argument 'value' is invalid: it is empty");
      }
      plain.fill.call(this, part === undefined ? Number(value) & 0xff : (part[0] ?? 0), from, to);
    } else {
      for (let at = from; at < to; at++) this[at] = part[(at - from) % part.length]!;
    }
    return this;
  }

  override indexOf(value: any, byteOffset?: any, encoding?: unknown): number {
    return found(this, value, byteOffset, encoding, false);
  }

  override lastIndexOf(value: any, byteOffset?: any, encoding?: unknown): number {
    return found(this, value, byteOffset, encoding, true);
  }

  override includes(value: any, byteOffset?: any, encoding?: unknown): boolean {
    return this.indexOf(value, byteOffset, encoding) >= 0;
  }
}

/** A `Buffer` of the same memory. */
function viewOf(bytes: Uint8Array): Buffer {
  return new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function contentOf(value: any, encoding: unknown): Uint8Array {
  if (typeof value === "string") return encoded(value, kindOf(encoding));
  if (typeof value === "object" && value !== null) {
    if (ArrayBuffer.isView(value) || Array.isArray(value)) return new Uint8Array(value as any);
    if (value.type === "Buffer" && Array.isArray(value.data)) return new Uint8Array(value.data);
    const inner = value.valueOf?.();
    if (inner !== undefined && inner !== null && inner !== value) return contentOf(inner, encoding);
    if (typeof value[Symbol.toPrimitive] === "function")
      return contentOf(value[Symbol.toPrimitive]("string"), encoding);
    if (typeof value.length === "number") return new Uint8Array(Array.from(value as ArrayLike<number>));
  }
  throw failure(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    "The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object. " +
      `Received ${sort(value)}`,
  );
}

function viewAt(bytes: Uint8Array, offset: unknown, size: number): [DataView, number] {
  const at = offset === undefined ? 0 : offset;
  if (typeof at !== "number") throw wrongType("offset", "of type number", at);
  if (!Number.isInteger(at)) throw outOfRange("offset", "an integer");
  if (size > bytes.length) {
    throw failure(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
  }
  if (at < 0 || at > bytes.length - size) throw outOfRange("offset", `>= 0 and <= ${bytes.length - size}`);
  return [new DataView(bytes.buffer, bytes.byteOffset + at, size), at];
}

/** What an integer of so many bits may be. */
function checked(value: any, bits: number, signed: boolean): void {
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  // Comparisons hold for numbers and for bigints.
  if (value < low || value > high) throw outOfRange("value", `>= ${low} and <= ${high}`);
}

function lengthOf(byteLength: unknown): number {
  if (typeof byteLength !== "number") throw wrongType("byteLength", "of type number", byteLength);
  if (!(Number.isInteger(byteLength) && byteLength >= 1 && byteLength <= 6))
    throw outOfRange("byteLength", ">= 1 and <= 6");
  return byteLength;
}

/** Methods that read and write numbers, by what a `DataView` calls them. */
function numbers(): Record<string, (this: Buffer, ...given: any[]) => unknown> {
  const methods: Record<string, (this: Buffer, ...given: any[]) => unknown> = {};
  const plainly: [string, string, number][] = [
    ["UInt8", "Uint8", 1],
    ["Int8", "Int8", 1],
    ["UInt16", "Uint16", 2],
    ["Int16", "Int16", 2],
    ["UInt32", "Uint32", 4],
    ["Int32", "Int32", 4],
    ["BigUInt64", "BigUint64", 8],
    ["BigInt64", "BigInt64", 8],
    ["Float", "Float32", 4],
    ["Double", "Float64", 8],
  ];
  for (const [name, own, size] of plainly) {
    for (const end of size === 1 ? [""] : ["LE", "BE"]) {
      const little = end === "LE";
      const read = function (this: Buffer, offset?: unknown): unknown {
        const [view] = viewAt(this, offset, size);
        return (view as any)[`get${own}`](0, little);
      };
      const write = function (this: Buffer, value: any, offset?: unknown): number {
        if (!own.startsWith("Float"))
          checked(value, size * 8, own.startsWith("Int") || own.startsWith("BigI"));
        const [view, at] = viewAt(this, offset, size);
        (view as any)[`set${own}`](0, own.startsWith("Big") ? value : Number(value), little);
        return at + size;
      };
      for (const spelled of [name, name.replace("UInt", "Uint")]) {
        methods[`read${spelled}${end}`] = read;
        methods[`write${spelled}${end}`] = write;
      }
    }
  }
  for (const name of ["UInt", "Int"]) {
    for (const end of ["LE", "BE"]) {
      const order = (size: number): number[] => {
        const places = Array.from({ length: size }, (_, at) => at);
        return end === "LE" ? places.reverse() : places;
      };
      const read = function (this: Buffer, offset: unknown, byteLength: unknown): number {
        const size = lengthOf(byteLength);
        const [view] = viewAt(this, offset, size);
        const value = order(size).reduce((sum, at) => sum * 256 + view.getUint8(at), 0);
        return name === "Int" && value >= 2 ** (size * 8 - 1) ? value - 2 ** (size * 8) : value;
      };
      const write = function (this: Buffer, value: any, offset: unknown, byteLength: unknown): number {
        const size = lengthOf(byteLength);
        checked(value, size * 8, name === "Int");
        const [view, at] = viewAt(this, offset, size);
        let rest = Math.trunc(Number(value));
        if (rest < 0) rest += 2 ** (size * 8);
        for (const to of order(size).reverse()) {
          view.setUint8(to, rest % 256);
          rest = Math.floor(rest / 256);
        }
        return at + size;
      };
      for (const spelled of [name, name.replace("UInt", "Uint")]) {
        methods[`read${spelled}${end}`] = read;
        methods[`write${spelled}${end}`] = write;
      }
    }
  }
  return methods;
}

for (const [name, value] of Object.entries(numbers())) {
  Object.defineProperty(Buffer.prototype, name, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

const ofTheWeb = { atob: globalThis.atob, btoa: globalThis.btoa };
export const atob: (text: string) => string = ofTheWeb.atob;
export const btoa: (text: string) => string = ofTheWeb.btoa;

const all: Record<string, unknown> = { Buffer, atob, btoa, constants, kMaxLength };
export default all;
