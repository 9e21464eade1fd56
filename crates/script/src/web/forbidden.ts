/**
 * What a sandbox must not have: code from text, memory that is shared, what tells when garbage is collected, and
 * hooks that stay. And limits for functions that compute for a long time without ever calling back, in which
 * the engine does not look at the clock.
 */

/** More elements than a run's memory holds; only arrays with holes and objects that pretend have more. */
const LENGTH_MAX = 16_777_216;

/** More comparisons of characters than take a second. */
const SEARCH_MAX = 4_000_000_000;

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
}

function tooLong(): never {
  throw new RangeError("too many elements");
}

/** Functions of arrays that go over all indexes without calling anything. */
function limitLoops(): void {
  const { apply } = Reflect;
  const names = [
    "concat", "copyWithin", "fill", "flat", "includes", "indexOf", "join", "lastIndexOf", "reverse", "shift", "slice", "sort",
    "splice", "toReversed", "toSorted", "toSpliced", "toString", "toLocaleString", "unshift", "with",
  ];
  for (const name of names) {
    replace(Array.prototype, name, (original) => {
      return {
        [name](this: any, ...given: unknown[]) {
          if (this?.length > LENGTH_MAX) tooLong();
          if (name === "concat") for (const it of given) if ((it as any)?.length > LENGTH_MAX && typeof it === "object") tooLong();
          return apply(original, this, given);
        },
      }[name];
    });
  }
  for (const [object, name] of [[Array, "from"], [Function.prototype, "apply"], [Reflect, "apply"], [Reflect, "construct"], [String, "raw"]] as const) {
    replace(object, name, (original) => {
      return {
        [name](this: unknown, ...given: any[]) {
          for (const it of given) if (it?.length > LENGTH_MAX && typeof it === "object" || it?.raw?.length > LENGTH_MAX) tooLong();
          return apply(original, this, given);
        },
      }[name];
    });
  }
}

/** Functions of strings that look for one in another: at worst the product of their lengths. */
function limitSearches(): void {
  const { apply } = Reflect;
  for (const name of ["includes", "indexOf", "lastIndexOf", "replaceAll", "replace", "split"]) {
    replace(String.prototype, name, (original) => {
      return {
        [name](this: any, ...given: any[]) {
          const wanted = given[0];
          if (typeof wanted === "string" && wanted.length > 64 && this?.length * wanted.length > SEARCH_MAX) {
            throw new RangeError("the string is too long to look for one as long as that in it");
          }
          return apply(original, this, given);
        },
      }[name];
    });
  }
}
