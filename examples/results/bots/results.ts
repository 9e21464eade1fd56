/**
 * Results: a corrected one replaces what stood, an older one never overwrites a newer, whatever order they come in. A
 * report belongs to the order with its placer or filler number; a document in it (OBX-2 ED) becomes its presented form.
 * The patient is the registration's: a result creates one where there is none, and changes none. Numbers never lead from
 * one patient to another: a message with those of another's report, order or visit waits for a person.
 */
import type {
  Attachment, Bundle, BundleEntry, DiagnosticReport, Encounter, Identifier, Observation, Reference, Resource, ServiceRequest,
} from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message } from "pipehat";
import {
  ForAPerson, first, known, led, orPark, perform, replaced, told, token, translated, united, untilNobodyWasQuicker, withReferenced,
  type Time,
} from "./feed";
import { find, isOfAnother, peopleOf, refer } from "./patients";
import {
  ATTACHED, WITHDRAWN, begun, compare, goneWith, isFixedFor, isOlder, settled, statementOf, type Statement,
} from "./statements";

/** What a report that is done is called (OBR-25 F, C, and the like). */
const DONE = new Set(["final", "amended", "corrected", "appended"]);

/** What is the laboratory's to say. */
const OWN = new Set(["DiagnosticReport", "Observation", "Specimen"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    const bundle = underOwnIds(await translated(message));
    checkDocuments(message, bundle);
    await untilNobodyWasQuicker(() => apply(client, message, structuredClone(bundle)));
  });
}

/** Where a result stands follows from what it is: the same one told again is the same resource. */
function underOwnIds(bundle: Bundle): Bundle {
  const addresses = new Map<string, string>();
  for (const { fullUrl, resource } of (bundle.entry ?? []).filter(({ resource }) => OWN.has(resource?.resourceType ?? ""))) {
    (resource as Resource).id ??= fullUrl?.replace("urn:uuid:", "");
    addresses.set(fullUrl as string, addressOf(resource as Resource));
  }
  return led(bundle, addresses);
}

/** What a patient has. */
interface Owned {
  subject?: Reference;
}

/**
 * Leads results that nothing tells from others of their code (no OBX-4, no OBX-21) to those that they can only mean. HL7 v2.5.1
 * §7.4.2.4 wants OBX-4 where there are several; without it their number and their order is all there is.
 */
async function asTheyStand(client: MedplumClient, message: Message, bundle: Bundle): Promise<Bundle> {
  const elsewhere = new Map<string, string>();
  const observations = new Map(all<Observation>(bundle, "Observation").map(({ resource }) => [addressOf(resource), resource]));
  for (const { resource: report } of all<DiagnosticReport>(bundle, "DiagnosticReport")) {
    const own = (report.result ?? []).map(({ reference }) => observations.get(reference ?? ""))
      .filter((one): one is Observation => one !== undefined && isBare(one));
    const [standing] = own.length === 0 ? [] : await standingOf<DiagnosticReport>(client, [report]);
    const stand = byCode((await resultsOf(client, standing)).filter((one) => isBare(one) && !WITHDRAWN.has(one.status)));
    for (const [code, like] of stand.size === 0 ? [] : byCode(own)) {
      const [one, other] = sameAs(like, stand.get(code) ?? [], timeOfReport(message, report)) ?? [];
      if (one !== undefined && other !== undefined && !elsewhere.has(addressOf(one))) {
        elsewhere.set(addressOf(one), addressOf(other));
        one.id = other.id as string;
      }
    }
  }
  return elsewhere.size === 0 ? bundle : led(bundle, elsewhere);
}

/** Which of the results of a code in the message is which of those that stand, where one of the two was told alone. */
function sameAs(like: Observation[], there: Observation[], time: Time): [Observation, Observation] | undefined {
  const [ids, standing] = [new Set(like.map(({ id }) => id)), new Set(there.map(({ id }) => id))];
  const news = like.filter(({ id, status }) => !WITHDRAWN.has(status) && !standing.has(id));
  const others = there.filter(({ id }) => !ids.has(id));
  const [one, other] = [news[0], others[0]];
  if (one === undefined || other === undefined) {
    return undefined;
  }
  const stays = like.filter(({ status }) => !WITHDRAWN.has(status)).length;
  // One is left of each; or others of the message stand where they were told together, and it is the one that was told alone.
  if (others.length === 1 && (news.length === 1 || news.length < stays)) {
    return [one, other];
  }
  /** Whether several are news of what was told alone: they may change it (HL7 table 0085), and stand before it. */
  const succeeds = (several: Statement, alone: Statement): boolean => !isFixedFor(alone, several) && compare(several, alone) > 0;
  const statement = ({ status }: Observation): Statement => ({ status, time });
  if (others.length === 1 && stays === like.length) {
    const same = news.find((own) => valueOf(own) === valueOf(other)) ?? news.find((own) => succeeds(statement(own), statementOf(other)));
    return same && [same, other];
  }
  if (like.length === 1) {
    const same = others.find((own) => valueOf(own) === valueOf(one))
      ?? others.find((own) => succeeds(statementOf(own), statement(one)));
    return same && [one, same];
  }
  return undefined;
}

