/**
 * Which of the laboratory's statements about a result or a report stands: one total order, so that it comes out the same in
 * whichever order they arrive, and however often (HL7 tables 0085 and 0123). How far the thing is decides first, then the time, then
 * the kind of the statement. What a statement is silent of stays as it stands (HL7 v2.5.1 §2.5.3).
 */
import type { Observation, Reference, Resource } from "@medplum/fhirtypes";
import { told, toldAt, type Time } from "./feed";

/**
 * How far a thing is. What is preliminary changes nothing that is final, corrected or withdrawn, whenever it was told (OBX-11 F: "can
 * only be changed with a corrected result"), and what is only expected takes no result away.
 */
const GRADE: Record<string, number> = { unknown: 0, registered: 0, partial: 1, preliminary: 1 };
const FINAL = 2;

/** Of two told of the same time the one with the higher kind stands: a final one, a correction, a withdrawal. */
const KIND: Record<string, number> = { amended: 1, corrected: 1, appended: 1, cancelled: 2, "entered-in-error": 2 };

/** What there is not (OBR-25 X, OBX-11 X, D, W). */
export const WITHDRAWN = new Set(["cancelled", "entered-in-error"]);

/** What a laboratory said of a thing. */
export interface Statement {
  status: string;
  /** None where no message told it: then any is newer. */
  time: Time | undefined;
}

/** The statement by which a resource stands. */
export function statementOf(resource: Resource): Statement {
  return { status: statusOf(resource), time: toldAt(resource) };
}

function statusOf(resource: Resource): string {
  return (resource as Observation).status ?? "";
}

function gradeOf({ status }: Statement): number {
  return GRADE[status] ?? FINAL;
}

/**
 * When it was told: OBR-22, else MSH-7. That is new whenever a message is sent anew: a final one without OBR-22 counts as the oldest,
 * so that its repetition undoes no correction.
 */
function whenOf({ status, time }: Statement): number {
  const when = time?.event ?? (status === "final" ? undefined : time?.message);
  return when === undefined ? -Infinity : Date.parse(when);
}

/** Above 0 where the first stands before the second, below 0 the other way round. */
export function compare(one: Statement, other: Statement): number {
  const key = (own: Statement): number[] =>
    [gradeOf(own), own.time === undefined ? 0 : 1, whenOf(own), KIND[own.status] ?? 0, Date.parse(own.time?.message ?? "") || 0];
  const [left, right] = [key(one), key(other)];
  const at = left.findIndex((part, at) => part !== right[at]);
  return at === -1 ? 0 : (left[at] as number) < (right[at] as number) ? -1 : 1;
}

/** Whether what is told now takes the place of what stands. */
export function isOlder(standing: Resource, news: Resource, time: Time): boolean {
  return compare(statementOf(standing), { status: statusOf(news), time }) <= 0;
}

/** Whether only a correction changes it, and this is none. */
export function isFixedFor(standing: Statement, news: Statement): boolean {
  return gradeOf(standing) === FINAL && (KIND[news.status] ?? 0) === 0;
}

/** The statement that a result has its value from, where that is not the one that it stands by. */
const VALUED_AT = "urn:pipehat:valued-at";

interface Part {
  url: string;
  valueDateTime?: string;
  valueCode?: string;
  extension?: Part[];
}

function extensionsOf(resource: Resource): Part[] {
  return (resource as { extension?: Part[] }).extension ?? [];
}

function withExtensions<T extends Resource>(resource: T, extension: Part[]): T {
  const { extension: _, ...rest } = resource as T & { extension?: Part[] };
  return (extension.length === 0 ? rest : { ...rest, extension }) as T;
}

function valuedAt(resource: Observation): Statement | undefined {
  const parts = extensionsOf(resource).find(({ url }) => url === VALUED_AT)?.extension;
  if (parts === undefined) {
    return undefined;
  }
  const part = (name: string): Part | undefined => parts.find(({ url }) => url === name);
  const event = part("event")?.valueDateTime;
  return {
    status: part("status")?.valueCode ?? "",
    time: { ...(event !== undefined && { event }), message: part("message")?.valueDateTime ?? "" },
  };
}

