/** Randomness of the host, digests and HMAC. */

import { platform } from "pipehat:host";
import { viewed } from "./encoding";

export const random = (): number => platform.randomNumber();

const DIGESTS = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

function digestName(algorithm: any): string {
  const name = String(typeof algorithm === "object" ? algorithm?.name : algorithm).toUpperCase();
  if (DIGESTS.includes(name)) return name;
  throw new DOMException(`${name} is not supported: ${DIGESTS.join(", ")} are`, "NotSupportedError");
}

function hmacOnly(algorithm: any): void {
  const name = String(typeof algorithm === "object" ? algorithm?.name : algorithm).toUpperCase();
  if (name !== "HMAC") throw new DOMException(`${name} is not supported: HMAC is`, "NotSupportedError");
}

function copied(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

const keys = Symbol("key");

export class CryptoKey {
  readonly type = "secret";
  readonly extractable: boolean;
  readonly algorithm: { name: string; hash: { name: string }; length: number };
  readonly usages: string[];
  [keys]: Uint8Array;

  constructor(token: unknown, bytes: Uint8Array, hash: string, extractable: boolean, usages: string[]) {
    if (token !== keys) throw new TypeError("Illegal constructor");
    this[keys] = bytes;
    Object.defineProperty(this, keys, { enumerable: false });
    this.extractable = extractable;
    this.algorithm = { name: "HMAC", hash: { name: hash }, length: bytes.length * 8 };
    this.usages = usages;
  }
}

function used(key: any, usage: string): CryptoKey {
  if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is wanted");
  if (!key.usages.includes(usage)) throw new DOMException(`the key is not for '${usage}'`, "InvalidAccessError");
  return key;
}

export class SubtleCrypto {
  async digest(algorithm: any, data: unknown): Promise<ArrayBuffer> {
    return copied(platform.digest(digestName(algorithm), viewed(data)));
  }

  async importKey(format: string, data: any, algorithm: any, extractable: boolean, usages: string[]): Promise<CryptoKey> {
    hmacOnly(algorithm);
    const hash = digestName(algorithm.hash);
    let bytes: Uint8Array;
    if (format === "raw") bytes = viewed(data).slice();
    else if (format === "jwk" && data?.kty === "oct") bytes = (Uint8Array as any).fromBase64(data.k, { alphabet: "base64url" });
    else throw new DOMException(`the format '${format}' is not supported: raw and jwk are`, "NotSupportedError");
    if (bytes.length === 0) throw new DOMException("the key is empty", "DataError");
    return new CryptoKey(keys, bytes, hash, Boolean(extractable), [...usages]);
  }

  async exportKey(format: string, key: CryptoKey): Promise<unknown> {
    if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is wanted");
    if (!key.extractable) throw new DOMException("the key is not extractable", "InvalidAccessError");
    if (format === "raw") return copied(key[keys]);
    if (format !== "jwk") throw new DOMException(`the format '${format}' is not supported`, "NotSupportedError");
    const k = (key[keys] as any).toBase64({ alphabet: "base64url", omitPadding: true });
    return { kty: "oct", k, alg: key.algorithm.hash.name.replace("SHA-", "HS"), ext: true, key_ops: key.usages };
  }

  async generateKey(algorithm: any, extractable: boolean, usages: string[]): Promise<CryptoKey> {
    hmacOnly(algorithm);
    const hash = digestName(algorithm.hash);
    const length = algorithm.length === undefined ? (hash === "SHA-1" || hash === "SHA-256" ? 512 : 1024) : algorithm.length;
    return new CryptoKey(keys, platform.random(Math.ceil(length / 8)), hash, Boolean(extractable), [...usages]);
  }

  async sign(algorithm: any, key: CryptoKey, data: unknown): Promise<ArrayBuffer> {
    hmacOnly(algorithm);
    const { algorithm: own, [keys]: bytes } = used(key, "sign");
    return copied(platform.sign(own.hash.name, bytes, viewed(data)));
  }

  async verify(algorithm: any, key: CryptoKey, signature: unknown, data: unknown): Promise<boolean> {
    hmacOnly(algorithm);
    const { algorithm: own, [keys]: bytes } = used(key, "verify");
    return platform.verify(own.hash.name, bytes, viewed(signature), viewed(data));
  }
}

export class Crypto {
  readonly subtle = new SubtleCrypto();

  getRandomValues<T extends ArrayBufferView>(into: T): T {
    const kind = Object.prototype.toString.call(into);
    if (!ArrayBuffer.isView(into) || kind.includes("Float") || kind.includes("DataView")) throw new DOMException("an array of integers is wanted", "TypeMismatchError");
    if (into.byteLength > 65_536) throw new DOMException("more than 65536 bytes at once", "QuotaExceededError");
    viewed(into).set(platform.random(into.byteLength));
    return into;
  }

  randomUUID(): string {
    const bytes = platform.random(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const text = (bytes as any).toHex();
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
  }
}

export const crypto = new Crypto();
