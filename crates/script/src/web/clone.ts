/** `structuredClone`. */

/** How the numbers of an object were written (`json.ts`); a copy keeps it. */
const DIGITS = Symbol.for("pipehat.digits");

function refuse(what: string): never {
  throw new DOMException(`${what} cannot be cloned`, "DataCloneError");
}

const ERRORS: Record<string, any> = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function clone(it: any, seen: Map<object, unknown>): any {
  if (typeof it === "symbol") refuse("a symbol");
  if (typeof it === "function") refuse("a function");
  if (typeof it !== "object" || it === null) return it;
  if (seen.has(it)) return seen.get(it);
  const keep = (copy: any): any => {
    seen.set(it, copy);
    return copy;
  };
  if (it instanceof Date) return keep(new Date(it.getTime()));
  if (it instanceof RegExp) return keep(new RegExp(it.source, it.flags));
  if (it instanceof Boolean || it instanceof Number || it instanceof String) return keep(Object(it.valueOf()));
  if (it instanceof ArrayBuffer) return keep(it.slice(0));
  if (ArrayBuffer.isView(it)) {
    const buffer = clone(it.buffer, seen);
    const length = it instanceof DataView ? it.byteLength : (it as any).length;
    return keep(new (it as any).constructor(buffer, it.byteOffset, length));
  }
  if (it instanceof Map) {
    const copy = keep(new Map());
    for (const [key, value] of [...it]) copy.set(clone(key, seen), clone(value, seen));
    return copy;
  }
  if (it instanceof Set) {
    const copy = keep(new Set());
    for (const value of [...it]) copy.add(clone(value, seen));
    return copy;
  }
  if (it instanceof Error) {
    const kind = ERRORS[it.name] ?? Error;
    const copy = keep(Object.create(kind.prototype));
    for (const name of ["message", "stack", "cause"]) {
      if (!Object.hasOwn(it, name)) continue;
      const value = name === "cause" ? clone((it as any)[name], seen) : String((it as any)[name]);
      Object.defineProperty(copy, name, { value, writable: true, enumerable: false, configurable: true });
    }
    return copy;
  }
  if (it instanceof Promise || it instanceof WeakMap || it instanceof WeakSet) refuse("such an object");
  const copy = keep(Array.isArray(it) ? new Array(it.length) : {});
  for (const key of Object.keys(it)) {
    Object.defineProperty(copy, key, { value: clone(it[key], seen), writable: true, enumerable: true, configurable: true });
  }
  const digits = it[DIGITS];
  if (digits !== undefined) Object.defineProperty(copy, DIGITS, { value: digits, writable: true, enumerable: true, configurable: true });
  return copy;
}

export function structuredClone(it: unknown): unknown {
  if (arguments.length === 0) throw new TypeError("a value is wanted");
  return clone(it, new Map());
}
