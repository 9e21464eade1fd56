/**
 * Results: a corrected one replaces what stood, an older one never overwrites a newer, whatever order they come in. A
 * report belongs to the order with its placer or filler number; a document in it (OBX-2 ED) becomes its presented form.
 * The patient is the registration's: a result creates one where there is none, and changes none. Numbers never lead from
 * one patient to another: a message with those of another's report, order or visit waits for a person.
 */
import type {
  Bundle, BundleEntry, DiagnosticReport, Encounter, Identifier, Observation, Reference, Resource, ServiceRequest, Specimen,
} from "@medplum/fhirtypes";
import { deepEquals, type BotEvent, type MedplumClient } from "@medplum/core";
import { Message, log } from "pipehat";
import {
  ForAPerson, first, known, led, momentOf, orPark, perform, replaced, soFar, token, translated, united, untilNobodyWasQuicker, withReferenced,
} from "./feed";
import { find, isOfAnother, peopleOf, refer } from "./patients";
import { attachedTo, beside, binaryOf, documentIn, documentsOf, pairedWith, withDocuments, withNews, withoutEmptyDocument, type Document } from "./documents";
import {
  WITHDRAWN, countingAs, hasValue, highest, isGone, isUnsure, noteOf, notedIn, settled, statementOf, tellsValue, toldBy, withDeletedValue, withExtensions,
  type Statement, type Telling,
} from "./statements";
import { SUB_ID, idsIn, inPlace, likenessOf, placeIn, resultsAfter } from "./several";

/** What a report that is done is called (OBR-25 F, C, and the like). */
const DONE = new Set(["final", "amended", "corrected", "appended"]);

/** What is the laboratory's to say. */
const OWN = new Set(["DiagnosticReport", "Observation", "Specimen"]);

/** The statuses of a report and of a result, in all versions (HL7 tables 0123 and 0085). */
const STATUSES = { "OBR(*)-25": ["0123", "ACFIMNOPRSXYZ"], "OBX(*)-11": ["0085", "ABCDFINOPRSUVWX"] } as const;

/**
 * Events of ORU that tell results in the segments of R01: those of a device at the bed (HL7 v2.5.1 §7.3), and none, as
 * versions before 2.3 have it. Waveforms (W01), and results by specimen or container (OUL), have others.
 */
const EVENTS = new Set(["R01", "R30", "R31", "R32", ""]);