function valueOf(own: Observation): string {
  return JSON.stringify(Object.entries(own).filter(([name]) => name.startsWith("value")));
}

/** Where the translation puts OBX-4. */
const SUB_ID = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid";

/** Whether nothing tells a result from others of its code. */
function isBare({ extension, identifier }: Observation): boolean {
  return known(identifier).length === 0 && !extension?.some(({ url }) => url === SUB_ID);
}

function codesOf({ code }: Observation): string[] {
  return (code?.coding ?? []).map((coding) => token({ system: coding.system, value: coding.code }));
}

function byCode(results: Observation[]): Map<string, Observation[]> {
  return grouped(results, codesOf);
}

function grouped(results: Observation[], keysOf: (one: Observation) => string[]): Map<string, Observation[]> {
  const all = new Map<string, Observation[]>();
  for (const one of results) {
    for (const key of new Set(keysOf(one))) {
      const list = all.get(key);
      if (list === undefined) {
        all.set(key, [one]);
      } else {
        list.push(one);
      }
    }
  }
  return all;
}

/** The results of a report that stand. */
function resultsOf(client: MedplumClient, report: DiagnosticReport | undefined): Promise<Observation[]> {
  const references = (report?.result ?? []).map(({ reference }) => reference ?? "");
  return standingOf<Observation>(client, references.filter((reference) => reference.startsWith("Observation/"))
    .map((reference) => ({ resourceType: "Observation", id: reference.slice("Observation/".length) }) as Observation));
}

/** How others refer to a result. */
function addressOf({ resourceType, id }: Resource): string {
  return `${resourceType}/${id}`;
}

function all<T extends Resource>(bundle: Bundle, type: string): (BundleEntry & { resource: T })[] {
  return (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === type) as never;
}

