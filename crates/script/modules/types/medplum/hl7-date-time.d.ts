/** HL7's date-times (`20240203040506.789+0100`) and FHIR's. */
export interface Hl7DateParseOptions {
    /** The time zone of date-times that tell none: `Europe/Vienna`, `+01:00`, `-0500`, `Z`. Without it they are taken for UTC. */
    tzOffset?: string;
}
/**
 * HL7's date-time as an instant in UTC, as FHIR has it: `2024-02-03T04:05:06.789Z`.
 * Where it is no date-time of HL7 the answer is `undefined`: no instant is made up.
 */
export declare function parseHl7DateTime(hl7DateTime: string | undefined, options?: Hl7DateParseOptions): string | undefined;
/** An instant as HL7 writes it, in UTC: `20240203040506.789`, without a fraction where it is none. */
export declare function formatHl7DateTime(isoDate: Date | string): string;
