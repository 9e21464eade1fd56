/**
 * What bots of feeds share: references within a translated Bundle, what is newer, another try when others were quicker, and
 * what is set aside for a person.
 */
import type { Bundle, BundleEntry, Extension, Identifier, OperationOutcome, Resource } from "@medplum/fhirtypes";
import type { MedplumClient } from "@medplum/core";
import { log, Message, park, translate } from "pipehat";

/** The time of the event that a resource stands by: an older message changes nothing that a newer one told. */
const TOLD_AT = "urn:pipehat:told-at";

/** The same of its status, where messages may be silent of that. */
const TURNED_AT = "urn:pipehat:turned-at";

/** Why a person has to look at a message: without values, for the reason is shown to whoever runs Pipehat. */
export class ForAPerson extends Error {}

/**
 * Does the work; sets the message aside where no other try would make it better. All else (the datastore is busy, or away) is
 * thrown, and tried again as `retry` of the step says.
 */
export async function orPark(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { outcome } = error as { outcome?: OperationOutcome };
    if (error instanceof ForAPerson) {
      park(error.message);
    } else if (outcome?.id === "unprocessable") {
      const places = outcome.issue.flatMap(({ expression }) => expression ?? []);
      park(`the datastore refuses what it says: ${[...new Set(places)].join(", ") || "no resource of R4"}`);
    } else {
      throw error;
    }
  }
}

/** The message in FHIR. */
export async function translated(message: Message): Promise<Bundle> {
  try {
    return await translate.toFhir(message);
  } catch (error) {
    throw new ForAPerson((error as Error).message);
  }
}

/** How often others may be quicker. */
const TRIES = 20;

/** Tries again where another writer changed meanwhile what this one had read (If-Match, If-None-Exist, If-None-Match). */
export async function untilNobodyWasQuicker(attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      if (await attempt()) {
        return;
      }
    } catch (error) {
      const id = (error as { outcome?: { id?: string } }).outcome?.id;
      if (id !== "precondition-failed" && id !== "conflict" && id !== "multiple-matches") {
        throw error;
      }
    }
  }
  throw new Error(`others changed the same resources ${TRIES} times`);
}

/** Performs a transaction; whether all that was to be created was created by it, and by nobody else before. */
export async function perform(client: MedplumClient, entry: BundleEntry[]): Promise<boolean> {
  const done = await client.executeBatch({ resourceType: "Bundle", type: "transaction", entry });
  // Of what is only looked up (no resource of its own is lost) another's is as good.
  return entry.every((asked, at) => !mustBeOurs.has(asked) || done.entry?.[at]?.response?.status?.startsWith("201"));
}

const mustBeOurs = new WeakSet<BundleEntry>();

/** Creates a resource, or does nothing where the search finds one: then `perform` says that it was not ours. */
export function created(fullUrl: string | undefined, resource: Resource, search: string): BundleEntry {
  const entry: BundleEntry = {
    fullUrl,
    resource,
    request: { method: "POST", url: resource.resourceType, ifNoneExist: search },
  };
  mustBeOurs.add(entry);
  return entry;
}

/** Replaces the version that was read, and no other. What stands so already makes no new version. */
export function replaced(fullUrl: string | undefined, resource: Resource, standing: Resource): BundleEntry {
  return {
    fullUrl,
    resource: inOrderOf(standing, { ...resource, id: standing.id }),
    request: {
      method: "PUT",
      url: `${standing.resourceType}/${standing.id}`,
      ifMatch: `W/"${standing.meta?.versionId}"`,
    },
  };
}

/** The same with its members in the order of what stands: the datastore takes another order for another content. */
function inOrderOf<T>(standing: unknown, news: T): T {
  if (typeof standing !== "object" || typeof news !== "object" || standing === null || news === null) {
    return news;
  }
  if (Array.isArray(news)) {
    return news.map((item, at) => inOrderOf((standing as unknown[])[at], item)) as T;
  }
  const [before, own] = [standing, news] as [Record<string, unknown>, Record<string, unknown>];
  const names = [...Object.keys(before).filter((name) => name in own), ...Object.keys(own).filter((name) => !(name in before))];
  const inOrder = Object.fromEntries(names.map((name) => [name, inOrderOf(before[name], own[name])]));
  // What spread takes along besides: how numbers were written.
  return { ...inOrder, ...own, ...inOrder } as T;
}

/** Creates a resource under an id where none stands. */
export function first(fullUrl: string | undefined, resource: Resource): BundleEntry {
  const url = `${resource.resourceType}/${resource.id}`;
  return { fullUrl, resource, request: { method: "PUT", url, ifNoneMatch: "*" } };
}

