/**
 * Names, addresses, dates and quantities for people to read.
 *
 * Dates are written as in American English, and by a few other locales; always in UTC, for there is no table of time zones
 * here. What isn't known is refused, and never silently written otherwise.
 */

import type {
  Address,
  CodeableConcept,
  Coding,
  HumanName,
  Money,
  Observation,
  ObservationComponent,
  Period,
  Quantity,
  Range,
  Timing,
} from "@medplum/fhirtypes";

import { capitalize, isEmpty } from "./values";

const present = (parts: (string | undefined | null)[] | undefined): string[] =>
  (parts ?? []).filter((part): part is string => Boolean(part));

export interface HumanNameFormatOptions {
  /** With all parts. */
  all?: boolean;
  /** With what stands before it; so it is unless told otherwise. */
  prefix?: boolean;
  /** With what stands behind it; so it is unless told otherwise. */
  suffix?: boolean;
  /** With its use. */
  use?: boolean;
}

/** A name: prefix, given, family, suffix; else its text. */
export function formatHumanName(name: HumanName | undefined, options?: HumanNameFormatOptions): string {
  if (!name) {
    return "";
  }
  const parts: string[] = [];
  if (options?.prefix !== false) {
    parts.push(...present(name.prefix));
  }
  parts.push(...present(name.given), ...present([name.family]));
  if (options?.suffix !== false) {
    parts.push(...present(name.suffix));
  }
  if (name.use && (options?.all || options?.use)) {
    parts.push(`[${name.use}]`);
  }
  return parts.join(" ").trim() || (name.text ?? "");
}

export function formatGivenName(name: HumanName): string {
  return present(name.given).join(" ");
}

export function formatFamilyName(name: HumanName): string {
  return name.family ?? "";
}

export interface AddressFormatOptions {
  /** With all parts. */
  all?: boolean;
  /** With its use. */
  use?: boolean;
  /** What stands between lines. */
  lineSeparator?: string;
}

/** An address: its lines, then city, state and postal code; else its text. */
export function formatAddress(address: Address | undefined, options?: AddressFormatOptions): string {
  if (!address) {
    return "";
  }
  const place = present([address.city, address.state, address.postalCode]).join(", ");
  const lines = present([...(address.line ?? []), place]);
  if (address.use && (options?.all || options?.use)) {
    lines.push(`[${address.use}]`);
  }
  return lines.join(options?.lineSeparator ?? ", ").trim() || (address.text ?? "");
}

/** A day of a locale. */
const DAYS: Record<string, (year: string, month: string, day: string) => string> = {
  "en-US": (year, month, day) => `${Number(month)}/${Number(day)}/${year}`,
  "en-GB": (year, month, day) => `${day}/${month}/${year}`,
  "fr-FR": (year, month, day) => `${day}/${month}/${year}`,
  "es-ES": (year, month, day) => `${Number(day)}/${Number(month)}/${year}`,
  "it-IT": (year, month, day) => `${Number(day)}/${Number(month)}/${year}`,
  "de-DE": (year, month, day) => `${Number(day)}.${Number(month)}.${year}`,
  "nl-NL": (year, month, day) => `${Number(day)}-${Number(month)}-${year}`,
  "sv-SE": (year, month, day) => `${year}-${month}-${day}`,
};

/** How dates are written; only what is here, and only UTC. */
export interface DateFormatOptions {
  timeZone?: string;
}

function localeOf(
  locales: string | readonly string[] | undefined,
  options: DateFormatOptions | undefined,
): string {
  for (const [name, value] of Object.entries(options ?? {})) {
    const isUtc = name === "timeZone" && (value === "UTC" || value === "Etc/UTC");
    if (!isUtc) {
      throw new RangeError(`the option ${name} is not available for dates here: they are written in UTC`);
    }
  }
  const locale = (typeof locales === "string" ? locales : locales?.[0]) ?? "en-US";
  if (!Object.hasOwn(DAYS, locale)) {
    throw new RangeError(
      `the locale ${locale} is not available for dates here: use ${Object.keys(DAYS).join(", ")}`,
    );
  }
  return locale;
}

/** The instant of a date or date-time. */
export function getDateProperty(date: string | undefined): Date | undefined {
  const parsed = date ? new Date(date) : undefined;
  return parsed && isValidDate(parsed) ? parsed : undefined;
}

export function isValidDate(date: Date): boolean {
  return date instanceof Date && !Number.isNaN(date.getTime());
}

function day(date: Date, locale: string): string {
  const [year = "", month = "", number = ""] = date.toISOString().slice(0, 10).split("-");
  return DAYS[locale]?.(year, month, number) ?? "";
}

function time(date: Date, locale: string): string {
  const text = date.toISOString().slice(11, 19);
  if (locale !== "en-US") {
    return text;
  }
  const hour = date.getUTCHours();
  return `${hour % 12 || 12}${text.slice(2)} ${hour < 12 ? "AM" : "PM"}`;
}

/** A day: `2/3/2024`. */
export function formatDate(
  date: string | undefined,
  locales?: string | readonly string[],
  options?: DateFormatOptions,
): string {
  const locale = localeOf(locales, options);
  const parsed = getDateProperty(date);
  return parsed ? day(parsed, locale) : "";
}

/** A time: `10:20:30 AM`. */
export function formatTime(
  text: string | undefined,
  locales?: string | readonly string[],
  options?: DateFormatOptions,
): string {
  const locale = localeOf(locales, options);
  const parsed = getDateProperty(text ? `2000-01-01T${text}Z` : undefined);
  return parsed ? time(parsed, locale) : "";
}

