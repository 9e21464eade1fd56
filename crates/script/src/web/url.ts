/** `URL` and `URLSearchParams`. */

import { platform } from "pipehat:host";

const changed = Symbol("changed");
const reset = Symbol("reset");

function decode(text: string): string {
  const bytes: number[] = [];
  const plain = platform.utf8Encode(text.replaceAll("+", " "));
  for (let at = 0; at < plain.length; at++) {
    const hex = plain[at] === 0x25 && at + 2 < plain.length + 0 ? String.fromCharCode(plain[at + 1], plain[at + 2]) : "";
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(parseInt(hex, 16));
      at += 2;
    } else bytes.push(plain[at]);
  }
  return platform.utf8Decode(new Uint8Array(bytes), false) ?? "";
}

function encode(text: string): string {
  const escaped = encodeURIComponent(text.toWellFormed());
  return escaped.replaceAll("%20", "+").replace(/[!'()~]/g, (it) => "%" + it.charCodeAt(0).toString(16).toUpperCase());
}

export class URLSearchParams {
  #pairs: [string, string][] = [];
  [changed]: ((text: string) => void) | undefined = undefined;

  constructor(given: any = "") {
    Object.defineProperty(this, changed, { enumerable: false });
    if (typeof given === "object" && given !== null) {
      if (typeof given[Symbol.iterator] === "function") {
        for (const pair of given) {
          const [name, value, ...more] = pair;
          if (value === undefined || more.length > 0) throw new TypeError("pairs of name and value are wanted");
          this.#pairs.push([String(name), String(value)]);
        }
      } else for (const name of Object.keys(given)) this.#pairs.push([name, String(given[name])]);
    } else this[reset](String(given));
  }

  [reset](text: string): void {
    this.#pairs = [];
    for (const part of (text.startsWith("?") ? text.slice(1) : text).split("&")) {
      if (part === "") continue;
      const at = part.indexOf("=");
      const [name, value] = at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
      this.#pairs.push([decode(name), decode(value)]);
    }
  }

  #tell(): void { this[changed]?.(this.toString()); }

  get size(): number { return this.#pairs.length; }

  append(name: unknown, value: unknown): void {
    this.#pairs.push([String(name), String(value)]);
    this.#tell();
  }

  delete(name: unknown, value?: unknown): void {
    this.#pairs = this.#pairs.filter((it) => it[0] !== String(name) || (value !== undefined && it[1] !== String(value)));
    this.#tell();
  }

  get(name: unknown): string | null { return this.#pairs.find((it) => it[0] === String(name))?.[1] ?? null; }

  getAll(name: unknown): string[] { return this.#pairs.filter((it) => it[0] === String(name)).map((it) => it[1]); }

  has(name: unknown, value?: unknown): boolean {
    return this.#pairs.some((it) => it[0] === String(name) && (value === undefined || it[1] === String(value)));
  }

  set(name: unknown, value: unknown): void {
    const first = this.#pairs.find((it) => it[0] === String(name));
    if (first === undefined) this.#pairs.push([String(name), String(value)]);
    else {
      this.#pairs = this.#pairs.filter((it) => it === first || it[0] !== String(name));
      first[1] = String(value);
    }
    this.#tell();
  }

  sort(): void {
    this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#tell();
  }

  forEach(call: (value: string, name: string, of: URLSearchParams) => void, self?: unknown): void {
    for (const [name, value] of this.#pairs) call.call(self, value, name, this);
  }

  *entries(): IterableIterator<[string, string]> { for (const [name, value] of this.#pairs) yield [name, value]; }
  *keys(): IterableIterator<string> { for (const pair of this.#pairs) yield pair[0]; }
  *values(): IterableIterator<string> { for (const pair of this.#pairs) yield pair[1]; }
  [Symbol.iterator](): IterableIterator<[string, string]> { return this.entries(); }
  toString(): string { return this.#pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&"); }
}

export class URL {
  #parts: string[];
  #query: URLSearchParams | undefined = undefined;

  constructor(text: unknown, base?: unknown) {
    const parts = platform.parseUrl(String(text).toWellFormed(), base === undefined ? undefined : String(base).toWellFormed());
    if (parts === undefined) throw new TypeError("it is not a URL");
    this.#parts = parts;
  }

  static canParse(text: unknown, base?: unknown): boolean { return URL.parse(text, base) !== null; }

  static parse(text: unknown, base?: unknown): URL | null {
    try {
      return new URL(text, base);
    } catch {
      return null;
    }
  }

  #change(part: string, value: unknown): void {
    this.#parts = platform.changeUrl(this.#parts[0], part, String(value).toWellFormed()) ?? this.#parts;
    if (part !== "hash") this.#query?.[reset](this.search);
  }

  get href(): string { return this.#parts[0]; }
  set href(value: string) {
    const parts = platform.parseUrl(String(value), undefined);
    if (parts === undefined) throw new TypeError("it is not a URL");
    this.#parts = parts;
    this.#query?.[reset](this.search);
  }
  get protocol(): string { return this.#parts[1]; }
  set protocol(value: string) { this.#change("protocol", value); }
  get username(): string { return this.#parts[2]; }
  set username(value: string) { this.#change("username", value); }
  get password(): string { return this.#parts[3]; }
  set password(value: string) { this.#change("password", value); }
  get hostname(): string { return this.#parts[4]; }
  set hostname(value: string) { this.#change("hostname", value); }
  get port(): string { return this.#parts[5]; }
  set port(value: string) { this.#change("port", value); }
  get host(): string { return this.port === "" ? this.hostname : `${this.hostname}:${this.port}`; }
  set host(value: string) {
    const [, name, port] = /^(.*?)(?::(\d*))?$/.exec(String(value)) ?? [];
    this.#change("hostname", name);
    if (port) this.#change("port", port);
  }
  get pathname(): string { return this.#parts[6]; }
  set pathname(value: string) { this.#change("pathname", value); }
  get search(): string { return this.#parts[7]; }
  set search(value: string) { this.#change("search", value); }
  get hash(): string { return this.#parts[8]; }
  set hash(value: string) { this.#change("hash", value); }
  get origin(): string { return this.#parts[9]; }
  get searchParams(): URLSearchParams {
    if (this.#query === undefined) {
      this.#query = new URLSearchParams(this.search);
      this.#query[changed] = (text) => {
        this.#parts = platform.changeUrl(this.#parts[0], "search", text) ?? this.#parts;
      };
    }
    return this.#query;
  }
  toString(): string { return this.href; }
  toJSON(): string { return this.href; }
}