/** A report that tells no result yet, or none any more (table 0123). */
const WITHOUT_RESULTS = new Set(["I", "O", "S", "X", "D", "W"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    const [trigger, structure] = [message.text("MSH-9.2"), message.text("MSH-9.3")];
    if (message.text("MSH-9.1") !== "ORU" || !EVENTS.has(trigger) || trigger === "" && structure !== "" && structure !== "ORU_R01") {
      throw new ForAPerson("results that are told by another event than ORU^R01 (MSH-9) are not taken here: see EVENTS in bots/results.ts");
    }
    checkPlaces(message);
    checkStatuses(message);
    checkOrders(message);
    const bundle = underOwnIds(await translated(message));
    checkDocuments(message, bundle);
    timeStatements(message, bundle);
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

/** Whether something that stands is not of the patient whom what is told is of. */
type IsMixed = (standing: Owned, news: Resource) => Promise<boolean>;

/** How others refer to a result. */
function addressOf({ resourceType, id }: Resource): string {
  return `${resourceType}/${id}`;
}

function all<T extends Resource>(bundle: Bundle, type: string): (BundleEntry & { resource: T })[] {
  return (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === type) as never;
}

/** False: another was quicker. */
async function apply(client: MedplumClient, message: Message, bundle: Bundle): Promise<boolean> {
  const people = peopleOf(message, bundle);
  const records = await refer(client, bundle, people);
  checkWhose(bundle);
  const isMixed: IsMixed = async (standing, news) => {
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
  /** Where what is told under an address stands. */
  const homes = new Map<string, string>();
  const ordered: Ordered[] = [];
  const observations = new Set(all<Observation>(bundle, "Observation").map(({ resource }) => resource));
  for (const { fullUrl, resource: report } of all<DiagnosticReport>(bundle, "DiagnosticReport")) {
    const [standing] = await standingOf<DiagnosticReport>(client, [report]);
    const both = standing === undefined ? [report] : [report, standing];
    const { orders, found } = await ordersOf(client, { ...report, identifier: united(standing?.identifier, report.identifier) }, isMixed);
    await checkNumbers(client, both, found, isMixed);
    const documents = documentsOf(standing);
    entries.push(...takeDocuments(bundle, report, documents));
    const own = resultsIn(bundle, report).map(({ resource }) => resource);
    checkTakenBack(message, own, documents);
    const results = await resultsOf(client, standing, own, withdrawalOf(...both), isMixed, [...documents.values()]);
    entries.push(...results.entries);
    const next = withDocuments(reportAfter(report, standing, orders, results.homes), results.documents);
    if (!deepEquals(next, standing)) {
      entries.push(standing === undefined ? first(fullUrl, next) : replaced(fullUrl, next, standing));
    }
    if (standing !== undefined && isUnsure(statementOf(standing), statementOf(report))) {
      log.warn("told.undated: of two statements of a report one alone has OBR-22, and MSH-7 says otherwise which is the newer one");
    }
    const isNews = highest(both, statementOf) === report;
    ordered.push(...orders.map((order) => ({ order, report, isNews })));
    results.homes.forEach((home, address) => homes.set(address, home));
    own.forEach((one) => observations.delete(one));
  }
  // Some stand in no report, as those of a specimen.
  const others = all<Observation>(bundle, "Observation").map(({ resource }) => resource).filter((one) => observations.has(one));
  entries.push(...(await resultsOf(client, undefined, others, undefined, isMixed)).entries, ...completed(ordered));
  const specimens = all<Specimen>(bundle, "Specimen");
  const standing = new Map((await standingOf<Specimen>(client, specimens.map(({ resource }) => resource))).map((one) => [one.id, one]));
  for (const { fullUrl, resource } of specimens) {
    const before = standing.get(resource.id);
    if (before !== undefined && await isMixed(before, resource)) {
      throw new ForAPerson("the specimen with its number is another patient's");
    }
    const next = settled(before, resource);
    if (next !== undefined) {
      entries.push(before === undefined ? first(fullUrl, next) : replaced(fullUrl, next, before));
    }
  }
  return entries.length === 0 || perform(client, withReferenced(led(entries, homes), bundle));
}

/** Numbers never lead from one patient to another. */
async function checkNumbers(
  client: MedplumClient, reports: DiagnosticReport[], orders: ServiceRequest[], isMixed: IsMixed,
): Promise<void> {
  const [report, ...standing] = reports as [DiagnosticReport];
  for (const known of [...standing, ...await reportsOf(client, report)]) {
    if (await isMixed(known, report)) {
      throw new ForAPerson("a report with its placer or filler number is another patient's");
    }
  }
  // A filler's number is one order's (HL7 v2.5.1 §4.5.3.3): under another placer's number it would be told of the wrong one.
  const placers = placersOf(report);
  if (standing.some((known) => placers.length > 0 && placersOf(known).length > 0 && !placersOf(known).some((one) => placers.includes(one)))) {
    throw new ForAPerson("a report of the same test with its filler number (OBR-3) is another order's (OBR-2)");
  }
  for (const order of orders) {
    if (await isMixed(order, report)) {
      throw new ForAPerson("the order with its placer or filler number is another patient's");
    }
  }
}

/** The results of a report after a message: those that change, and where what is told under an address stands. */
async function resultsOf(
  client: MedplumClient, report: DiagnosticReport | undefined, news: Observation[], withdrawal: Statement | undefined, isMixed: IsMixed,
  documents: Document[] = [],
): Promise<{ entries: BundleEntry[]; homes: Map<string, string>; documents: Document[] }> {
  const ofReport = (report?.result ?? []).flatMap(({ reference }) => reference?.split("Observation/")[1] ?? []);
  const ofDocuments = new Set(documents.map(({ id }) => id));
  const ids = new Set([...ofReport, ...news.map(({ id }) => id as string), ...ofDocuments]);
  const stand = await standingOf<Observation>(client, [...ids].map(observation));
  const known = new Set(stand.map(({ id }) => id));
  stand.push(...await standingOf<Observation>(client, idsIn(stand).filter((id) => !known.has(id)).map(observation)));
  const byId = new Map(stand.map((one) => [one.id, one]));
  for (const one of news) {
    const before = byId.get(one.id);
    if (before !== undefined && await isMixed(before, one)) {
      throw new ForAPerson("the result with its number is another patient's");
    }
  }
  const [before, told] = [grouped(stand, likenessOf), grouped(news, likenessOf)];
  const homes = new Map<string, string>();
  const after = new Map(byId);
  const ofThose = stand.filter(({ id }) => ofDocuments.has(id as string)).map(likenessOf);
  for (const like of new Set([...withdrawal === undefined ? [] : before.keys(), ...told.keys(), ...ofThose])) {
    const outcome = resultsAfter(before.get(like) ?? [], told.get(like) ?? [], withdrawal);
    outcome.homes.forEach((home, id) => homes.set(id, home));
    outcome.changed.forEach((next) => after.set(next.id, next));
  }
  const stands = beside(documents, after);
  const entries = [...after.values()].flatMap((next) => {
    const standing = byId.get(next.id);
    const isSame = next === standing || standing !== undefined && deepEquals(next, { ...standing, subject: next.subject });
    return isSame ? [] : [standing === undefined ? first(undefined, next) : replaced(undefined, next, standing)];
  });
  const addresses = [...homes].map(([id, home]) => [`Observation/${id}`, `Observation/${home}`] as const);
  return { entries, homes: new Map(addresses), documents: stands };
}

/** The results of a report in a message. */
function resultsIn(bundle: Bundle, { result }: DiagnosticReport): (BundleEntry & { resource: Observation })[] {
  const own = new Set(result?.map(({ reference }) => reference));
  return all<Observation>(bundle, "Observation").filter(({ resource }) => own.has(addressOf(resource)));
}

function observation(id: string): Observation {
  return { resourceType: "Observation", id } as Observation;
}

function grouped<T, K>(all: T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one)) ?? [];
    group.push(one);
    groups.set(keyOf(one), group);
  }
  return groups;
}

