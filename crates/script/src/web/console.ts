/** `console`: lines of the run's log, values shown as a person would write them. */

import { log, platform } from "pipehat:host";

type Level = "debug" | "info" | "warn" | "error";

const DEPTH_MAX = 4;
const ITEMS_MAX = 100;
const TEXT_MAX = 10_000;

function quoted(text: string): string {
  const cut = text.length > TEXT_MAX ? text.slice(0, TEXT_MAX) + "…" : text;
  return JSON.stringify(cut);
}

function named(it: object): string {
  const name = Object.getPrototypeOf(it)?.constructor?.name;
  return typeof name === "string" && name !== "Object" && name !== "Array" ? name + " " : "";
}

/** What it says, and its stack, which says it already unless it was put there. */
function shownError(it: Error): string {
  const words = it.message ? `${it.name}: ${it.message}` : it.name;
  const stack = typeof it.stack === "string" ? it.stack.trimEnd() : "";
  return stack.startsWith(words) ? stack : stack ? `${words}\n${stack}` : words;
}

export function show(it: unknown, depth = 0, above: unknown[] = []): string {
  if (typeof it === "string") return depth === 0 ? it : quoted(it);
  if (typeof it === "bigint") return `${it}n`;
  if (typeof it === "function") return `[Function: ${it.name || "anonymous"}]`;
  if (typeof it !== "object" || it === null) return Object.is(it, -0) ? "-0" : String(it);
  if (above.includes(it)) return "[Circular]";
  if (it instanceof Error) return shownError(it);
  if (it instanceof Date) return Number.isNaN(it.getTime()) ? "Invalid Date" : it.toISOString();
  if (it instanceof RegExp) return String(it);
  if (it instanceof Promise) return "Promise";
  const within = [...above, it];
  const inner = (value: unknown): string => show(value, depth + 1, within);
  const listed = (open: string, items: Iterable<unknown>, close: string, one: (it: any) => string): string => {
    const shown: string[] = [];
    for (const item of items) {
      if (shown.length === ITEMS_MAX) {
        shown.push("…");
        break;
      }
      shown.push(one(item));
    }
    const space = shown.length > 0 && open.endsWith("{") ? " " : "";
    return `${open}${space}${shown.join(", ")}${space}${close}`;
  };
  if (depth >= DEPTH_MAX) return Array.isArray(it) ? "[Array]" : `[${named(it).trim() || "Object"}]`;
  if (Array.isArray(it)) return listed("[", it, "]", inner);
  if (ArrayBuffer.isView(it) && !(it instanceof DataView)) return listed(`${named(it)}[`, it as any, "]", String);
  if (it instanceof Map) return listed("Map {", it, "}", ([key, value]) => `${inner(key)} => ${inner(value)}`);
  if (it instanceof Set) return listed("Set {", it, "}", inner);
  const name = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key));
  return listed(`${named(it)}{`, Object.keys(it), "}", (key) => `${name(key)}: ${inner((it as any)[key])}`);
}

function format(given: unknown[]): string {
  const [first, ...rest] = given;
  if (typeof first !== "string" || !first.includes("%") || rest.length === 0) return given.map((it) => show(it)).join(" ");
  const text = first.replace(/%[sdifjoOc%]/g, (mark) => {
    if (mark === "%%") return "%";
    if (rest.length === 0) return mark;
    const it = rest.shift();
    if (mark === "%c") return "";
    if (mark === "%d") return String(Number(it));
    if (mark === "%i") return String(Math.trunc(Number(it)));
    if (mark === "%f") return String(Number(it));
    if (mark === "%j") return JSON.stringify(it);
    return mark === "%s" ? show(it) : show(it, 1);
  });
  return [text, ...rest.map((it) => show(it))].join(" ");
}

const write = (level: Level) => (...given: unknown[]): void => log(level, format(given));

export const console = {
  debug: write("debug"),
  log: write("info"),
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
  trace: (...given: unknown[]): void => log("debug", `${format(given)}\n${(new Error().stack ?? "").replace("Error\n", "")}`.trimEnd()),
  dir: (it: unknown): void => log("info", show(it, 1)),
  table: (it: unknown): void => log("info", show(it, 1)),
  assert: (holds: unknown, ...given: unknown[]): void => {
    if (!holds) log("error", `Assertion failed${given.length > 0 ? ": " + format(given) : ""}`);
  },
  group: (...given: unknown[]): void => { if (given.length > 0) log("info", format(given)); },
  groupCollapsed: (...given: unknown[]): void => { if (given.length > 0) log("info", format(given)); },
  groupEnd: (): void => {},
  time: (): void => {},
  timeEnd: (label = "default"): void => log("info", `${label}: ${platform.elapsed()} ms`),
  timeLog: (label = "default"): void => log("info", `${label}: ${platform.elapsed()} ms`),
  count: (): void => {},
  countReset: (): void => {},
};