/** What the translation marks its requests with where the message doesn't speak of something (docs/translate.md). */
const KEEPS = "urn:pipehat:keeps";

type Marked = { request?: { extension?: Extension[] } };

/** What stays as it stands by the translation's mark: parts `element`, `items` and `follows`. */
export function keptBy(entry: BundleEntry): Extension[] {
  return (entry as Marked).request?.extension?.find(({ url }) => url === KEEPS)?.extension ?? [];
}

/** Has the datastore keep that of what stands. */
export function keeping(entry: BundleEntry, parts: Extension[]): BundleEntry {
  if (parts.length > 0) {
    (entry as Required<Marked>).request.extension = [{ url: KEEPS, extension: parts }];
  }
  return entry;
}

/** These entries and all that they refer to, so that what nobody names (headers, devices of senders) stays out. */
export function withReferenced(entries: BundleEntry[], bundle: Bundle): BundleEntry[] {
  const known = new Map((bundle.entry ?? []).map((entry) => [entry.fullUrl, entry]));
  const taken = new Map(entries.map((entry) => [entry.fullUrl ?? `${entry.request?.url}`, entry]));
  const look = (value: unknown): void => {
    if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        const found = name === "reference" && typeof inner === "string" ? known.get(inner) : undefined;
        if (found !== undefined && !taken.has(found.fullUrl as string)) {
          taken.set(found.fullUrl as string, found);
          look(found.resource);
        }
        look(inner);
      }
    }
  };
  entries.forEach((entry) => look(entry.resource));
  // What goes by the mark is named by the address of its entry.
  entries.flatMap(keptBy).flatMap(({ extension }) => extension ?? []).filter(({ url }) => url === "without")
    .forEach(({ valueString }) => look({ reference: valueString }));
  return [...taken.values()];
}

/** The same with these references led elsewhere. */
export function led<T>(value: T, elsewhere: Map<string, string>): T {
  if (Array.isArray(value)) {
    return value.map((inner) => led(inner, elsewhere)) as T;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([name, inner]) => [
      name,
      name === "reference" && typeof inner === "string" ? elsewhere.get(inner) ?? inner : led(inner, elsewhere),
    ]);
    return { ...value, ...Object.fromEntries(entries) } as T;
  }
  return value;
}

/** Which of two messages about a thing is newer: by the event, and where that is the same, or not told, by the message. */
export interface Time {
  event?: string;
  message: string;
}

/** By how much a sender's clock may be ahead. */
const MAY_BE_AHEAD_BY = 60_000;

/** Where a day begins first: 14 hours before it does in UTC. */
const FIRST_OF_ZONES = 14 * 3_600_000;

/**
 * When something was, to tell what is newer. Of an hour that the clocks have twice, and no offset tells which, `dateTime` has the
 * day alone; by that it would be older than what was told the evening before, so the first of the two counts: an hour behind
 * what was an hour before.
 */
export function momentOf(message: Message, path: string): string | undefined {
  const told = message.dateTime(path);
  const [, day, hour, rest] = /^(\d{8})(\d{2})([\d.]*)$/.exec(message.text(path)) ?? [];
  if (told === undefined || told.includes("T") || day === undefined) {
    return told;
  }
  const before = hour === "00" ? undefined : `${day}${String(Number(hour) - 1).padStart(2, "0")}${rest}`;
  const known = before && Message.parse(`MSH|^~\\&|||||${before}`).dateTime("MSH-7");
  return known?.includes("T") ? new Date(Date.parse(known) + 3_600_000).toISOString() : told;
}

/**
 * When the event was recorded (EVN-2: HL7 v2.5.1 §3.4.1.2), else when the message was made (MSH-7). Nothing was told before it
 * was: a time in the future (a wrong clock, an EVN-2 that means the time that is planned) would outdate all that is told until
 * then.
 */
export function timeOf(message: Message): Required<Time> {
  const made = soFar(momentOf(message, "MSH-7"), "MSH-7");
  const event = soFar(momentOf(message, "EVN-2"), "EVN-2", made) ?? made;
  if (event === undefined) {
    throw new ForAPerson("neither EVN-2 nor MSH-7 says when this was: the sender has to tell it");
  }
  return { event, message: made ?? event };
}

/** The time that is told there; of one in the future `otherwise`, or now. */
export function soFar(told: string | undefined, path: string, otherwise?: string): string | undefined {
  const now = Date.now();
  if (told === undefined || Date.parse(told) <= now + MAY_BE_AHEAD_BY + (told.includes("T") ? 0 : FIRST_OF_ZONES)) {
    return told;
  }
  log.warn(`told.ahead: ${path} is in the future: the message counts as of ${otherwise === undefined ? "now" : "MSH-7"}`);
  return otherwise ?? new Date(now - (now % 1000)).toISOString();
}

