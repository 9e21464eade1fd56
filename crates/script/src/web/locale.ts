/**
 * Texts by locales: there are no tables of them here but for American English. What would come out wrong is refused, so that no
 * patient reads another day than the one that is meant.
 */

/** Refuses another locale than American English. */
function check(what: string, locales: unknown): void {
  const locale = Array.isArray(locales) ? locales[0] : locales;
  if (locale === undefined || locale === "en" || locale === "en-US") return;
  throw new RangeError(`${what}: the locale ${String(locale)} is not carried here, only en-US: write it by its parts, or by \`formatDate\` of @medplum/core`);
}

/** Of a date or a time: no options but the zone that they are written in. */
export function checkDate(what: string, locales: unknown, options: any): void {
  check(what, locales);
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value === undefined || (name === "timeZone" && (value === "UTC" || value === "Etc/UTC"))) continue;
    throw new RangeError(`${what}: the option ${name} is not carried here: dates are written in UTC, as 12/31/2026, 1:00:00 PM`);
  }
}

const FRACTION_MAX = 100;

/** How many digits of a fraction are asked for. */
function digits(what: string, name: string, value: unknown): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 0 || count > FRACTION_MAX) throw new RangeError(`${what}: ${name} is not of 0 to ${FRACTION_MAX}`);
  return count;
}

/** Whole digits in groups of three. */
const grouped = (whole: string): string => whole.replace(/\B(?=(\d{3})+$)/g, ",");

function number(it: number, locales: unknown, options: any): string {
  const what = "toLocaleString";
  check(what, locales);
  let [least, most, groups]: [number | undefined, number | undefined, boolean] = [undefined, undefined, true];
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value === undefined || (name === "style" && value === "decimal")) continue;
    if (name === "minimumFractionDigits") least = digits(what, name, value);
    else if (name === "maximumFractionDigits") most = digits(what, name, value);
    else if (name === "useGrouping" && typeof value === "boolean") groups = value;
    else throw new RangeError(`${what}: the option ${name} is not carried here: use minimumFractionDigits, maximumFractionDigits, useGrouping`);
  }
  const from = least ?? Math.min(0, most ?? 0);
  const to = most ?? Math.max(from, 3);
  if (from > to) throw new RangeError(`${what}: minimumFractionDigits is more than maximumFractionDigits`);
  if (Number.isNaN(it)) return "NaN";
  if (!Number.isFinite(it)) return it < 0 ? "-∞" : "∞";
  if (Math.abs(it) >= 1e21) throw new RangeError(`${what}: the number is too large to be written in groups`);
  const [whole = "", fraction = ""] = Math.abs(it).toFixed(to).split(".");
  let end = fraction.length;
  while (end > from && fraction[end - 1] === "0") end--;
  const shown = (groups ? grouped(whole) : whole) + (end > 0 ? `.${fraction.slice(0, end)}` : "");
  return (it < 0 || Object.is(it, -0) ? "-" : "") + shown;
}

function define(prototype: object, value: (...given: any[]) => string): void {
  Object.defineProperty(prototype, "toLocaleString", { value, writable: true, enumerable: false, configurable: true });
}

/** Puts `toLocaleString` of numbers in place. */
export function installLocale(): void {
  const { valueOf } = Number.prototype;
  define(Number.prototype, function toLocaleString(this: number, locales?: unknown, options?: unknown) {
    return number(Reflect.apply(valueOf, this, []), locales, options);
  });
  const whole = BigInt.prototype.valueOf;
  define(BigInt.prototype, function toLocaleString(this: bigint, locales?: unknown) {
    check("toLocaleString", locales);
    const text = String(Reflect.apply(whole, this, []));
    return text.startsWith("-") ? `-${grouped(text.slice(1))}` : grouped(text);
  });
}
