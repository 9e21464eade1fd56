/**
 * What stands of a result, of all that the laboratory said of it: each message is a statement, and what stands follows from the
 * statements alone, in whichever order they arrive, and however often (HL7 tables 0085 and 0123). Of two the one stands that is
 * further, by `GRADE`; then the later one; then the one of the higher `KIND`. What it is silent of is what it was at its time (HL7
 * v2.5.1 §2.5.3): so a result has with it, contained, those earlier statements that one without a value may still need.
 */
import { deepEquals } from "@medplum/core";
import type { Extension, Observation, Reference, Resource } from "@medplum/fhirtypes";
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

/** How many statements a result has with it at most; of more the lowest go. */
const MOST_KEPT = 8;

/** When a message told something, and which: of two of the same second the one with the higher number (MSH-10) is the later. */
export interface Telling extends Time {
  control?: string;
}

/** Where a statement stands among others. */
export interface Statement {
  status: string;
  /** None where no message told it: then any is newer. */
  time: Telling | undefined;
}

/** Above 0 where the first stands before the second, below 0 the other way round, 0 where it is the same statement. */
export function compare(one: Statement, other: Statement): number {
  return compareRanks(rankOf(one), rankOf(other));
}

type Rank = (number | string)[];

function rankOf({ status, time }: Statement): Rank {
  const [made, control] = [time?.message === undefined ? 0 : Date.parse(time.message), time?.control ?? ""];
  return [GRADE[status] ?? FINAL, time === undefined ? 0 : 1, whenOf(status, time), KIND[status] ?? 0, made, control.length, control];
}

function compareRanks(one: Rank, other: Rank): number {
  const at = one.findIndex((part, at) => part !== other[at]);
  return at === -1 ? 0 : order(one[at], other[at]);
}

function order(one: string | number | undefined, other: string | number | undefined): number {
  return (one as number) < (other as number) ? -1 : one === other ? 0 : 1;
}

/**
 * When it was told: OBR-22, else MSH-7. That is new whenever a message is sent anew: a final one without OBR-22 counts as the oldest,
 * so that its repetition undoes no correction.
 */
function whenOf(status: string, time: Telling | undefined): number {
  const when = time?.event ?? (status === "final" ? undefined : time?.message);
  return when === undefined ? -Infinity : Date.parse(when);
}

/**
 * Whether MSH-7 says otherwise of two of which one alone tells OBR-22. They stand by OBR-22 and MSH-7 all the same: by MSH-7 alone of
 * such two there are three of which each stands before the next, and the first that comes would decide.
 */
export function isUnsure(one: Statement, other: Statement): boolean {
  const [undated, dated] = one.time?.event === undefined ? [one, other] : [other, one];
  const isOne = undated.time !== undefined && undated.time.event === undefined && dated.time?.event !== undefined;
  if (!isOne || undated.status === "final" || GRADE[undated.status] !== GRADE[dated.status]) {
    return false;
  }
  const byMessage = Date.parse(undated.time?.message ?? "") - Date.parse(dated.time?.message ?? "");
  return byMessage !== 0 && byMessage > 0 !== compare(undated, dated) > 0;
}

export function highest<T>(all: T[], statement: (one: T) => Statement): T | undefined {
  return all.reduce<T | undefined>((high, one) =>
    (high === undefined || compare(statement(one), statement(high)) > 0 ? one : high), undefined);
}

/** Whether only a correction changes it, and this is none. */
export function isFixedFor(standing: Statement, news: Statement): boolean {
  return isDone(standing) && (KIND[news.status] ?? 0) === 0;
}

function isDone({ status }: Statement): boolean {
  return (GRADE[status] ?? FINAL) === FINAL;
}

type Extended = { extension?: Extension[] };

function extensionsOf(of: Extended): Extension[] {
  return of.extension ?? [];
}

/** With these extensions in the place of those of their URL. */
export function withExtensions<T extends Extended>(of: T, url: string, news: Extension[]): T {
  const { extension, ...rest } = of;
  const all = [...(extension ?? []).filter((own) => own.url !== url), ...news];
  return (all.length === 0 ? rest : { ...rest, extension: all }) as T;
}

/** Which message told it. */
const TOLD_BY = "urn:pipehat:told-by";

/** The resource as a message tells it. */
export function toldBy<T extends Resource>(resource: T, { control, ...time }: Telling): T {
  const number = control === undefined ? [] : [{ url: TOLD_BY, valueString: control }];
  return withExtensions(told(resource, time) as T & Extended, TOLD_BY, number);
}