/** Writes down when each report, result and specimen was told (OBR-22, MSH-7), and by which message. */
function timeStatements(message: Message, bundle: Bundle): void {
  const made = soFar(momentOf(message, "MSH-7"), "MSH-7");
  const deleted = deletedIn(message, message.paths("OBX(*)"));
  // Of two panels of one message the same drug may be deleted in one alone.
  const deletedOf = new Map<string, Set<string>>();
  const reports = all<DiagnosticReport>(bundle, "DiagnosticReport");
  const orders = ordersIn(message);
  const times = new Map<string, Telling>();
  const statuses = new Map<string, string>();
  const time = (released?: string): Telling => {
    const issued = soFar(released, "OBR-22", made);
    if ((made ?? issued) === undefined) {
      throw new ForAPerson("neither OBR-22 nor MSH-7 says when this was: the laboratory has to tell it");
    }
    // One in the future is as none: MSH-7 in its place would have a repetition undo a correction.
    return { ...(issued && issued === released && { event: issued }), message: (made ?? issued) as string, control: message.text("MSH-10") };
  };
  for (const [place, entry] of reports.entries()) {
    const { issued, result, specimen, status } = entry.resource;
    const at = time(issued);
    // Each OBR makes a report.
    const order = orders.length === reports.length ? orders[place] : undefined;
    const isCancelled = status === "unknown" && isCancelledByOrder(message, entry.resource, order);
    const deletedHere = order === undefined ? deleted : deletedIn(message, order.results);
    result?.forEach(({ reference }) => deletedOf.set(reference as string, deletedHere));
    const report = { ...entry.resource, ...(isCancelled && { status: "cancelled" as const }) };
    [...(result ?? []), ...(specimen ?? [])].forEach(({ reference }) => times.set(reference as string, at));
    result?.forEach(({ reference }) => statuses.set(reference as string, report.status));
    entry.resource = toldBy(report, at);
  }
  // Those of a specimen are of all reports of the message.
  const [ofAll, ...others] = new Set(all<DiagnosticReport>(bundle, "DiagnosticReport").map(({ resource }) => resource.status));
  for (const entry of [...all<Observation>(bundle, "Observation"), ...all<Observation>(bundle, "Specimen")]) {
    const { resource } = entry;
    const deletedHere = deletedOf.get(addressOf(resource)) ?? deleted;
    const isDeleted = resource.resourceType === "Observation" && !hasValue(resource) && resultKeys(resource).some((key) => deletedHere.has(key));
    const news = isDeleted ? withDeletedValue(resource) : withoutEmptyDocument(resource);
    const status = statuses.get(addressOf(resource)) ?? (others.length === 0 ? ofAll : undefined);
    entry.resource = toldBy(withStatus(news, status), times.get(addressOf(resource)) ?? time());
  }
  for (const { resource: report } of all<DiagnosticReport>(bundle, "DiagnosticReport")) {
    for (const several of grouped(resultsIn(bundle, report), ({ resource }) => likenessOf(resource)).values()) {
      several.forEach((entry, at) => several.length > 1 && (entry.resource = inPlace(entry.resource, at + 1, entry.resource.id as string)));
    }
  }
}

