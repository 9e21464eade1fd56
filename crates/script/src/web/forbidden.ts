/**
 * What a sandbox must not have: code from text, memory that is shared, what tells when garbage is collected, and
 * hooks that stay. And limits for functions that compute for a long time without ever calling back, in which
 * the engine does not look at the clock.
 */

import { platform } from "pipehat:host";

/** More elements than a run's memory holds; only arrays with holes and objects that pretend have more. */
const LENGTH_MAX = 16_777_216;

function refuse(): never {
  throw new TypeError("code cannot be made from text here: there is no eval and no Function constructor");
}

/** A constructor that refuses, in the place of one by which every function leads to it. */
function closed(name: string, prototype: object): unknown {
  const constructor = { [name]: function () { refuse(); } }[name];
  Object.defineProperty(constructor, "prototype", { value: prototype, writable: false });
  Object.defineProperty(prototype, "constructor", {
    value: constructor,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  return constructor;
}

function replace(object: any, name: PropertyKey, wrap: (original: any) => unknown): void {
  const original = object[name];
  if (typeof original !== "function") return;
  const value = wrap(original);
  Object.defineProperty(value, "name", { value: original.name, configurable: true });
  Object.defineProperty(value, "length", { value: original.length, configurable: true });
  Object.defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
}

export function forbidCode(): void {
  const global = globalThis as any;
  const kinds: [string, object][] = [
    ["AsyncFunction", Object.getPrototypeOf(async function () {})],
    ["GeneratorFunction", Object.getPrototypeOf(function* () {})],
    ["AsyncGeneratorFunction", Object.getPrototypeOf(async function* () {})],
  ];
  for (const [name, prototype] of kinds) closed(name, prototype);
  global.Function = closed("Function", Function.prototype);
  for (const name of ["eval", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry"]) delete global[name];
  for (const name of ["prepareStackTrace", "stackTraceLimit"]) delete (Error as any)[name];
  limitLoops();
  limitSearches();
  watchLongCalls();
  // ECMA-262 Annex B.2.4.1: it writes where freezing does not reach, into a pattern that stays from one message to the next.
  replace(RegExp.prototype, "compile", () => function compile() {
    throw new TypeError("a regular expression cannot be compiled anew here: make another one with new RegExp(…)");
  });
  replace(String, "raw", () => raw);
}

/** In the language itself: the engine's own goes on without end where it can write no more. */
function raw(template: any, ...given: unknown[]): string {
  const parts = template.raw;
  let text = "";
  for (let at = 0; at < parts.length; at++) {
    text += String(parts[at]);
    if (at < given.length && at + 1 < parts.length) text += String(given[at]);
  }
  return text;
}

function tooLong(): never {
  throw new RangeError("too many elements");
}

const { getOwnPropertyDescriptor } = Object;
const { isArray } = Array;
const { isView } = ArrayBuffer;

/** Refuses what has, or may pretend to have, more elements than there can be. */
function checkLength(it: any): void {
  if (isArray(it)) {
    if (it.length > LENGTH_MAX) tooLong();
    watch(it.length);
    return;
  }
  if (it === null || it === undefined || typeof it === "string" || isView(it)) return;
  const own = getOwnPropertyDescriptor(it, "length");
  if (own === undefined) {
    if (it.length !== undefined) tooLong();
    return;
  }
  // One that is computed may be another when it is asked for again.
  if (typeof own.value !== "number" || own.value > LENGTH_MAX) tooLong();
}

/** More than this are not sorted without calling back. */
const SORTED_MAX = 1_000;

/**
 * Functions of arrays that go over all indexes without calling anything. Those that search do look at the clock, and
 * those that make as many elements are stopped by the memory.
 */
function limitLoops(): void {
  const array = Array.prototype as any;
  for (const name of ["join", "reverse", "slice"]) {
    replace(array, name, (original) => ({
      [name](this: unknown, from: unknown, to: unknown) {
        checkLength(this);
        return original.call(this, from, to);
      },
    })[name]);
  }
  for (const name of ["copyWithin", "fill", "shift", "splice", "unshift"]) {
    replace(array, name, (original) => ({
      [name](this: unknown, ...given: unknown[]) {
        checkLength(this);
        return original.apply(this, given);
      },
    })[name]);
  }
  replace(array, "concat", (original) => function concat(this: unknown, ...given: unknown[]) {
    if (typeof this === "object") checkLength(this);
    for (const it of given) if (typeof it === "object") checkLength(it);
    return original.apply(this, given);
  });
  for (const name of ["sort", "toSorted"]) {
    replace(array, name, (original) => ({
      [name](this: any, compare: unknown) {
        checkLength(this);
        if (compare === undefined && this?.length > SORTED_MAX) return original.call(this, byText);
        return original.call(this, compare);
      },
    })[name]);
  }
  replace(array, "flat", () => function flat(this: any, depth: unknown = 1) {
    checkLength(this);
    return flattened(this, Math.trunc(Number(depth)) || 0, []);
  });
}

function byText(one: unknown, other: unknown): number {
  const [a, b] = [String(one), String(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function flattened(list: any, depth: number, into: unknown[]): unknown[] {
  for (let at = 0; at < list.length; at++) {
    if (!(at in list)) continue;
    if (depth > 0 && isArray(list[at])) flattened(list[at], depth - 1, into);
    else into.push(list[at]);
  }
  return into;
}

/** So many comparisons of characters the engine's own search may take, at some nanoseconds each: at worst the product of the lengths. */
const COMPARED = 4_000_000;

/** How much of the beginning of what is looked for finds where it may be; there it is compared as a whole. */
const HEAD = 64;

const indexWithin = String.prototype.indexOf;
const lastIndexWithin = String.prototype.lastIndexOf;
const sliceOf = String.prototype.slice;

function sliced(text: string, from: number, to?: number): string {
  return apply(sliceOf, text, [from, to]);
}

function isThere(text: string, part: string, at: number): boolean {
  if (part.length <= HEAD) return true;
  watch(part.length);
  return sliced(text, at, at + part.length) === part;
}

/** Where a part stands first from a place on, or -1: looked for piece by piece, and at the clock in between. */
function find(text: string, part: string, from: number): number {
  const head = sliced(part, 0, HEAD);
  const last = text.length - part.length;
  const step = Math.ceil(COMPARED / head.length);
  for (let at = from; at <= last; ) {
    const piece = sliced(text, at, at + step + head.length - 1);
    platform.spend(Math.min(step, last - at + 1) * head.length);
    let found = apply(indexWithin, piece, [head]);
    while (found >= 0 && at + found <= last) {
      if (isThere(text, part, at + found)) return at + found;
      found = apply(indexWithin, piece, [head, found + 1]);
    }
    at += step;
  }
  return -1;
}

/** Where it stands last, up to a place. */
function findLast(text: string, part: string, to: number): number {
  const head = sliced(part, 0, HEAD);
  const step = Math.ceil(COMPARED / head.length);
  for (let end = Math.min(to, text.length - part.length); end >= 0; ) {
    const start = Math.max(0, end - step + 1);
    const piece = sliced(text, start, end + head.length);
    platform.spend((end - start + 1) * head.length);
    let found = apply(lastIndexWithin, piece, [head]);
    while (found >= 0) {
      if (isThere(text, part, start + found)) return start + found;
      found = found === 0 ? -1 : apply(lastIndexWithin, piece, [head, found - 1]);
    }
    end = start - 1;
  }
  return -1;
}

/** What stands in the place of a part (ECMA-262 GetSubstitution: a string has no groups). */
function substitute(text: string, part: string, at: number, second: unknown): string {
  if (typeof second === "function") return String(second(part, at, text));
  const given = second as string;
  if (apply(indexWithin, given, ["$"]) < 0) return given;
  return given.replace(/\$[$&`']/g, (mark) =>
    mark === "$$" ? "$" : mark === "$&" ? part : mark === "$`" ? sliced(text, 0, at) : sliced(text, at + part.length));
}

function replaced(text: string, part: string, given: unknown, all: boolean): string {
  const second = typeof given === "function" ? given : String(given);
  let made = "";
  let from = 0;
  for (let at = find(text, part, 0); at >= 0; at = find(text, part, from)) {
    made += sliced(text, from, at) + substitute(text, part, at, second);
    from = at + part.length;
    if (!all) break;
  }
  return made + sliced(text, from);
}

function parted(text: string, part: string, limit: unknown): string[] {
  const most = limit === undefined ? 4_294_967_295 : Number(limit) >>> 0;
  const parts: string[] = [];
  let from = 0;
  for (let at = find(text, part, 0); at >= 0 && parts.length < most; at = find(text, part, from)) {
    parts.push(sliced(text, from, at));
    from = at + part.length;
  }
  if (parts.length < most) parts.push(sliced(text, from));
  return parts;
}

/** A place in a text, from what was given as one. */
function placed(given: unknown, length: number): number {
  return Math.min(Math.max(Math.trunc(Number(given)) || 0, 0), length);
}

/** The same in the language itself, where the engine's own would take long. */
const SEARCHES: Record<string, (text: string, part: string, second: unknown) => unknown> = {
  includes: (text, part, second) => find(text, part, placed(second, text.length)) >= 0,
  indexOf: (text, part, second) => find(text, part, placed(second, text.length)),
  lastIndexOf: (text, part, second) => {
    const to = Number(second);
    return findLast(text, part, Number.isNaN(to) ? text.length : placed(to, text.length));
  },
  replace: (text, part, second) => replaced(text, part, second, false),
  replaceAll: (text, part, second) => replaced(text, part, second, true),
  split: parted,
};

/** Functions of strings that look for one in another: at worst the product of their lengths. */
function limitSearches(): void {
  const text = String.prototype as any;
  const names = [
    ["includes"], ["indexOf"], ["lastIndexOf"], ["replace", Symbol.replace], ["replaceAll", Symbol.replace], ["split", Symbol.split],
  ] as const;
  for (const [name, own] of names) {
    const search = SEARCHES[name]!;
    replace(text, name, (original) => ({
      [name](this: any, wanted: any, second: unknown) {
        if (typeof this === "string" && typeof wanted === "string" && this.length * wanted.length <= COMPARED) {
          watch(this.length);
          return original.call(this, wanted, second);
        }
        if (this === null || this === undefined) return original.call(this, wanted, second);
        // A regular expression does it itself, and looks at the clock.
        if (own !== undefined && typeof wanted === "object" && wanted?.[own] !== undefined && wanted[own] !== null) {
          return original.call(this, wanted, second);
        }
        const whole = String(this);
        const part = wanted === undefined && name === "split" ? undefined : wanted instanceof RegExp ? wanted : String(wanted);
        watch(whole.length);
        // One character is looked for quickly.
        if (typeof part !== "string" || part.length <= 1 || whole.length * part.length <= COMPARED) {
          return original.call(whole, part, second);
        }
        return search(whole, part, second);
      },
    })[name]);
  }
}

/** What a call may go through without anybody looking at the clock. */
const UNWATCHED = 2_000;

/** How much there is in what a native function goes through, as far as that can be told without calling anything. */
function sizeOf(it: unknown): number {
  if (typeof it === "string" || isArray(it)) return it.length;
  return isView(it) && !(it instanceof DataView) ? apply(lengthOfTyped, it, []) : 0;
}

const typedPrototype = Object.getPrototypeOf(Uint8Array.prototype);
const lengthOfTyped = getOwnPropertyDescriptor(typedPrototype, "length")!.get!;
const { apply, construct } = Reflect;

/** Looks at the clock where a call goes through much. */
function watch(size: number, times = 1): void {
  if (size > UNWATCHED) platform.spend(size * times);
}

/** How many times as long a call takes as one that only looks. */
const SORTED = 20;
const READ = 5;
const COMPILED = 50;

/**
 * Native functions that take long on much without calling back: the engine looks at the clock every ten thousand steps, and
 * ten thousand of these may take an hour. What only copies (`slice`, spreading) is not among them: memory bounds it well.
 */
function watchLongCalls(): void {
  const global = globalThis as any;
  const ofThis: [object, readonly string[], number][] = [
    [String.prototype, ["isWellFormed", "localeCompare", "normalize", "toLocaleLowerCase", "toLocaleUpperCase", "toLowerCase", "toUpperCase", "toWellFormed"], 1],
    [Array.prototype, ["includes", "indexOf", "lastIndexOf", "toReversed", "toSpliced", "with"], 1],
    [typedPrototype, ["copyWithin", "fill", "includes", "indexOf", "join", "lastIndexOf", "reverse", "set", "slice", "toReversed", "with"], 1],
    [typedPrototype, ["sort", "toSorted"], SORTED],
  ];
  for (const [prototype, names, times] of ofThis) {
    for (const name of names) {
      replace(prototype, name, (original) => ({
        [name](this: unknown, ...given: unknown[]) {
          watch(sizeOf(this), times);
          return apply(original, this, given);
        },
      })[name]);
    }
  }
  const ofGiven: [object, readonly string[], number][] = [
    [JSON, ["parse", "stringify"], READ],
    [global, ["decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "parseFloat", "parseInt", "unescape"], 1],
  ];
  for (const [object, names, times] of ofGiven) {
    for (const name of names) {
      replace(object, name, (original) => ({
        [name](this: unknown, ...given: unknown[]) {
          watch(sizeOf(given[0]), times);
          const made = apply(original, this, given);
          // What is written of objects shows in what was written.
          if (typeof made === "string") watch(made.length, times);
          return made;
        },
      })[name]);
    }
  }
  for (const name of ["entries", "getOwnPropertyNames", "keys", "values"]) {
    replace(Object, name, (original) => ({
      [name](this: unknown, it: unknown) {
        const found = apply(original, this, [it]);
        watch(found.length, READ);
        return found;
      },
    })[name]);
  }
  replace(String.prototype, "repeat", (original) => function repeat(this: unknown, count: unknown) {
    const made = apply(original, this, [count]);
    watch(made.length);
    return made;
  });
  global.RegExp = new Proxy(RegExp, {
    apply: (target, self, given) => {
      watch(sizeOf(given[0]), COMPILED);
      return apply(target, self, given);
    },
    construct: (target, given, made) => {
      watch(sizeOf(given[0]), COMPILED);
      return construct(target, given, made);
    },
  });
  RegExp.prototype.constructor = global.RegExp;
}