/** False: another was quicker. */
async function apply(client: MedplumClient, message: Message, asTold: Bundle): Promise<boolean> {
  const bundle = await asTheyStand(client, message, asTold);
  const people = peopleOf(message, bundle);
  const records = await refer(client, bundle, people);
  checkWhose(bundle);
  /** Whether something that stands is not of the patient whom what is told is of. */
  const isMixed = async (standing: Owned, news: Resource): Promise<boolean> => {
    const subject = (news as Owned).subject?.reference ?? "";
    const id = records.get(subject)?.id;
    if (!await isOfAnother(client, standing.subject, id)) {
      return false;
    }
    // Another may have made the patient meanwhile.
    const person = people.find(({ fullUrl }) => fullUrl === subject);
    const now = (await find(client, person?.identifiers ?? [])).current[0];
    return now === undefined || now.id === id || isOfAnother(client, standing.subject, now.id);
  };
  await withVisits(client, message, bundle, isMixed);

  const entries: BundleEntry[] = [];
  const timeOfResult = new Map<string, Time>();
  /** Withdrawals of reports, which take the results along that the message tells of. */
  const withdrawals = new Map<string, Statement>();
  const deleted = deletedIn(message);
  for (const report of all<DiagnosticReport>(bundle, "DiagnosticReport")) {
    const time = timeOfReport(message, report.resource);
    for (const { reference } of [...(report.resource.result ?? []), ...(report.resource.specimen ?? [])]) {
      timeOfResult.set(reference as string, time);
    }
    if (report.resource.status === "unknown" && isCancelledByOrder(message, report.resource)) {
      report.resource.status = "cancelled";
    }
    const orders = await ordersOf(client, report.resource);
    const documents = takeDocuments(bundle, report.resource);
    const [standing] = await standingOf<DiagnosticReport>(client, [report.resource]);
    for (const known of [...(standing === undefined ? [] : [standing]), ...await reportsOf(client, report.resource)]) {
      if (await isMixed(known, report.resource)) {
        throw new ForAPerson("a report with its placer or filler number is another patient's");
      }
    }
    for (const order of orders) {
      if (await isMixed(order, report.resource)) {
        throw new ForAPerson("the order with its placer or filler number is another patient's");
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
    if (isNews && WITHDRAWN.has(report.resource.status)) {
      const withdrawal: Statement = { status: report.resource.status, time };
      (report.resource.result ?? []).forEach(({ reference }) => withdrawals.set(reference as string, withdrawal));
      entries.push(...standing === undefined ? [] : await withdrawn(client, standing, report.resource, time));
    } else if (standing !== undefined && !isNews && WITHDRAWN.has(standing.status)) {
      (report.resource.result ?? []).forEach(({ reference }) => withdrawals.set(reference as string, statementOf(standing)));
    } else if (standing !== undefined && isNews) {
      entries.push(...await takenBack(client, bundle, standing, report.resource, time));
    }
    if (isNews && DONE.has(report.resource.status)) {
      entries.push(...orders.filter(({ status }) => status === "active").map((order) => completed(order, report.resource)));
    }
  }
  for (const type of ["Observation", "Specimen"]) {
    const news = all<Observation>(bundle, type);
    const standing = await standingOf<Observation>(client, news.map(({ resource }) => resource));
    const byId = new Map(standing.map((known) => [known.id, known]));
    for (const { fullUrl, resource } of news) {
      const time = timeOfResult.get(addressOf(resource)) ?? timeOfReport(message, {});
      const before = byId.get(resource.id);
      if (before !== undefined && await isMixed(before, resource)) {
        throw new ForAPerson(`the ${type === "Specimen" ? "specimen" : "result"} with its number is another patient's`);
      }
      const isDeleted = resource.code?.coding?.some(({ code }) => deleted.has(code ?? "")) ?? false;
      const next = before === undefined ? begun(resource, time, isDeleted) : settled(before, resource, time, isDeleted);
      const withdrawal = withdrawals.get(addressOf(resource));
      const left = next ?? (before !== undefined && !WITHDRAWN.has(before.status) ? before : undefined);
      const stands = (left && withdrawal && goneWith(withdrawal, left)) ?? next;
      if (stands !== undefined) {
        entries.push(before === undefined ? first(fullUrl, stands) : replaced(fullUrl, stands, before));
      }
    }
  }
  return entries.length === 0 || perform(client, withReferenced(entries, bundle));
}

/** When the result was told (OBR-22). Where that is empty, how final it is counts before MSH-7, which is new whenever it is resent. */
function timeOfReport(message: Message, { issued }: Pick<DiagnosticReport, "issued">): Time {
  const made = message.dateTime("MSH-7") ?? issued;
  if (made === undefined) {
    throw new ForAPerson("neither OBR-22 nor MSH-7 says when this was: the laboratory has to tell it");
  }
  return { ...(issued && { event: issued }), message: made };
}

/** Whether its order says that it was cancelled (ORC-1 OC, CA, CR; ORC-5 CA: tables 0119 and 0038), where OBR-25 is empty. */
function isCancelledByOrder(message: Message, report: DiagnosticReport): boolean {
  const numbers = new Set(numbersOf(report).map(({ value }) => value));
  return message.paths("ORC(*)").some((order) =>
    [`${order}-2.1`, `${order}-3.1`].some((path) => numbers.has(message.text(path)))
      && (["OC", "CA", "CR"].includes(message.text(`${order}-1`)) || message.text(`${order}-5`) === "CA"));
}

/** The codes of results whose value is deleted (OBX-5 is `""`: HL7 v2.5.1 §2.5.3). */
function deletedIn(message: Message): Set<string> {
  const deleted = message.paths("OBX(*)-5").filter((path) => message.get(path) === '""').map((path) => path.replace(/-5$/, "-3"));
  return new Set(deleted.flatMap((path) => [message.text(`${path}.1`), message.text(`${path}.4`)]).filter((code) => code !== ""));
}

/** What can't be decoded is not dropped. */
function checkDocuments(message: Message, bundle: Bundle): void {
  const embedded = message.paths("OBX(*)-2").filter((path) =>
    message.text(path) === "ED" && message.text(path.replace(/-2$/, "-5.5")) !== "");
  const decoded = all<Observation>(bundle, "Observation").filter(({ resource }) => attachedTo(resource)?.data);
  if (decoded.length < embedded.length) {
    throw new ForAPerson("a document (OBX-5.5) can't be decoded: it is not in the encoding it names (OBX-5.4), or was cut off");
  }
}

function attachedTo(resource: Observation): Attachment | undefined {
  return resource.extension?.find(({ url }) => url === ATTACHED)?.valueAttachment;
}

/** Every report and all that is in it has a patient, and a number leads to one alone. */
function checkWhose(bundle: Bundle): void {
  const reports = all<DiagnosticReport>(bundle, "DiagnosticReport");
  if (reports.length === 0) {
    throw new ForAPerson("there is no report in it");
  }
  if (reports.some(({ resource }) => numbersOf(resource).length === 0)) {
    throw new ForAPerson("a report has no number of a known authority (OBR-2.2, OBR-3.2, or MSH-3): see tables/authorities.csv");
  }
  const own = (bundle.entry ?? []).filter(({ resource }) => OWN.has(resource?.resourceType ?? ""));
  if (own.some(({ resource }) => (resource as Owned).subject?.reference === undefined)) {
    throw new ForAPerson("a result stands before any PID: the message says not whose it is");
  }
  const subjects = new Map<string, string | undefined>();
  const names = (resource: Resource): string[] =>
    [addressOf(resource), ...(resource.resourceType === "Observation" ? [] : numbersOf(resource as DiagnosticReport).map(token))];
  for (const { resource } of own) {
    const { reference } = (resource as Owned).subject as Reference;
    for (const name of names(resource as Resource)) {
      if ((subjects.get(name) ?? reference) !== reference) {
        throw new ForAPerson("two patients of the message have the same number of a report or specimen");
      }
      subjects.set(name, reference);
    }
  }
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
  return (await resultsOf(client, standing))
    .filter((known) => !own.has(addressOf(known)))
    .flatMap((known) => {
      const gone = goneWith({ status, time }, known);
      return gone === undefined ? [] : [replaced(undefined, gone, known)];
    });
}

/**
 * Results that the message takes back (OBX-11 W, D) and that stand under another number: one that was told alone, and is told now
 * beside the right one, with the same code and no OBX-4 to tell the two apart. It is the one with the value that is taken back, or
 * the only one.
 */
async function takenBack(
  client: MedplumClient, bundle: Bundle, standing: DiagnosticReport, { result }: DiagnosticReport, time: Time,
): Promise<BundleEntry[]> {
  const named = new Set(result?.map(({ reference }) => reference));
  const back = all<Observation>(bundle, "Observation").map(({ resource }) => resource)
    .filter((own) => named.has(addressOf(own)) && own.status === "entered-in-error");
  const before = new Set(standing.result?.map(({ reference }) => reference));
  if (back.every((own) => before.has(addressOf(own)))) {
    return [];
  }
  const known = (await resultsOf(client, standing))
    .filter((one) => !named.has(addressOf(one)) && one.status !== "entered-in-error");
  const withValue = (one: Observation): string[] => codesOf(one).map((code) => `${code} ${valueOf(one)}`);
  const [ofCode, ofValue] = [byCode(known), grouped(known, withValue)];
  return back.filter((own) => !before.has(addressOf(own))).flatMap((own) => {
    const same = codesOf(own).map((code) => ofCode.get(code)).find((some) => some !== undefined);
    const [one] = same?.length === 1 ? same : withValue(own).flatMap((key) => ofValue.get(key)?.slice(0, 1) ?? []);
    return one === undefined || !isOlder(one, own, time) ? [] : [replaced(undefined, told({ ...one, status: own.status }, time), one)];
  });
}

/** Documents come out of the results and into the report. */
function takeDocuments(bundle: Bundle, report: DiagnosticReport): { binary: Resource; attachment: Attachment & { url: string } }[] {
  const taken: { binary: Resource; attachment: Attachment & { url: string } }[] = [];
  for (const { fullUrl, resource } of all<Observation>(bundle, "Observation")) {
    const { contentType, data } = attachedTo(resource) ?? {};
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
  return known(report.identifier);
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
  client: MedplumClient, message: Message, bundle: Bundle, isMixed: (standing: Owned, news: Resource) => Promise<boolean>,
): Promise<void> {
  const visits = new Map<string, Reference | undefined>();
  for (const { fullUrl, resource } of all<Encounter>(bundle, "Encounter")) {
    const numbers = known(resource.identifier);
    const found: Encounter[] = numbers.length === 0
      ? []
      : await client.searchResources("Encounter", { identifier: numbers.map(token).join(",") });
    for (const visit of found) {
      if (await isMixed(visit, resource)) {
        throw new ForAPerson("the visit with its number is another patient's");
      }
    }
    const number = numbers[0] && { type: "Encounter", identifier: { system: numbers[0].system, value: numbers[0].value } };
    visits.set(fullUrl as string, found.length === 1 ? { reference: `Encounter/${found[0]?.id}` } : number);
  }
  bundle.entry = bundle.entry?.filter(({ fullUrl }) => !visits.has(fullUrl as string));
  // A number of no known authority finds no visit; it says, to people, which one it was.
  const [value, ...others] = message.all("PV1(*)-19.1");
  const unknown = value && others.length === 0 ? { type: "Encounter", identifier: { value } } : undefined;
  for (const { resource } of bundle.entry ?? []) {
    const holder = resource as { encounter?: Reference };
    if (holder.encounter?.reference !== undefined) {
      const { reference } = holder.encounter;
      const visit = visits.has(reference) ? visits.get(reference) : unknown;
      if (visit === undefined) {
        delete holder.encounter;
      } else {
        holder.encounter = visit;
      }
    }
  }
}