/**
 * A result with a value and without a status. HL7 v2.5.1 §7.4.2.11 requires one, but many laboratories tell it of the report alone
 * (OBR-25): the result is as far as that among all that is told of it, so that an older one never stands beside a newer report. Its own
 * status is not known.
 */
function withStatus(own: Observation, ofReport: string | undefined): Observation {
  // Of what nobody asked for (OBX-11 N) there is no result.
  if (own.resourceType !== "Observation" || own.status !== "unknown" || own.dataAbsentReason !== undefined || !tellsValue(own)) {
    return own;
  }
  if (ofReport === undefined || ofReport === "unknown") {
    throw new ForAPerson("neither OBX-11 nor OBR-25 says of a result whether it is final: the laboratory has to tell it");
  }
  if (WITHDRAWN.has(ofReport)) {
    return { ...own, status: ofReport as Observation["status"] };
  }
  log.warn("told.statusless: a result has no status of its own (OBX-11): it counts as its report does (OBR-25), and its status is unknown");
  return countingAs(own, ofReport);
}

/** A code that nobody knows may be a correction's: as none it would leave the wrong value. */
function checkStatuses(message: Message): void {
  for (const [field, [table, codes]] of Object.entries(STATUSES)) {
    const isKnown = (code: string): boolean => code === "" || code === '""' || code.length === 1 && codes.includes(code);
    if (!message.paths(field).every((path) => isKnown(message.text(path)))) {
      throw new ForAPerson(`${field.replace("(*)", "")} is no code of HL7 table ${table}: map the laboratory's own codes in a step`);
    }
  }
}

/** An OBR of a message, with its ORC and its OBX, as paths. */
interface OrderTold {
  orc?: string;
  obr: string;
  results: string[];
}

function ordersIn(message: Message): OrderTold[] {
  const counts = new Map<string, number>();
  const orders: OrderTold[] = [];
  let orc: string | undefined;
  for (const name of message.toString().split(/[\r\n]+/).map((line) => line.slice(0, 3))) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const path = `${name}(${counts.get(name)})`;
    if (name === "ORC") {
      orc = path;
    } else if (name === "OBR") {
      orders.push({ ...(orc !== undefined && { orc }), obr: path, results: [] });
      orc = undefined;
    } else if (name === "OBX") {
      orders.at(-1)?.results.push(path);
    }
  }
  return orders;
}

/**
 * A result is of the OBR before it. One that stands elsewhere would be in no report, which then says that nothing was found: behind
 * PID an OBX tells of the patient (PATIENT_OBSERVATION, from 2.7 on), behind SPM of the specimen, and elsewhere of nothing.
 */
function checkPlaces(message: Message): void {
  const tellsOfPatients = Number.parseFloat(message.text("MSH-12.1")) >= 2.7;
  const reports: { status: string; own: number; besides: number }[] = [];
  let [place, early] = ["", 0];
  for (const name of message.toString().split(/[\r\n]+/).map((line) => line.slice(0, 3))) {
    const report = reports.at(-1);
    if (name === "OBR") {
      reports.push({ status: message.text(`OBR(${reports.length + 1})-25`), own: 0, besides: early });
    }
    if (["PID", "PV1", "ORC", "OBR", "SPM"].includes(name)) {
      early = name === "PID" || name === "OBR" ? 0 : early;
      place = name;
    } else if (name === "OBX" && place === "PID" && tellsOfPatients) {
      early += 1;
    } else if (name === "OBX") {
      if (report === undefined || place !== "OBR" && place !== "SPM") {
        throw new ForAPerson("an OBX stands before its OBR: the report would be without it");
      }
      report[place === "OBR" ? "own" : "besides"] += 1;
    }
  }
  if (reports.some(({ status, own, besides }) => own === 0 && besides > 0 && !WITHOUT_RESULTS.has(status))) {
    throw new ForAPerson("a report has no OBX behind its OBR, but some before it, or behind SPM: it would be without results");
  }
}

