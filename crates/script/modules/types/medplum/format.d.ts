/**
 * Names, addresses, dates and quantities for people to read.
 *
 * Dates are written as in American English, and by a few other locales; always in UTC, for there is no table of time zones
 * here. What isn't known is refused, and never silently written otherwise.
 */
import type { Address, CodeableConcept, Coding, HumanName, Money, Observation, ObservationComponent, Period, Quantity, Range, Timing } from "@medplum/fhirtypes";
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
export declare function formatHumanName(name: HumanName | undefined, options?: HumanNameFormatOptions): string;
export declare function formatGivenName(name: HumanName): string;
export declare function formatFamilyName(name: HumanName): string;
export interface AddressFormatOptions {
    /** With all parts. */
    all?: boolean;
    /** With its use. */
    use?: boolean;
    /** What stands between lines. */
    lineSeparator?: string;
}
/** An address: its lines, then city, state and postal code; else its text. */
export declare function formatAddress(address: Address | undefined, options?: AddressFormatOptions): string;
/** How dates are written; only what is here, and only UTC. */
export interface DateFormatOptions {
    timeZone?: string;
}
/** The instant of a date or date-time. */
export declare function getDateProperty(date: string | undefined): Date | undefined;
export declare function isValidDate(date: Date): boolean;
/** A day: `2/3/2024`. */
export declare function formatDate(date: string | undefined, locales?: string | readonly string[], options?: DateFormatOptions): string;
/** A time: `10:20:30 AM`. */
export declare function formatTime(text: string | undefined, locales?: string | readonly string[], options?: DateFormatOptions): string;
/** A day and a time: `2/3/2024, 4:05:06 AM`. */
export declare function formatDateTime(dateTime: string | undefined, locales?: string | readonly string[], options?: DateFormatOptions): string;
export declare function formatPeriod(period: Period | undefined, locales?: string | readonly string[], options?: DateFormatOptions): string;
/** `< 5%`, `5.1 mg`. */
export declare function formatQuantity(quantity: Quantity | undefined, precision?: number): string;
/** `1 - 5 mg`, `>= 1 mg`. */
export declare function formatRange(range: Range | undefined, precision?: number, exclusive?: boolean): string;
/** `$1,234.50`. */
export declare function formatMoney(money: Money | undefined): string;
export declare function formatCoding(coding: Coding | undefined, includeCode?: boolean): string;
export declare function formatCodeableConcept(concept: CodeableConcept | undefined): string;
/** `2 times per day`, `Weekly on Mon, Fri`. */
export declare function formatTiming(timing: Timing | undefined): string;
/** The value of an observation, or those of its components. */
export declare function formatObservationValue(observation: Observation | ObservationComponent | undefined): string;
