/** HL7's date-times (`20240203040506.789+0100`) and FHIR's. */

import { hl7 } from "pipehat:host";

/** Year, month, day, hour, minute, second, fraction, zone: each may end it (HL7 v2.5.1 §2.A.22). */
const DATE_TIME =
  /^(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,9}))?)?)?)?)?)?([+-]\d{4}|Z)?$/;

const ZONE = /^([+-])(\d{2}):?(\d{2})$/;

export interface Hl7DateParseOptions {
  /** The time zone of date-times that tell none: `Europe/Vienna`, `+01:00`, `-0500`, `Z`. Without it they are taken for UTC. */
  tzOffset?: string;
}

/**
 * HL7's date-time as an instant in UTC, as FHIR has it: `2024-02-03T04:05:06.789Z`.
 * Where it is no date-time of HL7 the answer is `undefined`: no instant is made up.
 */
export function parseHl7DateTime(
  hl7DateTime: string | undefined,
  options?: Hl7DateParseOptions,
): string | undefined {
  const match = DATE_TIME.exec(hl7DateTime ?? "");
  if (!match) {
    return undefined;
  }
  const part = (index: number, otherwise: number): number => Number(match[index] ?? otherwise);
  const [year, month, day] = [part(1, 0), part(2, 1), part(3, 1)];
  const [hour, minute, second] = [part(4, 0), part(5, 0), part(6, 0)];
  const milliseconds = Number((match[7] ?? "0").slice(0, 3).padEnd(3, "0"));
  const start = new Date(0);
  start.setUTCFullYear(year, month - 1, day);
  const isDay = start.getUTCMonth() === month - 1 && start.getUTCDate() === day;
  // Leap seconds are told as second 60.
  if (!isDay || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  start.setUTCHours(hour, minute, second, milliseconds);
  const offset = secondsOfZone(match[8] ?? options?.tzOffset ?? "Z", start);
  return new Date(start.getTime() - offset * 1_000).toISOString();
}

/** How far a zone is from UTC at a local time. */
function secondsOfZone(zone: string, local: Date): number {
  if (zone === "Z") {
    return 0;
  }
  const match = ZONE.exec(zone);
  if (!match) {
    const seconds = hl7.offset(zone, local.toISOString().slice(0, -1));
    if (seconds === undefined) {
      throw new RangeError(`\`${zone}\` is no time zone: write Europe/Vienna, or +01:00`);
    }
    return seconds;
  }
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return (match[1] === "-" ? -minutes : minutes) * 60;
}

/** An instant as HL7 writes it, in UTC: `20240203040506.789`, without a fraction where it is none. */
export function formatHl7DateTime(isoDate: Date | string): string {
  const date = isoDate instanceof Date ? isoDate : new Date(isoDate);
  return date
    .toISOString()
    .replace(/[-:TZ]/g, "")
    .replace(/\.000$/, "");
}