/** ORC and its OBR have the same numbers (HL7 v2.5.1 §4.5.1.2, §4.5.1.3, §4.5.3.2): of two it is not known which order it is. */
function checkOrders(message: Message): void {
  for (const { orc, obr } of ordersIn(message)) {
    for (const field of orc === undefined ? [] : [2, 3]) {
      const differs = (part: number): boolean => {
        const [one, other] = [message.text(`${orc}-${field}.${part}`), message.text(`${obr}-${field}.${part}`)];
        return one !== "" && other !== "" && one !== other;
      };
      if (differs(1) || differs(3)) {
        throw new ForAPerson(`ORC-${field} and OBR-${field} are different numbers: the laboratory has to tell of which order the report is`);
      }
    }
  }
}

/**
 * Whether its order says that it was cancelled (ORC-1 OC, CA, CR; ORC-5 CA: tables 0119 and 0038), where OBR-25 is empty: its own ORC, for
 * panels of two parents (OBR-29) may have one number; without one, an ORC with its number.
 */
function isCancelledByOrder(message: Message, report: DiagnosticReport, told: OrderTold | undefined): boolean {
  const numbers = new Set(numbersOf(report).map(({ value }) => value));
  const ofNumber = (order: string): boolean => [`${order}-2.1`, `${order}-3.1`].some((path) => numbers.has(message.text(path)));
  const orders = told?.orc === undefined ? message.paths("ORC(*)").filter(ofNumber) : [told.orc];
  return orders.some((order) => ["OC", "CA", "CR"].includes(message.text(`${order}-1`)) || message.text(`${order}-5`) === "CA");
}

/** The results whose value is deleted (OBX-5 is `""`: HL7 v2.5.1 §2.5.3), by code and OBX-4. */
function deletedIn(message: Message, results: string[]): Set<string> {
  const deleted = results.filter((path) => message.get(`${path}-5`) === '""');
  return new Set(deleted.flatMap((path) => [message.text(`${path}-3.1`), message.text(`${path}-3.4`)]
    .filter((code) => code !== "").map((code) => `${code} ${message.text(`${path}-4.1`)}`)));
}

