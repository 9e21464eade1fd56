/**
 * Results: a corrected one replaces what stood, an older one never overwrites a newer, whatever order they come in. A
 * report belongs to the order with its placer or filler number; a document in it (OBX-2 ED) becomes its presented form.
 * The patient is the registration's: a result creates one where there is none, and changes none. Numbers never lead from
 * one patient to another: a message with those of another's report, order or visit waits for a person.
 */
import type {
  Attachment, Bundle, BundleEntry, DiagnosticReport, Encounter, Identifier, Observation, Patient, Reference, Resource,
  ServiceRequest,
} from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, park, translate } from "pipehat";
import {
  byIdentifier, first, isOfAnother, led, newerBy, perform, replaced, timeOf, told, token, united, untilNobodyWasQuicker, withReferenced,
  type Time,
} from "./feed";

/** Where the translation puts what R4's Observation has no value[x] for. */
const ATTACHED = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";

/** How far a result is: of two told of the same time the one that is further stands; all others are corrections. */
const RANK: Record<string, number> = { registered: 0, partial: 1, preliminary: 1, final: 2 };
const CORRECTION = 3;

/** What a report that is done is called (OBR-25 F, C, and the like). */
const DONE = new Set(["final", "amended", "corrected", "appended"]);

/** What a report that there is not is called (OBR-25 X, and the like): its results go with it. */
const WITHDRAWN = new Set(["cancelled", "entered-in-error"]);

/** What is the laboratory's to say. */
const OWN = new Set(["DiagnosticReport", "Observation", "Specimen"]);

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const message = Message.parse(event.input as string);
  const bundle = underOwnIds(await translate.toFhir(message));
  let reason: string | undefined;
  await untilNobodyWasQuicker(async () => {
    const done = await apply(client, message, structuredClone(bundle));
    reason = typeof done === "string" ? done : undefined;
    return done !== false;
  });
  if (reason !== undefined) {
    park(reason);
  }
}

/** Where a result stands follows from what it is: the same one told again is the same resource. */
function underOwnIds(bundle: Bundle): Bundle {
  const own = (bundle.entry ?? []).filter(({ resource }) => OWN.has(resource?.resourceType ?? ""));
  for (const { fullUrl, resource } of own) {
    (resource as Resource).id ??= fullUrl?.replace("urn:uuid:", "");
  }
  return led(bundle, new Map(own.map(({ fullUrl, resource }) => [fullUrl as string, addressOf(resource as Resource)])));
}

/** What a patient has. */
interface Owned {
  subject?: Reference;
}

/** How others refer to a result. */
function addressOf({ resourceType, id }: Resource): string {
  return `${resourceType}/${id}`;
}

function all<T extends Resource>(bundle: Bundle, type: string): (BundleEntry & { resource: T })[] {
  return (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === type) as never;
}

/** False: another was quicker. A text: why a person has to look. */
async function apply(client: MedplumClient, message: Message, bundle: Bundle): Promise<boolean | string> {
  const patients = all<Patient>(bundle, "Patient");
  const known = new Map<string | undefined, { identifiers: Identifier[]; id?: string }>();
  for (const patient of patients) {
    const identifiers = (patient.resource.identifier ?? []).filter(({ system, value }) => system && value);
    if (identifiers.length === 0) {
      return "the patient has no identifier of a known authority: see tables/authorities.csv";
    }
    const found = await recordsOf(client, identifiers);
    if (found.length > 1) {
      return `the identifiers of the patient are those of ${found.length} records`;
    }
    known.set(patient.fullUrl, { identifiers, id: found[0]?.id });
    const ifNoneExist = `${byIdentifier(identifiers)}&active:not=false`;
    patient.request = { method: "POST", url: "Patient", ifNoneExist };
    delete patient.resource.id;
  }
  const reports = all<DiagnosticReport>(bundle, "DiagnosticReport");
  if (reports.length === 0) {
    return "there is no report in it";
  }
  /** Whether something that stands is not of the patient whom what is told is of. */
  const isMixed = async (standing: Owned, news: Resource): Promise<boolean> => {
    const patient = known.get((news as Owned).subject?.reference);
    if (!await isOfAnother(client, standing.subject, patient?.id)) {
      return false;
    }
    // Another may have made the patient meanwhile.
    const [now] = await recordsOf(client, patient?.identifiers ?? []);
    return now?.id === patient?.id || isOfAnother(client, standing.subject, now?.id);
  };
  const mixed = await withVisits(client, bundle, isMixed);
  if (mixed !== undefined) {
    return mixed;
  }

  const entries: BundleEntry[] = [];
  const timeOfResult = new Map<string, Time>();
  for (const report of all<DiagnosticReport>(bundle, "DiagnosticReport")) {
    const time = timeOf(message, report.resource.issued ?? bundle.timestamp);
    for (const { reference } of [...(report.resource.result ?? []), ...(report.resource.specimen ?? [])]) {
      timeOfResult.set(reference as string, time);
    }
    const orders = await ordersOf(client, report.resource);
    const documents = takeDocuments(bundle, report.resource);
    const [standing] = await standingOf<DiagnosticReport>(client, [report.resource]);
    for (const known of [...(standing === undefined ? [] : [standing]), ...await reportsOf(client, report.resource)]) {
      if (await isMixed(known, report.resource)) {
        return "a report with its placer or filler number is another patient's";
      }
    }
    for (const order of orders) {
      if (await isMixed(order, report.resource)) {
        return "the order with its placer or filler number is another patient's";
      }
    }
    const change = reportChange(report, standing, time, orders, documents);
    if (change === undefined) {
      continue;
    }
    entries.push(change);
    const isNews = standing === undefined || isOlder(standing, report.resource, time);
    for (const { binary, attachment } of documents) {
      if (isNews || !standing?.presentedForm?.some(({ url }) => url === attachment.url)) {
        entries.push({ resource: binary, request: { method: "PUT", url: attachment.url } });
      }
    }
    if (standing !== undefined && isNews && WITHDRAWN.has(report.resource.status)) {
      entries.push(...await withdrawn(client, standing, report.resource, time));
    }
    if (isNews && DONE.has(report.resource.status)) {
      entries.push(...orders.filter(({ status }) => status === "active").map((order) => completed(order, report.resource)));
    }
  }
  for (const type of ["Observation", "Specimen"]) {
    const news = all<Observation>(bundle, type);
    const found = await standingOf<Observation>(client, news.map(({ resource }) => resource));
    const standing = new Map(found.map((resource) => [resource.id, resource]));
    for (const { fullUrl, resource } of news) {
      const time = timeOfResult.get(addressOf(resource)) ?? timeOf(message);
      const before = standing.get(resource.id);
      if (before === undefined) {
        entries.push(first(fullUrl, told(resource, time)));
      } else if (await isMixed(before, resource)) {
        return `the ${type === "Specimen" ? "specimen" : "result"} with its number is another patient's`;
      } else if (isOlder(before, resource, time)) {
        entries.push(replaced(fullUrl, told(resource, time), before));
      }
    }
  }
  return entries.length === 0 || perform(client, withReferenced(entries, bundle));
}

