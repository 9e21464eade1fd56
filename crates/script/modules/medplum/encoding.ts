/** Base64, hexadecimal digits, and URLs. */

type Bytes = ArrayBufferLike | ArrayBufferView;

function bytesOf(bytes: Bytes): Uint8Array {
  return ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
}

/** Bytes of one call of `String.fromCharCode`. */
const PIECE = 8_192;

export function arrayBufferToBase64(bytes: Bytes): string {
  const all = bytesOf(bytes);
  let binary = "";
  for (let at = 0; at < all.length; at += PIECE) {
    binary += String.fromCharCode(...all.subarray(at, at + PIECE));
  }
  return btoa(binary);
}

export function arrayBufferToHex(bytes: Bytes): string {
  return Array.from(bytesOf(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A text's UTF-8 as base64. */
export function encodeBase64(text: string): string {
  return arrayBufferToBase64(new TextEncoder().encode(text));
}

/** The text whose UTF-8 this is. */
export function decodeBase64(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
}

export function encodeBase64Url(text: string): string {
  return encodeBase64(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function decodeBase64Url(base64: string): string {
  const plain = base64.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
}

/** The SHA-256 of a text's UTF-8. */
export function encryptSHA256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

export function ensureTrailingSlash(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}

export function ensureNoLeadingSlash(url: string): string {
  return url.startsWith("/") ? url.slice(1) : url;
}

/** A path below a base; an address of its own stays as it is. */
export function concatUrls(base: string | URL, path: string): string {
  return new URL(ensureNoLeadingSlash(path), ensureTrailingSlash(String(base))).toString();
}

/** What a search may be given as. */
export type QueryTypes =
  | URLSearchParams
  | string[][]
  | Record<string, string | number | boolean | undefined>
  | string
  | undefined;

/** The query of a URL. */
export function getQueryString(query: QueryTypes): string {
  if (query === undefined) {
    return "";
  }
  if (typeof query === "string" || Array.isArray(query) || query instanceof URLSearchParams) {
    return new URLSearchParams(query as string).toString();
  }
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
