/** `fetch`, `Headers`, `Request` and `Response`. Bodies are whole: there are no streams. */

import { begin, giveUp, platform } from "pipehat:host";
import { askedBy, asker } from "../pipehat/asking";
import { AbortSignal } from "./abort";
import { viewed } from "./encoding";
import { URL, URLSearchParams } from "./url";

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export class Headers {
  #pairs: [string, string][] = [];

  constructor(given?: any) {
    if (given === undefined || given === null) return;
    if (typeof given[Symbol.iterator] === "function") for (const [name, value] of given) this.append(name, value);
    else for (const name of Object.keys(given)) this.append(name, given[name]);
  }

  #name(name: unknown): string {
    if (!NAME.test(String(name))) throw new TypeError("it is not the name of a header");
    return String(name).toLowerCase();
  }

  #value(value: unknown): string {
    const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
    if (/[\0\n\r]/.test(text)) throw new TypeError("it is not the value of a header");
    return text;
  }

  append(name: unknown, value: unknown): void { this.#pairs.push([this.#name(name), this.#value(value)]); }

  delete(name: unknown): void {
    const wanted = this.#name(name);
    this.#pairs = this.#pairs.filter((it) => it[0] !== wanted);
  }

  get(name: unknown): string | null {
    const wanted = this.#name(name);
    const found = this.#pairs.filter((it) => it[0] === wanted).map((it) => it[1]);
    return found.length === 0 ? null : found.join(", ");
  }

  getSetCookie(): string[] { return this.#pairs.filter((it) => it[0] === "set-cookie").map((it) => it[1]); }
  has(name: unknown): boolean { return this.get(name) !== null; }

  set(name: unknown, value: unknown): void {
    this.delete(name);
    this.append(name, value);
  }

  forEach(call: (value: string, name: string, of: Headers) => void, self?: unknown): void {
    for (const [name, value] of this) call.call(self, value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    const names = [...new Set(this.#pairs.map((it) => it[0]))].sort();
    for (const name of names) {
      if (name === "set-cookie") for (const value of this.getSetCookie()) yield [name, value];
      else yield [name, this.get(name) as string];
    }
  }
  *keys(): IterableIterator<string> { for (const pair of this.entries()) yield pair[0]; }
  *values(): IterableIterator<string> { for (const pair of this.entries()) yield pair[1]; }
  [Symbol.iterator](): IterableIterator<[string, string]> { return this.entries(); }
}

/** The bytes of a body, and the content type that goes with it. */
function body(given: any): [Uint8Array | undefined, string | undefined] {
  if (given === undefined || given === null) return [undefined, undefined];
  if (given instanceof URLSearchParams) {
    return [platform.utf8Encode(given.toString()), "application/x-www-form-urlencoded;charset=UTF-8"];
  }
  if (given instanceof ArrayBuffer || ArrayBuffer.isView(given)) return [viewed(given).slice(), undefined];
  return [platform.utf8Encode(String(given)), "text/plain;charset=UTF-8"];
}

const content = Symbol("content");

class Body {
  bodyUsed = false;
  declare [content]: Uint8Array | undefined;

  constructor(bytes: Uint8Array | undefined) {
    Object.defineProperty(this, content, { value: bytes, writable: true, enumerable: false });
  }

  /** There are no streams. */
  get body(): null { return null; }

  #take(): Uint8Array {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    this.bodyUsed = this[content] !== undefined;
    return this[content] ?? new Uint8Array(0);
  }

  async arrayBuffer(): Promise<ArrayBuffer> { return this.#take().slice().buffer as ArrayBuffer; }
  async bytes(): Promise<Uint8Array> { return this.#take().slice(); }
  async text(): Promise<string> {
    const text = platform.utf8Decode(this.#take(), false) ?? "";
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  }
  async json(): Promise<any> { return JSON.parse(await this.text()); }
}

const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

export class Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly redirect: string;

  constructor(given: any, options: any = {}) {
    const from = given instanceof Request ? given : undefined;
    const [bytes, type] = options.body === undefined ? [from?.[content], undefined] : body(options.body);
    super(bytes);
    const url = new URL(from?.url ?? String(given));
    if (url.username !== "" || url.password !== "") throw new TypeError("a URL with a password in it is not fetched: send a header");
    url.hash = "";
    this.url = url.href;
    const method = String(options.method ?? from?.method ?? "GET");
    this.method = METHODS.includes(method.toUpperCase()) ? method.toUpperCase() : method;
    if (!NAME.test(method) || ["CONNECT", "TRACE", "TRACK"].includes(method.toUpperCase())) throw new TypeError("the method is not allowed");
    if (bytes !== undefined && (this.method === "GET" || this.method === "HEAD")) throw new TypeError(`${this.method} has no body`);
    this.headers = new Headers(options.headers ?? from?.headers);
    if (type !== undefined && !this.headers.has("content-type")) this.headers.set("content-type", type);
    this.signal = options.signal ?? from?.signal ?? new AbortSignal();
    this.redirect = options.redirect ?? from?.redirect ?? "follow";
  }

  clone(): Request { return new Request(this); }
}

export class Response extends Body {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string = "";
  readonly type: string = "default";
  readonly redirected: boolean = false;

  constructor(given?: any, options: any = {}) {
    const [bytes, type] = body(given);
    super(bytes);
    this.status = options?.status ?? 200;
    if (!(this.status >= 200 && this.status <= 599)) throw new RangeError("the status is not of 200 to 599");
    this.statusText = String(options?.statusText ?? "");
    this.headers = new Headers(options?.headers);
    if (type !== undefined && !this.headers.has("content-type")) this.headers.set("content-type", type);
  }

  get ok(): boolean { return this.status >= 200 && this.status <= 299; }

  clone(): Response {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    const copy = new Response(this[content], this);
    Object.defineProperty(copy, "url", { value: this.url, enumerable: true });
    return copy;
  }

  static json(value: unknown, options: any = {}): Response {
    const headers = new Headers(options?.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(JSON.stringify(value), { ...options, headers });
  }

  static error(): Response {
    const response = new Response();
    for (const [name, value] of [["status", 0], ["type", "error"]]) Object.defineProperty(response, name as string, { value, enumerable: true });
    return response;
  }
}

export async function fetch(given: any, options?: any): Promise<Response> {
  const request = new Request(given, options);
  const { signal } = request;
  signal.throwIfAborted();
  const by = asker();
  const asked = begin(
    {
      ask: "fetch",
      method: request.method,
      url: request.url,
      headers: [...request.headers],
      body: request[content],
    },
    "bytes",
  );
  let stop = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => {
      giveUp(asked.number);
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
  const answered = asked.answer.catch((error: unknown) => { throw askedBy(error, by); });
  const answer = await Promise.race([answered, stopped]).finally(() => signal.removeEventListener("abort", stop));
  const bare = [101, 204, 205, 304].includes(answer.status);
  const status = answer.status >= 200 && answer.status <= 599 ? answer.status : 502;
  const response = new Response(bare ? undefined : answer.bytes, { status, headers: answer.headers });
  Object.defineProperty(response, "url", { value: request.url, enumerable: true });
  return response;
}