/** A day and a time: `2/3/2024, 4:05:06 AM`. */
export function formatDateTime(
  dateTime: string | undefined,
  locales?: string | readonly string[],
  options?: DateFormatOptions,
): string {
  const locale = localeOf(locales, options);
  const parsed = getDateProperty(dateTime);
  return parsed ? `${day(parsed, locale)}, ${time(parsed, locale)}` : "";
}

export function formatPeriod(
  period: Period | undefined,
  locales?: string | readonly string[],
  options?: DateFormatOptions,
): string {
  if (!period || isEmpty(period)) {
    return "";
  }
  return `${formatDateTime(period.start, locales, options)} - ${formatDateTime(period.end, locales, options)}`;
}

/** `< 5%`, `5.1 mg`. */
export function formatQuantity(quantity: Quantity | undefined, precision?: number): string {
  if (!quantity) {
    return "";
  }
  const parts: string[] = [];
  if (quantity.comparator) {
    parts.push(quantity.comparator);
  }
  if (quantity.value !== undefined) {
    parts.push(precision === undefined ? String(quantity.value) : Number(quantity.value).toFixed(precision));
  }
  if (quantity.unit === "%" && parts.length > 0) {
    parts.push(`${parts.pop()}%`);
  } else if (quantity.unit) {
    parts.push(quantity.unit);
  }
  return parts.join(" ");
}

/** `1 - 5 mg`, `>= 1 mg`. */
export function formatRange(
  range: Range | undefined,
  precision?: number,
  exclusive: boolean = false,
): string {
  const bound = (quantity: Quantity | undefined): Quantity | undefined => {
    if (!quantity) {
      return undefined;
    }
    const { comparator: _comparator, ...plain } = quantity;
    return plain;
  };
  const low = bound(range?.low);
  const high = bound(range?.high);
  const hasLow = low?.value !== undefined;
  const hasHigh = high?.value !== undefined;
  if (hasLow && hasHigh) {
    const { unit: _unit, ...number } = low;
    const shared = low.unit === high.unit ? number : low;
    return `${formatQuantity(shared, precision)} - ${formatQuantity(high, precision)}`;
  }
  if (hasLow) {
    return `${exclusive ? ">" : ">="} ${formatQuantity(low, precision)}`;
  }
  return hasHigh ? `${exclusive ? "<" : "<="} ${formatQuantity(high, precision)}` : "";
}

const CURRENCIES: Record<string, string> = {
  USD: "$",
  EUR: "€",
  GBP: "£",
  CAD: "CA$",
  AUD: "A$",
  NZD: "NZ$",
  MXN: "MX$",
  INR: "₹",
};

/** `$1,234.50`. */
export function formatMoney(money: Money | undefined): string {
  if (money?.value === undefined) {
    return "";
  }
  const currency = money.currency ?? "USD";
  const [whole = "", cents = ""] = Math.abs(Number(money.value)).toFixed(2).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = Number(money.value) < 0 ? "-" : "";
  return `${sign}${CURRENCIES[currency] ?? `${currency}\u00a0`}${grouped}.${cents}`;
}

export function formatCoding(coding: Coding | undefined, includeCode?: boolean): string {
  const { display, code } = coding ?? {};
  return display && code && includeCode ? `${display} (${code})` : (display ?? code ?? "");
}

export function formatCodeableConcept(concept: CodeableConcept | undefined): string {
  return concept?.text ?? concept?.coding?.map((coding) => formatCoding(coding)).join(", ") ?? "";
}

const PERIOD_UNITS: Record<string, [string, string]> = {
  s: ["second", "Every second"],
  min: ["minute", "Every minute"],
  h: ["hour", "Hourly"],
  d: ["day", "Daily"],
  wk: ["week", "Weekly"],
  mo: ["month", "Monthly"],
  a: ["year", "Yearly"],
};

/** `2 times per day`, `Weekly on Mon, Fri`. */
export function formatTiming(timing: Timing | undefined): string {
  if (!timing) {
    return "";
  }
  const { repeat } = timing;
  const parts: string[] = present(timing.event?.map((event) => formatDateTime(event)));
  const [unit, adverb] = PERIOD_UNITS[repeat?.periodUnit ?? ""] ?? [];
  if (repeat && unit && adverb) {
    const { frequency = 1, period = 1 } = repeat;
    const often = frequency === 1 ? "Once" : `${frequency} times`;
    const each = Number(period) === 1 ? unit : `${period} ${unit}s`;
    parts.push(frequency === 1 && Number(period) === 1 ? adverb : `${often} per ${each}`);
  }
  if (repeat?.dayOfWeek?.length) {
    parts.push(`on ${repeat.dayOfWeek.map(capitalize).join(", ")}`);
  }
  if (repeat?.timeOfDay?.length) {
    parts.push(`at ${repeat.timeOfDay.map((at) => formatTime(at)).join(", ")}`);
  }
  return parts.join(" ").trim();
}

/** The value of an observation, or those of its components. */
export function formatObservationValue(observation: Observation | ObservationComponent | undefined): string {
  if (!observation) {
    return "";
  }
  const { component } = observation as Observation;
  if (component) {
    return component.map(formatObservationValue).join(" / ");
  }
  if (observation.valueQuantity) {
    return formatQuantity(observation.valueQuantity);
  }
  if (observation.valueCodeableConcept) {
    return formatCodeableConcept(observation.valueCodeableConcept);
  }
  const plain = observation.valueString ?? observation.valueInteger ?? observation.valueBoolean;
  return plain === undefined ? "" : String(plain);
}