interface TimeExtension {
  url: string;
  valueDateTime?: string;
  extension?: { url: string; valueDateTime?: string }[];
}

type Extended = { extension?: TimeExtension[] };

/** The times that an extension of a resource has, by their names. */
export function partsOf(resource: Resource, url: string): Map<string, string> | undefined {
  const parts = (resource as Extended).extension?.find((own) => own.url === url)?.extension;
  return parts && new Map(parts.map((part) => [part.url, part.valueDateTime ?? ""]));
}

/** The resource with these times in an extension, or without it where there are none. */
export function withParts<T extends Resource>(resource: T, url: string, parts: Record<string, string | undefined>): T {
  const { extension: all = [], ...rest } = resource as T & Extended;
  const told = Object.entries(parts).filter(([, value]) => value !== undefined);
  const next = told.length === 0 ? [] : [{ url, extension: told.map(([url, valueDateTime]) => ({ url, valueDateTime })) }];
  const at = all.findIndex((own) => own.url === url);
  // In its place: what is told again is the same.
  const extension = at < 0 ? [...all, ...next] : [...all.slice(0, at), ...next, ...all.slice(at + 1)];
  return (extension.length === 0 ? rest : { ...rest, extension }) as T;
}

/** By the message of which time a resource stands. */
export function toldAt(resource: Resource): Time | undefined {
  const parts = partsOf(resource, TOLD_AT);
  return parts && { event: parts.get("event"), message: parts.get("message") ?? "" };
}

/** When a visit last began or ended, or an appointment was booked or cancelled: what is told of it later may not speak of that. */
export interface Turn {
  /** The time of the event that says so. */
  event: string | undefined;
  /** The end that was taken back. */
  takenBack?: string;
  /** The time of the update that alone told its end: no event has ended it. */
  byUpdate?: string;
  /** The time of the message that told when an appointment is: others may be silent of that. */
  timed?: string;
}

export function turnOf(resource: Resource): Turn {
  const parts = partsOf(resource, TURNED_AT);
  return { event: parts?.get("event"), takenBack: parts?.get("takenBack"), byUpdate: parts?.get("byUpdate"), timed: parts?.get("timed") };
}

export function turnedAt<T extends Resource>(resource: T, turn: Turn): T {
  return withParts(resource, TURNED_AT, { ...turn });
}

/** The resource as told at a time. */
export function told<T extends Resource>(resource: T, { event, message }: Time): T {
  return withParts(resource, TOLD_AT, { event, message });
}

/**
 * How much newer a resource is than something told at a time: below 0 where it is older, 0 where it is the same. Of two
 * told of the same event, or of which one tells no time of it, `further` says which is the newer one, where it can: a message is
 * made anew whenever it is resent.
 */
export function newerBy(standing: Resource, time: Time, further = 0): number {
  const at = toldAt(standing);
  if (at === undefined) {
    return -1;
  }
  const byEvent = at.event === undefined || time.event === undefined ? 0 : Date.parse(at.event) - Date.parse(time.event);
  return byEvent || further || Date.parse(at.message) - Date.parse(time.message);
}

/** Whether what stands is newer than something told at a time. */
export function isNewer(standing: Resource, time: Time): boolean {
  return newerBy(standing, time) > 0;
}

/** `system|value` as a search has it (R4 §3.1.1.4: `,`, `|`, `$` and `\` are escaped). */
export function token({ system, value }: Identifier): string {
  const escape = (text: string | undefined): string => (text ?? "").replace(/[\\|,$]/g, "\\$&");
  return `${escape(system)}|${escape(value)}`;
}

/** A search for whatever has one of these identifiers, as If-None-Exist takes it. */
export function byIdentifier(identifiers: Identifier[]): string {
  return `identifier=${encodeURIComponent(identifiers.map(token).join(","))}`;
}

/** Those of a known authority, which can be looked for. */
export function known(identifiers: Identifier[] | undefined): Identifier[] {
  return (identifiers ?? []).filter(({ system, value }) => system && value);
}

/** All identifiers of several lists, each once. One that was retired stays so, whoever goes on to use it. */
export function united(...lists: (Identifier[] | undefined)[]): Identifier[] {
  const all = new Map<string, Identifier>();
  for (const identifier of lists.flatMap((list) => list ?? [])) {
    const key = token(identifier);
    const known = all.get(key);
    const merged = { ...known, ...identifier };
    if (known?.use === "old" || identifier.use === "old") {
      merged.use = "old";
    }
    all.set(key, merged);
  }
  return [...all.values()];
}
