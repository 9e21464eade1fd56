/**
 * Freezes what stays from one run to the next: all that can be reached from the globals and from the modules.
 *
 * An object that inherits a frozen property cannot be given one of that name by assignment. Names that programs do
 * assign, those of `Object.prototype` and of errors, become accessors that allow it.
 */

const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, isExtensible } = Object;
const { ownKeys, apply } = Reflect;

function assignable(prototype: object, only?: readonly PropertyKey[]): void {
  for (const name of only ?? ownKeys(prototype)) {
    const known = getOwnPropertyDescriptor(prototype, name);
    if (known === undefined || !("value" in known) || !known.configurable) continue;
    const value = known.value;
    defineProperty(prototype, name, {
      get: () => value,
      set(this: object, given: unknown) {
        if (this === prototype) throw new TypeError(`'${String(name)}' is read-only`);
        defineProperty(this, name, { value: given, writable: true, enumerable: true, configurable: true });
      },
      enumerable: known.enumerable,
      configurable: false,
    });
  }
}

/**
 * Maps and sets that are frozen do not change. What only reads is named here, and all else is locked: what a later engine
 * adds is locked as long as nobody has looked at it.
 */
function lockable(prototype: any, reading: readonly PropertyKey[], isFrozen: (it: object) => boolean): void {
  for (const name of ownKeys(prototype)) {
    const original = getOwnPropertyDescriptor(prototype, name)?.value;
    if (typeof original !== "function" || reading.includes(name)) continue;
    const guarded = {
      [name](this: object, ...given: unknown[]) {
        if (isFrozen(this)) throw new TypeError("it is read-only: what belongs to a module stays as it was when loaded");
        return apply(original, this, given);
      },
    }[name as string];
    defineProperty(guarded, "length", { value: original.length, configurable: true });
    defineProperty(prototype, name, { value: guarded, writable: true, enumerable: false, configurable: true });
  }
}

const READING = ["constructor", "entries", "forEach", "has", "keys", "values", Symbol.iterator];
const READING_MAP = [...READING, "get"];
const READING_SET = [
  ...READING, "difference", "intersection", "isDisjointFrom", "isSubsetOf", "isSupersetOf", "symmetricDifference", "union",
];

/** What cannot be reached by name. */
function hidden(): unknown[] {
  const generator = function* () {};
  const asynchronous = async function () {};
  const both = async function* () {};
  const iterators = [
    [][Symbol.iterator](),
    ""[Symbol.iterator](),
    new Map()[Symbol.iterator](),
    new Set()[Symbol.iterator](),
    "".matchAll(/x/g),
    // Those of iterators that are made of others: of helpers (`map`, `concat`, `zip`), and of what is no iterator.
    [].values().map((it) => it),
    (globalThis as any).Iterator.from({ next: () => ({ done: true }) }),
    generator(),
    both(),
  ];
  return [generator, asynchronous, both, ...iterators].map((it) => getPrototypeOf(it));
}

export function harden(modules: object[]): void {
  const frozen = new WeakSet<object>();
  lockable(Map.prototype, READING_MAP, (it) => frozen.has(it));
  lockable(Set.prototype, READING_SET, (it) => frozen.has(it));
  assignable(Object.prototype);
  assignable(Function.prototype, ["constructor", "toString", "bind", "call", "apply", Symbol.hasInstance]);
  assignable(Array.prototype, ["constructor", "toString", "toLocaleString"]);
  for (const name of ["Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "AggregateError", "DOMException"]) {
    const error = (globalThis as any)[name];
    if (error !== undefined) assignable(error.prototype);
  }
  for (const name of ["Promise", "Map", "Set", "Date", "RegExp", "String", "Number", "URL", "Headers", "Request", "Response", "AbortController", "EventTarget", "Event"]) {
    const known = (globalThis as any)[name];
    if (known !== undefined) assignable(known.prototype, ["constructor", "toString", "toJSON"]);
  }
  const open: unknown[] = [globalThis, ...hidden(), ...modules];
  while (open.length > 0) {
    const it = open.pop();
    if ((typeof it !== "object" || it === null) && typeof it !== "function") continue;
    const object = it as object;
    if (frozen.has(object)) continue;
    frozen.add(object);
    open.push(getPrototypeOf(object));
    for (const key of ownKeys(object)) {
      const property = getOwnPropertyDescriptor(object, key);
      if (property === undefined) continue;
      if ("value" in property) open.push(property.value);
      else open.push(property.get, property.set);
    }
    if (object instanceof Map) for (const [key, value] of object) open.push(key, value);
    if (object instanceof Set) for (const value of object) open.push(value);
    // The names that a module exports cannot be frozen, nor need they: only the module itself can change them.
    if (isExtensible(object) || getOwnPropertyDescriptor(object, Symbol.toStringTag)?.value !== "Module") freeze(object);
  }
}
