/** Small things about values, lists and texts. */

import { emptied, readJson, writeJson } from "../json";

export function isString(value: unknown): value is string {
  return typeof value === "string";
}

export function isStringArray(values: unknown[]): values is string[] {
  return values.every(isString);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object";
}

export function isError(value: unknown): value is Error {
  return value instanceof Error;
}

/** Whether there is nothing: no value, an empty text, list or object. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") {
    return true;
  }
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Whether a text or list has something in it, or an object has members. */
export function isPopulated<T extends { length: number } | object>(value: T | undefined | null): value is T {
  return !isEmpty(value) && (typeof value === "string" || typeof value === "object");
}

export function isUUID(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(text);
}

export function isLowerCase(character: string): boolean {
  return character === character.toLowerCase() && character !== character.toUpperCase();
}

export function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/**
 * Whether two values say the same. What the server writes by itself into the `meta` of resources (`versionId`,
 * `lastUpdated`, `author`) makes no difference.
 */
export function deepEquals(one: unknown, other: unknown, path?: string): boolean {
  if (one === other) {
    return true;
  }
  if (!isObject(one) || !isObject(other)) {
    return isEmpty(one) && isEmpty(other);
  }
  if (one instanceof Date || other instanceof Date) {
    return one instanceof Date && other instanceof Date && one.getTime() === other.getTime();
  }
  if (isEmpty(one)) {
    return isEmpty(other);
  }
  if (Array.isArray(one) !== Array.isArray(other)) {
    return false;
  }
  const written = (name: string): boolean => path === "meta" && SERVERS_OWN.includes(name);
  const namesOf = (value: object): string[] => Object.keys(value).filter((name) => !written(name));
  const names = namesOf(one);
  return (
    names.length === namesOf(other).length &&
    names.every(
      (name) =>
        Object.hasOwn(other, name) && deepEquals(one[name], other[name], path ? `${path}.${name}` : name),
    )
  );
}

const SERVERS_OWN: readonly string[] = ["versionId", "lastUpdated", "author"];

/** A copy of what JSON can say of a value. */
export function deepClone<T>(value: T): T {
  return value === undefined ? value : (readJson(writeJson(value) as string) as T);
}

/** Whether a value has all that the pattern has; each element of a pattern's list must meet one of the value's. */
export function deepIncludes(value: unknown, pattern: unknown): boolean {
  if (Array.isArray(pattern)) {
    return Array.isArray(value) && pattern.every((wanted) => value.some((one) => deepIncludes(one, wanted)));
  }
  if (isObject(pattern)) {
    return (
      isObject(value) &&
      !Array.isArray(value) &&
      Object.keys(pattern).every((name) => name in value && deepIncludes(value[name], pattern[name]))
    );
  }
  return value === pattern;
}

/** The value as JSON without members that say nothing. */
export function stringify(value: unknown, pretty?: boolean): string {
  return JSON.stringify(value, emptied, pretty ? 2 : undefined);
}

/** Adds to a list; makes one where there is none. */
export function append<T>(list: T[] | undefined, value: T): T[] {
  if (!list) {
    return [value];
  }
  list.push(value);
  return list;
}

export function arrayify<T>(value: T | T[] | undefined): T[] | undefined {
  return value === undefined || Array.isArray(value) ? (value as T[] | undefined) : [value];
}

export function singularize<T>(value: T | T[] | undefined): T | undefined {
  return Array.isArray(value) ? value[0] : value;
}

export function flatMapFilter<T, U>(
  list: T[] | undefined,
  take: (value: T, index: number) => U | U[] | undefined,
): U[] {
  return (list ?? []).flatMap((value, index) => take(value, index) ?? []) as U[];
}

export function trimTrailingEmptyElements<T>(list: T[] | undefined): T[] | undefined {
  const last = (list ?? []).findLastIndex((value) => !isEmpty(value));
  return last < 0 ? undefined : list?.slice(0, last + 1);
}

/** At most `most` parts; the last has the rest as it is. */
export function splitN(text: string, delimiter: string, most: number): string[] {
  const parts = text.split(delimiter);
  return parts.length <= most ? parts : [...parts.slice(0, most - 1), parts.slice(most - 1).join(delimiter)];
}

/** The alternatives of a search value; `\,` is a comma within one. */
export function splitSearchOnComma(text: string): string[] {
  const parts: string[] = [""];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === ",") {
      parts.push("");
    } else {
      const escaped = character === "\\" && text.charAt(at + 1) === ",";
      parts[parts.length - 1] += escaped ? "," : character;
      at += escaped ? 1 : 0;
    }
  }
  return parts;
}

/** Sorts in place, by code points: the same everywhere. */
export function sortStringArray(list: string[]): string[] {
  return list.sort();
}

/** Lines of whole words, where a word is not longer than a line. */
export function wordWrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line ? `${line} ${word}` : word;
      }
    }
    lines.push(line);
  }
  return lines;
}

const HTML: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "“": "&ldquo;",
  "”": "&rdquo;",
  "‘": "&lsquo;",
  "’": "&rsquo;",
  "…": "&hellip;",
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"“”‘’…]/g, (character) => HTML[character] ?? character);
}

/** Does something once, when it is first asked for. */
export function lazy<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** A random UUID. */
export function generateId(): string {
  return crypto.randomUUID();
}

/** 28 random bytes as hexadecimal digits. */
export function getRandomString(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(28));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