function resultKeys({ code, extension }: Observation): string[] {
  const subId = extension?.find(({ url }) => url === SUB_ID);
  return (code?.coding ?? []).map((coding) => `${coding.code} ${subId?.extension?.[0]?.valueString ?? ""}`);
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

/** The withdrawal of a report, with which those of its results go that are not told again. */
const WITHDRAWN_BY = "urn:pipehat:withdrawn-by";

function withdrawalOf(...reports: DiagnosticReport[]): Statement | undefined {
  const all = reports.map((report) => (WITHDRAWN.has(report.status) ? statementOf(report) : notedIn(report, WITHDRAWN_BY)));
  return highest(all.filter((one) => one !== undefined), (one) => one);
}

/** The report as it is to stand: the higher statement says what it is, and what any told of it is in it. */
function reportAfter(
  news: DiagnosticReport, standing: DiagnosticReport | undefined, orders: ServiceRequest[], homes: Map<string, string>,
): DiagnosticReport {
  const both = standing === undefined ? [news] : [news, standing];
  const { basedOn: _, ...stands } = highest(both, statementOf) as DiagnosticReport;
  const withdrawal = withdrawalOf(...both);
  const identifier = united(standing?.identifier, news.identifier);
  // Laboratories send what is new of a report: what was told before belongs to it, too.
  const joined = (own: "result" | "specimen"): Partial<DiagnosticReport> => {
    const others = own === "result" ? [...homes.values()].map((reference) => ({ reference })) : [];
    const all = new Map(led([...(standing?.[own] ?? []), ...(news[own] ?? []), ...others], homes).map((one) => [one.reference, one]));
    return all.size === 0 ? {} : { [own]: [...all.values()] };
  };
  // The order may be another system's: its number is what is known.
  const number = { type: "ServiceRequest", identifier: known(identifier).find(isPlacers) ?? known(identifier)[0] };
  const isFound = standing?.basedOn?.some(({ reference }) => reference !== undefined);
  const basedOn = orders.length > 0 ? orders.map((order) => ({ reference: addressOf(order) })) : isFound ? standing?.basedOn : [number];
  const isNoted = withdrawal !== undefined && !WITHDRAWN.has(stands.status);
  return withExtensions(
    { ...stands, identifier, basedOn: basedOn as DiagnosticReport["basedOn"], ...joined("result"), ...joined("specimen") },
    WITHDRAWN_BY, isNoted ? [noteOf(WITHDRAWN_BY, withdrawal)] : [],
  );
}

/** Whether a text or its document is taken back, OBX-2 alone says: of a text it has TX, FT or ST. */
function checkTakenBack(message: Message, results: Observation[], documents: Map<string, Document>): void {
  const alone = results.filter((one) => isGone(one) && !hasValue(one) && placeIn(one) === 0
    && pairedWith({ like: likenessOf(one), place: 0 }, [...documents.values()]) !== undefined);
  const isOfText = (one: Observation): boolean => message.paths("OBX(*)").some((path) =>
    !["", "ED", "RP"].includes(message.text(`${path}-2`)) && resultKeys(one).includes(`${message.text(`${path}-3.1`)} ${message.text(`${path}-4.1`)}`));
  if (!alone.every(isOfText)) {
    throw new ForAPerson("a text and a document have one code and OBX-4, and one of them is taken back: the laboratory has to tell both");
  }
}

/** Documents come out of the results: what is in those that are new is written down. */
function takeDocuments(bundle: Bundle, report: DiagnosticReport, documents: Map<string, Document>): BundleEntry[] {
  const entries: BundleEntry[] = [];
  const taken = new Set<string>();
  for (const { resource } of resultsIn(bundle, report)) {
    const document = documentIn(resource);
    if (document !== undefined) {
      taken.add(addressOf(resource));
      if (withNews(documents, document)) {
        const { contentType, data } = attachedTo(resource) ?? {};
        const type = contentType ?? "application/octet-stream";
        const binary = { resourceType: "Binary", id: resource.id, contentType: type, data } as Resource;
        entries.push({ resource: binary, request: { method: "PUT", url: binaryOf(document) } });
      }
    }
  }
  report.result = report.result?.filter(({ reference }) => !taken.has(reference as string));
  if (report.result?.length === 0) {
    delete report.result;
  }
  bundle.entry = bundle.entry?.filter(({ resource }) => !taken.has(addressOf(resource as Resource)));
  return entries;
}

function placersOf(report: DiagnosticReport): string[] {
  return numbersOf(report).filter(isPlacers).map(token);
}

function isPlacers({ type }: Identifier): boolean {
  return type?.coding?.some(({ code }) => code === "PLAC") === true;
}

function isFillers({ type }: Identifier): boolean {
  return type?.coding?.some(({ code }) => code === "FILL") === true;
}

function numbersOf(report: DiagnosticReport): Identifier[] {
  return known(report.identifier);
}

/** What stands of other tests of the order, too. */
async function reportsOf(client: MedplumClient, report: DiagnosticReport): Promise<DiagnosticReport[]> {
  const numbers = numbersOf(report);
  return numbers.length === 0 ? [] : client.searchResources("DiagnosticReport", { identifier: numbers.map(token).join(","), _count: "100" });
}

/**
 * The orders that a report is of, and those found that mustn't be another patient's. An order is the placer's by its number, and OBR-3
 * adds none where OBR-2 finds one (HL7 v2.5.1 §4.5.3.2, §4.5.3.3): laboratories give one number to all that came in one tube. Of
 * several those for the same thing; which of others it is, nobody knows.
 */
async function ordersOf(
  client: MedplumClient, report: DiagnosticReport, isMixed: IsMixed,
): Promise<{ orders: ServiceRequest[]; found: ServiceRequest[] }> {
  const numbers = numbersOf(report);
  if (numbers.length === 0) {
    return { orders: [], found: [] };
  }
  const found = await client.searchResources("ServiceRequest", { identifier: numbers.map(token).join(","), _count: "100" });
  const codes = new Set(report.code?.coding?.map((coding) => token({ system: coding.system, value: coding.code })));
  const isSame = ({ code }: ServiceRequest): boolean =>
    code?.coding?.some(({ system, code: value }) => codes.has(token({ system, value }))) === true;
  const placers = numbers.filter(isPlacers);
  const ofPlacer = placers.length > 0 ? found.filter((order) => hasOneOf(order, placers)) : await echoed(client, report, isSame, isMixed);
  const named = ofPlacer.length > 0 ? ofPlacer : found.filter((order) => !isOfAnotherNumber(order, placers, numbers));
  const same = named.filter(isSame);
  const checked = found.filter(isSame);
  return {
    orders: same.length > 0 ? same : named.length === 1 ? named : [],
    found: checked.length > 0 ? [...new Set([...checked, ...same])] : found,
  };
}

/**
 * The order with a placer's number that names no authority (the laboratory sends back half of what it was sent): one alone of the
 * same patient that was sent has it, which is no guess. Of several, one alone for the same thing.
 */
async function echoed(
  client: MedplumClient, report: DiagnosticReport, isSame: (order: ServiceRequest) => boolean, isMixed: IsMixed,
): Promise<ServiceRequest[]> {
  const value = report.identifier?.find((own) => isPlacers(own) && own.system === undefined)?.value;
  if (value === undefined) {
    return [];
  }
  const candidates = await client.searchResources("ServiceRequest", { identifier: value.replace(/[\\|,$]/g, "\\$&"), _count: "100" });
  const own: ServiceRequest[] = [];
  for (const order of candidates) {
    const isPlaced = order.identifier?.some((one) => one.value === value && !isFillers(one)) === true;
    if (isPlaced && order.status !== "draft" && order.subject?.reference !== undefined && !await isMixed(order, report)) {
      own.push(order);
    }
  }
  const same = own.filter(isSame);
  const [order, ...others] = same.length > 0 ? same : own;
  if (others.length > 0) {
    throw new ForAPerson("the placer's number (OBR-2) names no authority, and several orders of the patient have it");
  }
  if (order === undefined) {
    log.info("told.unnamed: the placer's number (OBR-2) names no authority, and no order of the patient has it");
  }
  return order === undefined ? [] : [order];
}

function hasOneOf({ identifier }: ServiceRequest, numbers: Identifier[]): boolean {
  const own = new Set(known(identifier).map(token));
  return numbers.some((number) => own.has(token(number)));
}

/** Whether the placer has it under another number than the report's: in the same system, and not as the filler's. */
function isOfAnotherNumber({ identifier }: ServiceRequest, placers: Identifier[], numbers: Identifier[]): boolean {
  const told = new Set(numbers.map(token));
  return known(identifier).some((own) =>
    !isFillers(own) && !told.has(token(own)) && placers.some(({ system }) => system === own.system));
}

/** An order, and what a message reports of it. */
interface Ordered {
  order: ServiceRequest;
  report: DiagnosticReport;
  /** Nothing stands before it. */
  isNews: boolean;
}

/** Orders that are done when all is that the message reports of them, and that are known by the laboratory's numbers then, too. */
function completed(ordered: Ordered[]): BundleEntry[] {
  // One on hold that is done after all is not to be done again.
  const open = ordered.filter(({ order }) => order.status === "active" || order.status === "on-hold");
  return [...grouped(open, ({ order }) => order.id).values()].flatMap((all) => {
    const { order } = all[0] as Ordered;
    const isDone = all.some(({ report, isNews }) => isNews && DONE.has(report.status))
      && all.every(({ report }) => DONE.has(report.status) || WITHDRAWN.has(report.status));
    const identifier = united(order.identifier, ...all.map(({ report }) => numbersOf(report)));
    return isDone ? [replaced(undefined, { ...order, status: "completed", identifier } as ServiceRequest, order)] : [];
  });
}

/** A visit is the registration's, too: what stands is referred to, what doesn't is named by its number. */
async function withVisits(
  client: MedplumClient, message: Message, bundle: Bundle, isMixed: IsMixed,
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
