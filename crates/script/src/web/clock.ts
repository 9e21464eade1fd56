/** The clock of the host; the time zone is UTC, wherever the program runs. */

import { platform } from "pipehat:host";
import { checkDate } from "./locale";

const Real = Date;
const { construct, apply } = Reflect;

/** A date-time that names no zone: it is meant in ours. */
const WITHOUT_ZONE = /^\s*[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d+)?)?\s*$/;
const WITH_ZONE = /(Z|UTC|GMT|[+-]\d\d:?\d\d)(\s*\(.*\))?\s*$/i;
const DATE_ONLY = /^\s*[+-]?\d{4,6}(-\d\d(-\d\d)?)?\s*$/;

function parse(text: string): number {
  const given = String(text);
  if (WITHOUT_ZONE.test(given)) return Real.parse(given.trim() + "Z");
  if (WITH_ZONE.test(given) || DATE_ONLY.test(given)) return Real.parse(given);
  const zoned = Real.parse(given + " UTC");
  return Number.isNaN(zoned) ? Real.parse(given) : zoned;
}

function arguments_(given: any[]): any[] {
  if (given.length === 0) return [platform.now()];
  if (given.length > 1) return [apply(Real.UTC, Real, given)];
  return typeof given[0] === "string" ? [parse(given[0])] : given;
}

export const HostDate: any = function Date(this: unknown, ...given: any[]) {
  if (new.target === undefined) return new Real(platform.now()).toString();
  return construct(Real, arguments_(given), new.target);
};
Object.defineProperties(HostDate, {
  length: { value: 7, configurable: true },
  prototype: { value: Real.prototype, writable: false },
  now: { value: function now() { return platform.now(); }, writable: true, configurable: true },
  parse: { value: function (text: string) { return parse(text); }, writable: true, configurable: true },
  UTC: { value: Real.UTC, writable: true, configurable: true },
});

const methods: any = Real.prototype;
function define(name: string, value: unknown): void {
  Object.defineProperty(methods, name, { value, writable: true, enumerable: false, configurable: true });
}
for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"]) {
  define(`get${part}`, methods[`getUTC${part}`]);
  if (part !== "Day") define(`set${part}`, methods[`setUTC${part}`]);
}
const pad = (number: number): string => String(number).padStart(2, "0");
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function day(it: Date): string {
  return `${DAYS[it.getUTCDay()]} ${MONTHS[it.getUTCMonth()]} ${pad(it.getUTCDate())} ${String(it.getUTCFullYear()).padStart(4, "0")}`;
}
function time(it: Date): string {
  return `${pad(it.getUTCHours())}:${pad(it.getUTCMinutes())}:${pad(it.getUTCSeconds())} GMT+0000 (Coordinated Universal Time)`;
}
const valid = (it: Date, text: () => string): string => (Number.isNaN(it.getTime()) ? "Invalid Date" : text());
define("constructor", HostDate);
define("getTimezoneOffset", function getTimezoneOffset(this: Date) { return Number.isNaN(this.getTime()) ? NaN : 0; });
define("toString", function toString(this: Date) { return valid(this, () => `${day(this)} ${time(this)}`); });
define("toDateString", function toDateString(this: Date) { return valid(this, () => day(this)); });
define("toTimeString", function toTimeString(this: Date) { return valid(this, () => time(this)); });
const date = (it: Date): string => `${it.getUTCMonth() + 1}/${it.getUTCDate()}/${it.getUTCFullYear()}`;
const hours = (it: Date): string =>
  `${it.getUTCHours() % 12 || 12}:${pad(it.getUTCMinutes())}:${pad(it.getUTCSeconds())} ${it.getUTCHours() < 12 ? "AM" : "PM"}`;
function defineLocale(name: string, write: (it: Date) => string): void {
  const value = { [name](this: Date, locales?: unknown, options?: unknown) {
    checkDate(name, locales, options);
    return valid(this, () => write(this));
  } }[name];
  define(name, value);
}
defineLocale("toLocaleString", (it) => `${date(it)}, ${hours(it)}`);
defineLocale("toLocaleDateString", date);
defineLocale("toLocaleTimeString", hours);

export const performance = {
  now: (): number => platform.elapsed(),
  get timeOrigin(): number { return platform.now() - platform.elapsed(); },
};