/** As which status a result counts that tells none of its own. */
const COUNTS_AS = "urn:pipehat:counts-as";

/** A result of unknown status that is as far as its report. */
export function countingAs<T extends Extended>(own: T, status: string): T {
  return withExtensions(own, COUNTS_AS, [{ url: COUNTS_AS, valueCode: status }]);
}

function withoutCounting<T extends Extended>(own: T): T {
  return withExtensions(own, COUNTS_AS, []);
}

/** The statement by which a resource stands. */
export function statementOf(resource: Resource): Statement {
  const extensions = extensionsOf(resource as Extended);
  const control = extensions.find(({ url }) => url === TOLD_BY)?.valueString;
  const status = extensions.find(({ url }) => url === COUNTS_AS)?.valueCode ?? (resource as Observation).status ?? "";
  const time = toldAt(resource);
  return { status, time: time && { ...time, ...(control !== undefined && { control }) } };
}

/** A statement, written down beside something that does not stand by it. */
export function noteOf(url: string, { status, time }: Statement): Extension {
  const parts = [
    { url: "status", valueCode: status }, { url: "event", valueDateTime: time?.event },
    { url: "message", valueDateTime: time?.message }, { url: "control", valueString: time?.control },
  ];
  return { url, extension: parts.filter((part) => Object.values(part).every((value) => value !== undefined)) };
}

export function notedIn(of: Extended | undefined, url: string): Statement | undefined {
  const parts = extensionsOf(of ?? {}).find((own) => own.url === url)?.extension;
  const part = (name: string): Extension | undefined => parts?.find(({ url }) => url === name);
  const [event, message, control] = [part("event")?.valueDateTime, part("message")?.valueDateTime, part("control")?.valueString];
  const time = { ...(event !== undefined && { event }), message: message ?? "", ...(control !== undefined && { control }) };
  return parts && { status: part("status")?.valueCode ?? "", time: message === undefined ? undefined : time };
}

/** Where the translation puts what R4's Observation has no value[x] for. */
export const ATTACHED = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";

/** A result whose value is deleted (OBX-5 is `""`: HL7 v2.5.1 §2.5.3). */
const DELETED = "urn:pipehat:value-deleted";

export function withDeletedValue(news: Observation): Observation {
  return withExtensions(news, DELETED, [{ url: DELETED, valueBoolean: true }]);
}

function isValueDeleted(own: Observation): boolean {
  return extensionsOf(own).some(({ url }) => url === DELETED);
}

export function hasValue(own: Observation): boolean {
  return Object.keys(own).some((name) => name.startsWith("value") || name === "dataAbsentReason" || name === "component")
    || extensionsOf(own).some(({ url }) => url === ATTACHED);
}

/** Whether it says that there is no value, or none any more. */
export function isGone(own: Observation): boolean {
  return WITHDRAWN.has(own.status) || isValueDeleted(own);
}

/**
 * Whether it says which value there is, or that there is none. One that doesn't (OBX-11 U: "without retransmitting"; or OBX-5 empty)
 * is of the value that there was. One that is withdrawn needs none.
 */
export function tellsValue(own: Observation): boolean {
  return hasValue(own) || isGone(own);
}

/** A result without its value, and without what is said of that. */
function valueless(own: Observation): Observation {
  const ofValue = new Set(["dataAbsentReason", "component", "interpretation", "referenceRange"]);
  const rest = Object.entries(own).filter(([name]) => !/^_?value/.test(name) && !ofValue.has(name));
  return withExtensions(Object.fromEntries(rest) as Observation, ATTACHED, []);
}

/** Two statements as one: what the upper one is silent of is of the lower one. */
function over(upper: Observation, lower: Observation): Observation {
  const { _status, ...rest } = lower as Observation & { _status?: unknown };
  const own = new Set([DELETED, COUNTS_AS, ...extensionsOf(upper).map(({ url }) => url)]);
  const extension = [...extensionsOf(upper), ...extensionsOf(lower).filter(({ url }) => !own.has(url))];
  return { ...rest, ...upper, ...(extension.length > 0 && { extension }) } as Observation;
}

/** What was said, and where it stands among the rest. */
export interface Said {
  own: Observation;
  rank: Rank;
  isFinal: boolean;
  tellsValue: boolean;
  /** When it came into effect: without a value it is of the value that there was when it was told. */
  turn: number;
}