/** The result with its value as of a statement that is not the one that it stands by. */
function withValueOf(resource: Observation, statement: Statement | undefined): Observation {
  const others = extensionsOf(resource).filter(({ url }) => url !== VALUED_AT);
  if (statement?.time === undefined) {
    return withExtensions(resource, others);
  }
  const { event, message } = statement.time;
  return withExtensions(resource, [...others, {
    url: VALUED_AT,
    extension: [
      { url: "status", valueCode: statement.status },
      ...(event === undefined ? [] : [{ url: "event", valueDateTime: event }]),
      { url: "message", valueDateTime: message },
    ],
  }]);
}

/** Where the translation puts what R4's Observation has no value[x] for. */
export const ATTACHED = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";

function hasValue(resource: Observation): boolean {
  return Object.keys(resource).some((name) => name.startsWith("value") || name === "dataAbsentReason" || name === "component")
    || extensionsOf(resource).some(({ url }) => url === ATTACHED);
}

/** A result without its value, and without what is said of that. */
function withoutValue(resource: Observation): Observation {
  const ofValue = new Set(["dataAbsentReason", "component", "interpretation", "referenceRange"]);
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !name.startsWith("value") && !ofValue.has(name))) as Observation;
}

/** Two results as one: what the upper one is silent of is of the lower one. */
function over(upper: Observation, lower: Observation): Observation {
  const { _status, ...rest } = lower as Observation & { _status?: unknown };
  const own = new Set(extensionsOf(upper).map(({ url }) => url));
  const extension = [...extensionsOf(upper), ...extensionsOf(lower).filter(({ url }) => !own.has(url))];
  return withExtensions({ ...rest, ...upper } as Observation, extension);
}

/**
 * A result as it is to stand after a statement; none where that changes nothing. One without a value (OBX-11 U: "without
 * retransmitting"; or OBX-5 empty) changes the status of the value that stands, and where none stands yet, takes that of a statement
 * that comes late. A value that was withdrawn is none. `isDeleted`: OBX-5 is `""`.
 */
export function settled(before: Observation, news: Observation, time: Time, isDeleted: boolean): Observation | undefined {
  const statement: Statement = { status: news.status, time };
  const standing = statementOf(before);
  const valued = valuedAt(before);
  const tellsValue = hasValue(news) || isDeleted || WITHDRAWN.has(news.status);
  if (compare(standing, statement) <= 0) {
    if (tellsValue) {
      return withValueOf(told(withParent(news, before), time), isDeleted ? statement : undefined);
    }
    const joined = (lower: Observation): Observation => over(told(withParent(news, before), time), lower);
    if (WITHDRAWN.has(before.status)) {
      return withValueOf(joined(withoutValue(before)), standing);
    }
    return withValueOf(joined(before), valued ?? (hasValue(before) ? standing : undefined));
  }
  const at = ({ time }: Statement): number => Date.parse(time?.event ?? time?.message ?? "");
  const isOpen = valued === undefined
    ? !hasValue(before) && !WITHDRAWN.has(before.status)
    : compare(valued, statement) < 0 && compare(standing, valued) !== 0 && at(statement) <= at(standing);
  if (!tellsValue || !isOpen) {
    return undefined;
  }
  if (WITHDRAWN.has(news.status)) {
    return withValueOf(withoutValue(before), statement);
  }
  const rest = valued === undefined ? before : withoutValue(before);
  return withValueOf(over(rest, news), statement);
}

/** A result that is told for the first time. */
export function begun(news: Observation, time: Time, isDeleted: boolean): Observation {
  return withValueOf(told(news, time), isDeleted ? { status: news.status, time } : undefined);
}

/** A result that goes with its report, which was withdrawn by this statement; its value stays what it was. */
export function goneWith(report: Statement, result: Observation): Observation | undefined {
  if (report.time === undefined || compare(report, statementOf(result)) < 0) {
    return undefined;
  }
  const valued = valuedAt(result) ?? (hasValue(result) ? statementOf(result) : undefined);
  const { _status, ...rest } = result as Observation & { _status?: unknown };
  return withValueOf(told({ ...rest, status: report.status as Observation["status"] } as Observation, report.time), valued);
}

/**
 * A result of a result (OBR-26) that is told without the other is derived from the one that it was derived from: its id says that it
 * is the same OBR-26.
 */
function withParent(news: Observation, before: Observation): Observation {
  const isFound = ({ reference }: Reference): boolean => reference !== undefined;
  const found = (before.derivedFrom ?? []).filter(isFound);
  return news.derivedFrom === undefined || news.derivedFrom.some(isFound) || found.length === 0 ? news : { ...news, derivedFrom: found };
}
