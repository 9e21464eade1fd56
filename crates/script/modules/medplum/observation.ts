/** Ages, ranges, and the intervals of an ObservationDefinition that a value falls into. */

import type {
  ObservationDefinition,
  ObservationDefinitionQualifiedInterval,
  Patient,
  Period,
  Quantity,
  Range,
} from "@medplum/fhirtypes";

/** Full years, months and days between two days. */
export function calculateAge(
  birthDate: string,
  endDate?: string,
): { years: number; months: number; days: number } {
  const from = new Date(birthDate);
  const to = endDate ? new Date(endDate) : new Date();
  from.setUTCHours(0, 0, 0, 0);
  to.setUTCHours(0, 0, 0, 0);
  let months = (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
  if (to.getUTCDate() < from.getUTCDate()) {
    months -= 1;
  }
  const days = Math.floor((to.getTime() - from.getTime()) / 86_400_000);
  return { years: Math.floor(months / 12), months, days };
}

/** An age as `043Y`, under two years `019M`, under a month `019D`. */
export function calculateAgeString(birthDate: string, endDate?: string): string | undefined {
  const { years, months, days } = calculateAge(birthDate, endDate);
  if (Number.isNaN(days)) {
    return undefined;
  }
  const [count, unit] = years >= 2 ? [years, "Y"] : months >= 1 ? [months, "M"] : [days, "D"];
  return `${String(count).padStart(3, "0")}${unit}`;
}

/** A number with so many decimal places. */
export function preciseRound(value: number, precision: number): number {
  return Number(value.toFixed(precision));
}

function inSteps(value: number, precision: number | undefined): number {
  return precision === undefined ? value : Math.round(value * 10 ** precision);
}

export function preciseEquals(one: number, other: number, precision?: number): boolean {
  return inSteps(one, precision) === inSteps(other, precision);
}
export function preciseLessThan(one: number, other: number, precision?: number): boolean {
  return inSteps(one, precision) < inSteps(other, precision);
}
export function preciseGreaterThan(one: number, other: number, precision?: number): boolean {
  return inSteps(one, precision) > inSteps(other, precision);
}
export function preciseLessThanOrEquals(one: number, other: number, precision?: number): boolean {
  return inSteps(one, precision) <= inSteps(other, precision);
}
export function preciseGreaterThanOrEquals(one: number, other: number, precision?: number): boolean {
  return inSteps(one, precision) >= inSteps(other, precision);
}

/** Whether a value lies within a range, its bounds included. */
export function matchesRange(value: number, range: Range, precision?: number): boolean {
  const { low, high } = range;
  return (
    (low?.value === undefined || preciseGreaterThanOrEquals(value, low.value, precision)) &&
    (high?.value === undefined || preciseLessThanOrEquals(value, high.value, precision))
  );
}

/** The first interval that is for this patient and has this value. */
export function findObservationInterval(
  definition: ObservationDefinition,
  patient: Patient,
  value: number,
  category?: "reference" | "critical" | "absolute",
): ObservationDefinitionQualifiedInterval | undefined {
  return definition.qualifiedInterval?.find(
    (interval) =>
      isFor(interval, patient) &&
      (category === undefined || interval.category === category) &&
      interval.range !== undefined &&
      matchesRange(value, interval.range, precisionOf(definition)),
  );
}

/** The first interval that is for this patient and has one of these conditions. */
export function findObservationReferenceRange(
  definition: ObservationDefinition,
  patient: Patient,
  names?: string[],
): ObservationDefinitionQualifiedInterval | undefined {
  return findObservationReferenceRanges(definition, patient).find(
    (interval) =>
      names === undefined || (interval.condition !== undefined && names.includes(interval.condition)),
  );
}

/** All intervals that are for this patient. */
export function findObservationReferenceRanges(
  definition: ObservationDefinition,
  patient: Patient,
): ObservationDefinitionQualifiedInterval[] {
  return definition.qualifiedInterval?.filter((interval) => isFor(interval, patient)) ?? [];
}

function precisionOf(definition: ObservationDefinition): number | undefined {
  return definition.quantitativeDetails?.decimalPrecision;
}

function isFor(interval: ObservationDefinitionQualifiedInterval, patient: Patient): boolean {
  if (interval.gender && interval.gender !== patient.gender) {
    return false;
  }
  if (!interval.age) {
    return true;
  }
  return (
    patient.birthDate !== undefined &&
    matchesRange(ageIn(unitOf(interval.age), patient.birthDate), interval.age)
  );
}

function unitOf(age: Range): string {
  const bound: Quantity | undefined = age.low ?? age.high;
  return (bound?.unit ?? bound?.code ?? "years").toLowerCase();
}

function ageIn(unit: string, birthDate: string): number {
  const { years, months, days } = calculateAge(birthDate);
  switch (unit) {
    case "d":
    case "day":
    case "days":
      return days;
    case "wk":
    case "week":
    case "weeks":
      return Math.floor(days / 7);
    case "mo":
    case "month":
    case "months":
      return months;
    default:
      return years;
  }
}

export function isQuantity(value: unknown): value is Quantity {
  return typeof (value as Quantity | undefined | null)?.value === "number";
}

export function isQuantityEquivalent(one: Quantity, other: Quantity): boolean {
  const sameUnit =
    one.unit === other.unit ||
    (one.code !== undefined && one.code === other.code && one.system === other.system);
  return sameUnit && Math.abs(Number(one.value) - Number(other.value)) < 0.01;
}

const DATE = /^\d{4}(-\d{2}(-\d{2})?)?$/;
const DATE_TIME = /^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$/;

export function isDateString(value: unknown): value is string {
  return typeof value === "string" && DATE.test(value);
}

export function isDateTimeString(value: unknown): value is string {
  return typeof value === "string" && DATE_TIME.test(value);
}

export function isPeriod(value: unknown): value is Period {
  const { start, end } = (value ?? {}) as Period;
  return (
    Boolean(start ?? end) && [start, end].every((bound) => bound === undefined || isDateTimeString(bound))
  );
}

/** From the first to the last instant that a date or date-time may mean. */
export function toPeriod(value: unknown): Period | undefined {
  if (isDateString(value)) {
    const [year, month] = value.split("-").map(Number) as [number, number?];
    const start = new Date(value);
    const end =
      value.length === 4
        ? Date.UTC(year + 1, 0, 1)
        : value.length === 7
          ? Date.UTC(year, month ?? 1, 1)
          : start.getTime() + 86_400_000;
    return { start: start.toISOString(), end: new Date(end - 1).toISOString() };
  }
  if (isDateTimeString(value)) {
    const end = value.includes(".") ? value : value.replace(/(T\d{2}:\d{2}:\d{2})/, "$1.999");
    return { start: new Date(value).toISOString(), end: new Date(end).toISOString() };
  }
  return isPeriod(value) ? value : undefined;
}