export function saidIn(own: Observation): Said {
  const { status, time } = statementOf(own);
  const tells = tellsValue(own);
  const turn = time === undefined || tells ? whenOf(status, time) : Date.parse(time.event ?? time.message);
  return { own, rank: rankOf({ status, time }), isFinal: isDone({ status, time }), tellsValue: tells, turn };
}

/**
 * What stands, had they come in the order of their times. `withdrawal`: that of the report, with which a result goes that was not
 * told again since. It keeps its value then; but what was withdrawn comes back by no statement without one.
 */
export function standing(all: Said[], withdrawal?: Statement): Observation {
  const withdrawn = withdrawal && rankOf(withdrawal);
  const goesBetween = (one: Said, other: Said): boolean =>
    withdrawn !== undefined && compareRanks(one.rank, withdrawn) < 0 && compareRanks(withdrawn, other.rank) < 0;
  let stands: Said | undefined;
  for (const one of all.toSorted((one, other) => order(one.turn, other.turn) || compareRanks(one.rank, other.rank))) {
    if (stands === undefined || one.tellsValue && compareRanks(one.rank, stands.rank) > 0) {
      stands = one;
    } else if (compareRanks(one.rank, stands.rank) > 0) {
      const isGone = goesBetween(stands, one) || WITHDRAWN.has(stands.own.status);
      stands = { ...one, own: over(one.own, isGone ? valueless(stands.own) : stands.own) };
    }
  }
  const { own, rank } = stands as Said;
  if (withdrawal?.time === undefined || compareRanks(rankOf(withdrawal), rank) <= 0) {
    return own;
  }
  const { _status, ...rest } = withoutCounting(own) as Observation & { _status?: unknown };
  return toldBy({ ...rest, status: withdrawal.status } as Observation, withdrawal.time);
}

/** Those that what stands may still come from, whatever else comes. */
function mattering(statements: Said[]): Said[] {
  const all = statements.toSorted((one, other) => compareRanks(one.rank, other.rank));
  // What is below a final one with a value no later one comes from; nor from what came when a higher one was in effect.
  const floor = all.findLastIndex(({ isFinal, tellsValue }) => isFinal && tellsValue);
  let earliest = Infinity;
  const effective = all.slice(Math.max(floor, 0)).toReversed().filter(({ turn }) => {
    const takesEffect = turn <= earliest;
    earliest = Math.min(earliest, turn);
    return takesEffect;
  });
  // Nor from one without a value all of which a higher one tells, too: but the first that is final keeps out what is preliminary.
  const firstFinal = Math.min(...effective.filter(({ isFinal }) => isFinal).map(({ turn }) => turn));
  const isCovered = (one: Said, at: number): boolean => one.isFinal && !one.tellsValue
    && (one.own.resourceType !== "Observation" || floor !== -1 || one.turn > firstFinal)
    && effective.slice(0, at).some((other) => namesIn(one.own).every((name) => namesIn(other.own).includes(name)));
  return effective.filter((one, at) => !isCovered(one, at)).slice(0, MOST_KEPT).toReversed();
}

function namesIn(own: Observation): string[] {
  return [...Object.keys(own).filter((name) => name !== "extension"), ...extensionsOf(own).map(({ url }) => url)];
}

/** Leads from a result to a statement that it has with it. */
const SAID = "urn:pipehat:said";

/** When the same was said before: what is told anew unchanged is no other content. */
const TOLD_BEFORE = "urn:pipehat:told-before";

/** All that was said of a result, as far as it matters: what it has with it, or itself. */
export function statementsIn(own: Observation): Said[] {
  const said = keptIn(own);
  return (said.length > 0 ? said : [own]).flatMap((one) => {
    const last = withExtensions(bare(one), TOLD_BEFORE, []);
    const before = extensionsOf(one).filter(({ url }) => url === TOLD_BEFORE).map(({ valueString }) => (valueString as string).split(" "));
    return [
      ...before.map(([event, message, ...control]) =>
        toldBy(last, { ...(event !== "-" && { event }), message: message as string, control: control.join(" ") })),
      last,
    ].map(saidIn);
  });
}