/** The patient with one of these: of two records that were merged the one that remains counts, which has those of both. */
async function recordsOf(client: MedplumClient, identifiers: Identifier[]): Promise<Patient[]> {
  return identifiers.length === 0
    ? []
    : client.searchResources("Patient", { identifier: identifiers.map(token).join(","), "active:not": "false" });
}

/** What stands of these, by their ids: the same result always has the same. */
async function standingOf<T extends Resource>(client: MedplumClient, resources: Resource[]): Promise<T[]> {
  const found: T[] = [];
  for (let at = 0; at < resources.length; at += 50) {
    const some = resources.slice(at, at + 50);
    const ids = some.map(({ id }) => id).join(",");
    found.push(...(await client.searchResources(some[0]?.resourceType as "Observation", { _id: ids, _count: "50" }) as unknown as T[]));
  }
  return found;
}

function isOlder(standing: Resource, news: Resource, time: Time): boolean {
  const rank = (resource: Resource): number => RANK[(resource as Observation).status] ?? CORRECTION;
  return newerBy(standing, time, rank(standing) - rank(news)) <= 0;
}

/** The report as it is to stand; none where nothing of it is new. */
function reportChange(
  { fullUrl, resource: news }: BundleEntry & { resource: DiagnosticReport }, standing: DiagnosticReport | undefined,
  time: Time, orders: ServiceRequest[], documents: { attachment: Attachment }[],
): BundleEntry | undefined {
  const basedOn: Reference[] = orders.map(({ id }) => ({ reference: `ServiceRequest/${id}` }));
  if (basedOn.length === 0) {
    // The order may be another system's: its number is what is known.
    basedOn.push(...numbersOf(news).slice(0, 1).map((identifier) => ({ type: "ServiceRequest", identifier })));
  }
  const presentedForm = documents.map(({ attachment }) => attachment);
  const { basedOn: _, ...rest } = news;
  const next: DiagnosticReport = {
    ...rest,
    ...(basedOn.length === 0 ? {} : { basedOn: basedOn as DiagnosticReport["basedOn"] }),
    ...(presentedForm.length === 0 ? {} : { presentedForm }),
  };
  if (standing === undefined) {
    return first(fullUrl, told(next, time));
  }
  // Laboratories send what is new of a report: what was told before belongs to it, too.
  const both = <T>(one: T[] | undefined, other: T[] | undefined, key: (item: T) => string | undefined): T[] | undefined => {
    const known = new Set(one?.map(key));
    const joined = [...(one ?? []), ...(other ?? []).filter((item) => !known.has(key(item)))];
    return joined.length === 0 ? undefined : joined;
  };
  const result = both(standing.result, next.result, ({ reference }) => reference);
  const forms = both(standing.presentedForm, presentedForm, ({ url }) => url);
  const parts = { ...(result && { result }), ...(forms && { presentedForm: forms }) };
  const kept = isOlder(standing, news, time)
    ? told({ ...next, ...parts, identifier: united(standing.identifier, next.identifier) }, time)
    : { ...standing, ...parts };
  return replaced(fullUrl, kept as DiagnosticReport, standing);
}

