/** Ages, ranges, and the intervals of an ObservationDefinition that a value falls into. */
import type { ObservationDefinition, ObservationDefinitionQualifiedInterval, Patient, Period, Quantity, Range } from "@medplum/fhirtypes";
/** Full years, months and days between two days. */
export declare function calculateAge(birthDate: string, endDate?: string): {
    years: number;
    months: number;
    days: number;
};
/** An age as `043Y`, under two years `019M`, under a month `019D`. */
export declare function calculateAgeString(birthDate: string, endDate?: string): string | undefined;
/** A number with so many decimal places. */
export declare function preciseRound(value: number, precision: number): number;
export declare function preciseEquals(one: number, other: number, precision?: number): boolean;
export declare function preciseLessThan(one: number, other: number, precision?: number): boolean;
export declare function preciseGreaterThan(one: number, other: number, precision?: number): boolean;
export declare function preciseLessThanOrEquals(one: number, other: number, precision?: number): boolean;
export declare function preciseGreaterThanOrEquals(one: number, other: number, precision?: number): boolean;
/** Whether a value lies within a range, its bounds included. */
export declare function matchesRange(value: number, range: Range, precision?: number): boolean;
/** The first interval that is for this patient and has this value. */
export declare function findObservationInterval(definition: ObservationDefinition, patient: Patient, value: number, category?: "reference" | "critical" | "absolute"): ObservationDefinitionQualifiedInterval | undefined;
/** The first interval that is for this patient and has one of these conditions. */
export declare function findObservationReferenceRange(definition: ObservationDefinition, patient: Patient, names?: string[]): ObservationDefinitionQualifiedInterval | undefined;
/** All intervals that are for this patient. */
export declare function findObservationReferenceRanges(definition: ObservationDefinition, patient: Patient): ObservationDefinitionQualifiedInterval[];
export declare function isQuantity(value: unknown): value is Quantity;
export declare function isQuantityEquivalent(one: Quantity, other: Quantity): boolean;
export declare function isDateString(value: unknown): value is string;
export declare function isDateTimeString(value: unknown): value is string;
export declare function isPeriod(value: unknown): value is Period;
/** From the first to the last instant that a date or date-time may mean. */
export declare function toPeriod(value: unknown): Period | undefined;