/** Statements by what they say: the last of each that says the same, with the times of the others. */
function contentsOf(said: Observation[]): Observation[] {
  const contents = new Map<string, Observation[]>();
  for (const one of said) {
    const extension = extensionsOf(one).filter(({ url }) => !url.startsWith("urn:pipehat:told-"));
    const content = canonical({ ...one, extension });
    contents.set(content, [...contents.get(content) ?? [], one]);
  }
  return [...contents.values()].map((same) => {
    const before = same.slice(0, -1).map((one) => {
      const { event = "-", message, control = "" } = statementOf(one).time ?? { message: "-" };
      return { url: TOLD_BEFORE, valueString: `${event} ${message} ${control}` };
    });
    return withExtensions(same.at(-1) as Observation, TOLD_BEFORE, before);
  });
}

/** As text, in whichever order the datastore gives it, and whatever references are to: `urn:uuid:…` in a message, then `Type/…`. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (name, inner: unknown) =>
    name === "reference" && typeof inner === "string" ? inner.split(/[:/]/).at(-1)
      : typeof inner === "object" && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner);
}

function keptIn(own: Observation): Observation[] {
  const references = extensionsOf(own).filter(({ url }) => url === SAID).map(({ valueReference }) => valueReference?.reference);
  return (own.contained ?? []).filter(({ id }) => references.includes(`#${id}`)) as Observation[];
}

function othersIn(own: Observation): Resource[] {
  const kept = keptIn(own);
  return (own.contained ?? []).filter((one) => !kept.includes(one as Observation));
}

/** What a statement says, and not whose or under which number. */
function bare(own: Observation): Observation {
  const { id, meta, subject, contained, ...rest } = own;
  return rest as Observation;
}

/** Statements after others: what may still matter of all of them. */
export function added(before: Said[], news: Said[]): Said[] {
  // The same statement told anew may be translated better.
  const isAnew = (one: Said): boolean => news.some((other) => compareRanks(one.rank, other.rank) === 0);
  return mattering(withParent([...before.filter((one) => !isAnew(one)), ...news]));
}

/** The resource as it stands by all that was said of it, with the id and subject of another; none where it stands like that. */
export function rendered(
  before: Observation | undefined, said: Said[], { id, meta, subject }: Observation, withdrawal?: Statement,
): Observation | undefined {
  const stands = standing(said, withdrawal);
  const contained = before === undefined ? [] : othersIn(before);
  const contents = contentsOf(said.map(({ own }) => own));
  const isItself = contents.length === 1 && said.at(-1)?.own === stands;
  const own = { ...isItself ? contents[0] as Observation : stands, id, ...(meta && { meta }), ...(subject && { subject }) } as Observation;
  const next = withKept(own, isItself ? [] : contents, contained);
  return before !== undefined && deepEquals(next, { ...before, subject }) ? undefined : next;
}

/** The resource with statements, and what else is contained in it. */
function withKept(own: Observation, statements: Observation[], others: Resource[]): Observation {
  const kept = statements.map((one, at) => ({ ...one, id: `said-${at + 1}` }));
  const next = withExtensions(own, SAID, kept.map(({ id }) => ({ url: SAID, valueReference: { reference: `#${id}` } })));
  return others.length + kept.length > 0 ? { ...next, contained: [...others, ...kept] } as Observation : next;
}

/** A result in the place of which something else stands, with all that was said of it: an extension says what. */
export function outOfPlace(own: Observation, by: Extension): Observation {
  const contents = contentsOf(statementsIn(own).map(({ own }) => own));
  const { contained: _, ...rest } = withoutCounting(withExtensions(valueless(own), TOLD_BEFORE, []));
  return withKept(withExtensions({ ...rest, status: "entered-in-error" } as Observation, by.url, [by]), contents, othersIn(own));
}

/** A specimen after another statement, of which each is without a value; none where that changes nothing. */
export function settled<T extends Resource>(before: T | undefined, news: T): T | undefined {
  const [stands, own] = [before, news] as unknown as [Observation | undefined, Observation];
  return rendered(stands, added(stands === undefined ? [] : statementsIn(stands), statementsIn(own)), { ...stands, ...own }) as unknown as T | undefined;
}

/**
 * A result of a result (OBR-26) that is told without the other is derived from the one that it was derived from: its id says that it
 * is the same OBR-26.
 */
function withParent(all: Said[]): Said[] {
  const isFound = ({ reference }: Reference): boolean => reference !== undefined;
  const found = all.map(({ own }) => own.derivedFrom?.filter(isFound) ?? []).find(({ length }) => length > 0);
  return found === undefined ? all : all.map(({ own, ...one }) =>
    ({ ...one, own: own.derivedFrom === undefined || own.derivedFrom.some(isFound) ? own : { ...own, derivedFrom: found } }));
}