/** The results of a report that is withdrawn, of which the message says nothing of their own. */
async function withdrawn(
  client: MedplumClient, standing: DiagnosticReport, { result, status }: DiagnosticReport, time: Time,
): Promise<BundleEntry[]> {
  const own = new Set(result?.map(({ reference }) => reference));
  const others = (standing.result ?? []).map(({ reference }) => reference ?? "").filter((reference) => !own.has(reference));
  const results = others.filter((reference) => reference.startsWith("Observation/"))
    .map((reference) => ({ resourceType: "Observation", id: reference.slice("Observation/".length) }) as Observation);
  return (await standingOf<Observation>(client, results))
    .filter((known) => isOlder(known, { ...known, status: status as Observation["status"] }, time))
    .map((known) => replaced(undefined, told({ ...known, status: status as Observation["status"] }, time), known));
}

/** Documents come out of the results and into the report. */
function takeDocuments(bundle: Bundle, report: DiagnosticReport): { binary: Resource; attachment: Attachment & { url: string } }[] {
  const taken: { binary: Resource; attachment: Attachment & { url: string } }[] = [];
  for (const { fullUrl, resource } of all<Observation>(bundle, "Observation")) {
    const extension = resource.extension?.find(({ url }) => url === ATTACHED);
    const { contentType, data } = extension?.valueAttachment ?? {};
    if (!data || !report.result?.some(({ reference }) => reference === addressOf(resource))) {
      continue;
    }
    const type = contentType ?? "application/octet-stream";
    const title = resource.code?.text ?? resource.code?.coding?.[0]?.display;
    const url = `Binary/${resource.id}`;
    taken.push({
      binary: { resourceType: "Binary", id: resource.id, contentType: type, data } as Resource,
      attachment: { contentType: type, url, ...(title === undefined ? {} : { title }) },
    });
    report.result = report.result.filter(({ reference }) => reference !== addressOf(resource));
    if (report.result.length === 0) {
      delete report.result;
    }
    bundle.entry = bundle.entry?.filter((entry) => entry.fullUrl !== fullUrl);
  }
  return taken;
}

function numbersOf(report: DiagnosticReport): Identifier[] {
  return (report.identifier ?? []).filter(({ system, value }) => system && value);
}

/** What stands of other tests of the order, too. */
async function reportsOf(client: MedplumClient, report: DiagnosticReport): Promise<DiagnosticReport[]> {
  const numbers = numbersOf(report);
  return numbers.length === 0 ? [] : client.searchResources("DiagnosticReport", { identifier: numbers.map(token).join(","), _count: "100" });
}

/** The orders with the report's placer or filler number; of several those for the same thing, if there are such. */
async function ordersOf(client: MedplumClient, report: DiagnosticReport): Promise<ServiceRequest[]> {
  const numbers = numbersOf(report);
  if (numbers.length === 0) {
    return [];
  }
  const found = await client.searchResources("ServiceRequest", { identifier: numbers.map(token).join(",") });
  const codes = new Set(report.code?.coding?.map((coding) => token({ system: coding.system, value: coding.code })));
  const same = found.filter(({ code }) => code?.coding?.some(({ system, code: value }) => codes.has(token({ system, value }))));
  return same.length > 0 ? same : found;
}

/** The order is done, and known by the laboratory's number, too. */
function completed(order: ServiceRequest, report: DiagnosticReport): BundleEntry {
  const identifier = united(order.identifier, numbersOf(report));
  return replaced(undefined, { ...order, status: "completed", identifier } as ServiceRequest, order);
}

/** A visit is the registration's, too: what stands is referred to, what doesn't is named by its number. */
async function withVisits(
  client: MedplumClient, bundle: Bundle, isMixed: (standing: Owned, news: Resource) => Promise<boolean>,
): Promise<string | undefined> {
  for (const { fullUrl, resource } of all<Encounter>(bundle, "Encounter")) {
    const numbers = (resource.identifier ?? []).filter(({ system, value }) => system && value);
    const found = numbers.length === 0
      ? []
      : await client.searchResources("Encounter", { identifier: numbers.map(token).join(",") });
    const [visit] = found;
    if (visit !== undefined && await isMixed(visit, resource)) {
      return "the visit with its number is another patient's";
    }
    const number = numbers[0] && { system: numbers[0].system, value: numbers[0].value };
    bundle.entry = bundle.entry?.filter((entry) => entry.fullUrl !== fullUrl);
    for (const entry of bundle.entry ?? []) {
      const holder = entry.resource as { encounter?: Reference } | undefined;
      if (holder?.encounter === undefined || holder.encounter.reference !== fullUrl) {
        continue;
      }
      if (visit !== undefined) {
        holder.encounter = { reference: `Encounter/${visit.id}` };
      } else if (number !== undefined) {
        holder.encounter = { type: "Encounter", identifier: number };
      } else {
        delete holder.encounter;
      }
    }
  }
  return undefined;
}
