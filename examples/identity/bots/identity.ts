/**
 * One record for each person. A message finds its patient by any identifier that tells persons apart (`patients.ts`); it
 * creates, updates or merges. An update unites what sources know; a merge keeps the retired identifier, so that whoever still
 * uses it finds the one that remains. A message that comes again, or late, changes nothing that a newer one told. A visit
 * stays its patient's.
 */
import type {
  Address, Bundle, BundleEntry, ContactPoint, Encounter, Extension, HumanName, Identifier, Patient, Resource,
} from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, log } from "pipehat";
import {
  ForAPerson, byIdentifier, created, isNewer, keeping, keptBy, known, led, orPark, perform, replaced, timeOf, told, token, translated, turnOf, turnedAt,
  united, untilNobodyWasQuicker, withReferenced, type Time, type Turn,
} from "./feed";
import { find, isOfAnother, numbersIn, peopleOf, recordOf, type Person } from "./patients";

/** What a field's `""` takes away (HL7 v2.5.1 §2.5.3): an element, or of a list that several fields feed the field's own items. */
interface Deleted {
  field: string;
  element: string;
  those?: (item: never) => boolean;
}

const isAt = (url: string) => ({ url: own }: Extension): boolean => own === url;
const extended = (field: string, name: string): Deleted =>
  ({ field, element: "extension", those: isAt(`http://hl7.org/fhir/StructureDefinition/patient-${name}`) });
const isAtWork = ({ use }: ContactPoint): boolean => use === "work";

/** Numbers of PID-2 to PID-4 are none of these: they are united, and A40 retires them. */
const DELETED: Deleted[] = [
  { field: "PID-5", element: "name", those: (name: HumanName) => !isAlias(name) },
  extended("PID-6", "mothersMaidenName"),
  { field: "PID-7", element: "birthDate" },
  { field: "PID-8", element: "gender" },
  { field: "PID-9", element: "name", those: (name: HumanName) => isAlias(name) },
  { field: "PID-11", element: "address", those: (address: Address) => !isCounty(address) },
  { field: "PID-13", element: "telecom", those: (contact: ContactPoint) => !isAtWork(contact) },
  { field: "PID-14", element: "telecom", those: isAtWork },
  { field: "PID-15", element: "communication" },
  { field: "PID-16", element: "maritalStatus" },
  extended("PID-17", "religion"),
  { field: "PID-19", element: "identifier", those: ({ system }: Identifier) => system === "http://hl7.org/fhir/sid/us-ssn" },
  { field: "PID-20", element: "identifier", those: ({ type }: Identifier) => type?.coding?.[0]?.code === "DL" },
  extended("PID-23", "birthPlace"),
  { field: "PID-24", element: "multipleBirthBoolean" },
  { field: "PID-25", element: "multipleBirthInteger" },
  extended("PID-26", "citizenship"),
  extended("PID-28", "nationality"),
  { field: "PID-29", element: "deceasedDateTime" },
  { field: "PID-30", element: "deceasedBoolean" },
];

const takesPart = (field: string, role: string): Deleted =>
  ({ field, element: "participant", those: (own: Participant) => roleOf(own).includes(role) });

/** Of a visit. What `""` in PV1-44 and PV1-45 takes away `goneOn` says. */
const DELETED_OF_VISIT: Deleted[] = [
  { field: "PV1-3", element: "location" },
  { field: "PV1-4", element: "type" },
  takesPart("PV1-7", "ATND"),
  takesPart("PV1-8", "REF"),
  takesPart("PV1-9", "CON"),
  { field: "PV1-10", element: "serviceType" },
  { field: "PV1-13", element: "hospitalization.reAdmission" },
  { field: "PV1-14", element: "hospitalization.admitSource" },
  { field: "PV1-15", element: "hospitalization.specialArrangement" },
  { field: "PV1-16", element: "hospitalization.specialCourtesy" },
  takesPart("PV1-17", "ADM"),
  { field: "PV1-36", element: "hospitalization.dischargeDisposition" },
  { field: "PV1-37", element: "hospitalization.destination" },
  { field: "PV1-38", element: "hospitalization.dietPreference" },
];

/** What belongs to a patient, and the parameter it is found by; what is done for an appointment goes before it. */
const BELONGINGS: Record<string, string> = {
  Task: "patient",
  Communication: "subject",
  Encounter: "subject",
  ServiceRequest: "subject",
  Specimen: "subject",
  Observation: "subject",
  DiagnosticReport: "subject",
  Appointment: "patient",
  Condition: "subject",
  AllergyIntolerance: "patient",
  Immunization: "patient",
  Procedure: "subject",
  MedicationRequest: "subject",
  MedicationDispense: "subject",
  MedicationAdministration: "subject",
  DocumentReference: "subject",
  RelatedPerson: "patient",
  Coverage: "beneficiary",
  Account: "subject",
  ChargeItem: "subject",
};

type Participant = NonNullable<Encounter["participant"]>[number];

/**
 * Two records of one person become one (HL7 v2.5.1 §3.3.40; those before it are of HL7 2.1 to 2.3: §3.3.18, §3.3.30, §3.3.34,
 * §3.3.36, §3.3.39). Persons are found by PID-3 and MRG-1 here, whichever event it is.
 */
const MERGES = new Set(["A18", "A30", "A34", "A36", "A39", "A40"]);

/**
 * What joins, moves or renames something else (A35, A41: accounts; A42: visits; A43 to A45: what goes to another record; A46 to
 * A51: numbers) or links two records (A24, A37): the datastore would stand otherwise than the sender's without a word.
 */
const BY_HAND = /^A(24|35|37|4[1-9]|5[01])$/;

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(() => tell(client, Message.parse(event.input as string)));
}

async function tell(client: MedplumClient, message: Message): Promise<void> {
  const trigger = message.text("MSH-9.2");
  if (BY_HAND.test(trigger)) {
    throw new ForAPerson("it joins, moves, renames or links what this workflow does not (MSH-9.2): it has to be done by a person");
  }
  const bundle: Bundle = await translated(message);
  if (isMergedIntoItself(message)) {
    throw new ForAPerson("the identifier to be retired (MRG-1) is the one that is to remain (PID-3)");
  }
  const people = peopleOf(message, bundle);
  for (const survivor of people.filter(({ patient }) => patient.active !== false)) {
    const links = survivor.patient.link ?? [];
    const retired = people.filter(({ fullUrl }) => links.some(({ other }) => other.reference === fullUrl));
    if (MERGES.has(trigger) && retired.length === 0) {
      throw new ForAPerson("a merge that names nobody who is merged (MRG-1)");
    }
    await untilNobodyWasQuicker(() => apply(client, message, bundle, survivor, retired));
  }
}

function isMergedIntoItself(message: Message): boolean {
  const stay = numbersIn(message, "PID(*)-3[*]");
  return numbersIn(message, "MRG(*)-1[*]")
    .some(({ value, authority }) => stay.some((other) => other.value === value && other.authority === authority));
}

/** Writes what the message tells of one patient. False: another was quicker. */
async function apply(
  client: MedplumClient, message: Message, bundle: Bundle, survivor: Person, retired: Person[],
): Promise<boolean> {
  const time = timeOf(message);
  const standing = await recordOf(client, survivor, true);
  const old = retired.flatMap(({ identifiers }) => identifiers)
    .filter((identifier) => !survivor.identifiers.some((kept) => token(kept) === token(identifier)));
  const prior = await find(client, old);
  const gone = prior.current.filter(({ id }) => id !== standing?.id);
  if (gone.some((patient) => old.some((identifier) => isRetired(patient, identifier)))) {
    throw new ForAPerson("the identifier to be retired was merged into another patient before");
  }
  if (standing !== undefined && prior.current.some(({ id }) => id === standing.id)
    && survivor.identifiers.every((identifier) => isRetired(standing, identifier))
    && old.some((identifier) => isCurrent(standing, identifier))) {
    throw new ForAPerson("the identifier that is to remain was retired before, in favour of the one to be retired");
  }
  const stays = await visits(client, message, bundle, survivor, time, [standing, ...gone, ...prior.all]);
  if (stays === undefined) {
    // Unless another made the patient, and the visit, meanwhile.
    const now = await find(client, survivor.identifiers);
    if (now.current[0]?.id !== standing?.id) {
      return false;
    }
    throw new ForAPerson("the visit with its number is another patient's");
  }

  const patient = await merged(message, time, survivor, standing, gone, prior.all, old);
  const target = standing === undefined ? survivor.fullUrl : `Patient/${standing.id}`;
  const entries = [
    standing === undefined
      ? created(survivor.fullUrl, patient, byIdentifier(survivor.identifiers))
      : replaced(survivor.fullUrl, patient, standing),
    ...gone.map((one) => replaced(undefined, retiredInto(one, target), one)),
    ...stays,
  ];
  const ours = await perform(client, withReferenced(entries, bundle));
  if (!ours) {
    return false;
  }
  const into = standing?.id ?? (await find(client, survivor.identifiers)).current[0]?.id;
  for (const one of prior.all.filter(({ id }) => id !== into)) {
    await move(client, `Patient/${one.id}`, `Patient/${into}`);
  }
  return true;
}

function isRetired(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use === "old" && token(known) === token(identifier));
}

function isCurrent(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use !== "old" && token(known) === token(identifier));
}

/** The record that remains. */
async function merged(
  message: Message, time: Time, survivor: Person, standing: Patient | undefined, gone: Patient[], prior: Patient[],
  old: Identifier[],
): Promise<Patient> {
  const pid = segmentOf(message, "PID", 3, survivor.identifiers);
  const { link: _, ...news } = bySource(survivor.patient, message, pid);
  let patient: Patient = { ...news, active: true };
  if (standing === undefined) {
    patient = told(patient, time);
  } else if (isNewer(standing, time)) {
    patient = standing;
  } else {
    patient = told(overlaid(standing, news, message, pid), time);
  }
  // What only the record that goes knew.
  for (const one of gone) {
    const { id: _id, meta: _meta, link: _link, text: _text, ...known } = one;
    patient = { ...known, ...patient };
  }
  const retired = old.map((identifier) => ({ ...identifier, use: "old" as const }));
  // A late message deletes nothing.
  const kept = standing === undefined || isNewer(standing, time) ? standing : without(standing, message, pid, DELETED);
  const lists = [kept?.identifier, ...prior.filter(({ id }) => id !== standing?.id).map(({ identifier }) => identifier), news.identifier, retired];
  const links = [
    ...(standing?.link ?? []),
    ...gone.map(({ id }) => ({ other: { reference: `Patient/${id}` }, type: "replaces" as const })),
  ];
  patient = { ...patient, identifier: united(...lists) };
  return links.length === 0 ? patient : { ...patient, link: links };
}

/** What stands, with what is told in its place: what the message does not speak of stays. */
function overlaid(standing: Patient, news: Patient, message: Message, pid: string): Patient {
  const kept = without(standing, message, pid, DELETED);
  if (isDeleted(message, "NK1(*)-1") || isDeleted(message, "NK1(*)-2")) {
    delete kept.contact;
  }
  if (isDeleted(message, `${pid}-12`)) {
    kept.address = kept.address?.filter((address) => !isCounty(address)).map(withoutCounty);
  }
  // What a primitive of before had beside its value, such as a time of birth, goes with it.
  for (const name of Object.keys(news)) {
    delete kept[`_${name}` as keyof Patient];
  }
  const next: Patient = { ...kept, ...news, id: standing.id, meta: standing.meta, active: standing.active };
  next.extension = bySlot(kept.extension, news.extension, ({ url }) => url);
  next.name = bySlot(kept.name, news.name, (name) => `${isAlias(name)}`);
  next.telecom = bySlot(kept.telecom, news.telecom, ({ system, use }) => `${system} ${use}`);
  next.address = bySlot(kept.address, news.address, ({ use, type }) => `${use} ${type}`);
  // Elements of a choice take each other's place.
  for (const choice of ["deceased", "multipleBirth"]) {
    const one = Object.keys(news).find((name) => name.startsWith(choice));
    for (const name of Object.keys(next).filter((name) => one !== undefined && name.startsWith(choice) && name !== one)) {
      delete next[name as keyof Patient];
    }
  }
  return next;
}

/** Where PID-9 gave a name, and PID-5 did not: HL7 takes them apart, and FHIR has one list. */
const ALIAS = "urn:pipehat:alias";

function isAlias({ extension }: HumanName): boolean {
  return extension?.some(({ url }) => url === ALIAS) === true;
}

/** An address of which PID-12 alone is known. */
function isCounty(address: Address): boolean {
  return Object.keys(address).every((name) => name === "district");
}

function withoutCounty({ district: _, ...address }: Address): Address {
  return address;
}

/** The patient, whose lists tell from which field an item is. */
function bySource(patient: Patient, message: Message, pid: string): Patient {
  // The translation has those of PID-9 behind those of PID-5.
  const aliases = message.paths(`${pid}-9[*]`).filter((at) => ["1.1", "2"].some((part) => isTold(message, `${at}.${part}`))).length;
  const first = (patient.name?.length ?? 0) - aliases;
  const name = patient.name?.map((own, at) =>
    (at < first ? own : { ...own, extension: [...(own.extension ?? []), { url: ALIAS, valueBoolean: true }] }));
  // An e-mail address (XTN.2 NET) has no use by itself.
  const business = message.all(`${pid}-14[*].4`).filter(Boolean);
  const telecom = patient.telecom?.map((own) =>
    (own.use === undefined && business.includes(own.value ?? "") ? { ...own, use: "work" as const } : own));
  return { ...patient, ...(name && { name }), ...(telecom && { telecom }) };
}

function isTold(message: Message, path: string): boolean {
  return message.has(path) && message.raw(path) !== '""';
}

/** Whether a field, or one of its repetitions, is `""`. */
function isDeleted(message: Message, path: string): boolean {
  return message.paths(`${path}[*]`).some((at) => message.raw(at) === '""');
}

/** What is left where a segment's fields are `""`. */
function without<T extends Resource>(standing: T, message: Message, segment: string, table: Deleted[]): T {
  const left = structuredClone(standing) as T & Record<string, unknown>;
  for (const { field, element, those } of table.filter(({ field }) => isDeleted(message, field.replace(/^\w+/, segment)))) {
    const [name, parent] = element.split(".").reverse() as [string, string?];
    const holder = (parent === undefined ? left : left[parent]) as Record<string, unknown> | undefined;
    const others = those === undefined ? [] : ((holder?.[name] ?? []) as never[]).filter((item) => !those(item));
    if (holder === undefined || others.length > 0) {
      Object.assign(holder ?? {}, { [name]: others });
      continue;
    }
    delete holder[name];
    delete holder[`_${name}`];
    if (parent !== undefined && Object.keys(holder).length === 0) {
      delete (left as Record<string, unknown>)[parent];
    }
  }
  return left;
}

/** The segment that tells of what has one of these numbers. */
function segmentOf(message: Message, name: string, field: number, identifiers: Identifier[]): string {
  const found = message.segments(name).find(({ path }) =>
    message.all(`${path}-${field}[*].1`).some((number) => identifiers.some(({ value }) => value === number.trim())));
  return found?.path ?? name;
}

/** Lists of several kinds of things, of which the message may tell only some. */
function bySlot<T>(standing: T[] | undefined, news: T[] | undefined, slot: (item: T) => string): T[] | undefined {
  if (standing === undefined || news === undefined) {
    return news ?? standing;
  }
  const told = new Set(news.map(slot));
  return [...news, ...standing.filter((item) => !told.has(slot(item)))];
}

/** The record that goes: it stays to be read, and leads to the one that remains. */
function retiredInto(patient: Patient, survivor: string): Patient {
  const others = (patient.link ?? []).filter(({ type }) => type !== "replaced-by");
  return { ...patient, active: false, link: [...others, { other: { reference: survivor }, type: "replaced-by" }] };
}

/** The visits that the message tells of, by their number (PV1-19). None where one is of somebody else than these. */
async function visits(
  client: MedplumClient, message: Message, bundle: Bundle, survivor: Person, time: Required<Time>, owners: (Patient | undefined)[],
): Promise<BundleEntry[] | undefined> {
  const visits = (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === "Encounter");
  const numbered = visits.filter(({ resource }) => known((resource as Encounter).identifier).length > 0);
  if (message.all("PV1(*)-19.1").filter(Boolean).length > numbered.length) {
    throw new ForAPerson("the visit's number is of no known authority (PV1-19.4, or MSH-4): see tables/authorities.csv");
  }
  if (message.has("PV1") && numbered.length === 0) {
    log.warn("the visit has no number (PV1-19), and is not kept");
  }
  const entries: BundleEntry[] = [];
  for (const entry of numbered) {
    const { fullUrl, resource } = entry;
    const news = resource as Encounter;
    const numbers = known(news.identifier);
    if (news.subject?.reference !== survivor.fullUrl) {
      continue;
    }
    const found: Encounter[] = await client.searchResources("Encounter", { identifier: numbers.map(token).join(",") });
    const [standing] = found;
    if (standing === undefined) {
      const event = speaksOfEnds(entry) ? time.event : undefined;
      const byUpdate = news.status === "finished" && isUpdate(message) ? event : undefined;
      entries.push(created(fullUrl, told(turnedAt(news, { event, byUpdate }), time), byIdentifier(numbers)));
      continue;
    }
    let isTheirs = false;
    for (const id of new Set(owners.map((owner) => owner?.id))) {
      isTheirs ||= !(await isOfAnother(client, standing.subject, id));
    }
    if (!isTheirs) {
      return undefined;
    }
    // Places that were left, and aren't told, the datastore keeps.
    const places = isNewer(standing, time) ? [] : keptBy(entry).filter(({ url }) => url === "items");
    entries.push(keeping(replaced(fullUrl, goneOn(message, time, standing, entry), standing), places));
  }
  return entries;
}

const OVER = new Set(["finished", "cancelled"]);

/** They tell something of a patient or a visit, and an end by PV1-45 alone (HL7 v2.5.1 §3.3.8, §3.3.28, §3.3.31). */
const UPDATES = new Set(["A08", "A28", "A31", ...MERGES]);

/** How a visit goes on: of begin and end, of which an update doesn't speak, the newest message counts that does. */
function goneOn(message: Message, time: Required<Time>, standing: Encounter, entry: BundleEntry): Encounter {
  const news = entry.resource as Encounter;
  const pv1 = segmentOf(message, "PV1", 19, news.identifier ?? []);
  const trigger = message.text("MSH-9.2");
  const isNews = !isNewer(standing, time);
  const turn = turnOf(standing);
  const ends = news.period?.end;
  const settles = speaksOfEnds(entry) && !isTakenBack(message, time, ends, turn)
    && (turn.event === undefined ? isNews || !OVER.has(standing.status) : Date.parse(time.event) >= Date.parse(turn.event));

  const kept = isNews ? without(standing, message, pv1, DELETED_OF_VISIT) : standing;
  const [begun, ended] = ["44", "45"].map((field) => isNews && isDeleted(message, `${pv1}-${field}`));
  // An end that an update alone has told an update takes back, too; what an event has ended is over, only not known when.
  const reopens = ended === true && !settles && standing.status === "finished" && turn.byUpdate !== undefined;
  const stood = { start: begun ? undefined : standing.period?.start, end: ended ? undefined : standing.period?.end };
  const start = isNews ? news.period?.start ?? stood.start : stood.start ?? news.period?.start;
  let end = stood.end;
  let status = standing.status;
  if (settles) {
    // A discharge that is taken back (A13) was none; nor has what goes on an end.
    end = trigger === "A13" ? undefined : ends ?? (news.status === "finished" ? end : undefined);
    status = news.status;
  } else if (reopens) {
    status = start === undefined ? "unknown" : "in-progress";
  } else if (status === "unknown") {
    // What is not known yet an update may tell, too (PV1-44).
    status = news.status;
  }
  const said = settles ? news : withoutDischarge(news);
  const next = {
    ...(isNews ? { ...kept, ...said } : { ...said, ...kept }),
    identifier: united(standing.identifier, news.identifier),
    status,
  } as Encounter;
  const hospitalization = isNews ? { ...kept.hospitalization, ...said.hospitalization } : kept.hospitalization ?? said.hospitalization;
  if (hospitalization !== undefined && Object.keys(hospitalization).length > 0) {
    next.hospitalization = hospitalization;
  }
  if (isNews) {
    next.participant = bySlot(kept.participant, said.participant, (own) => roleOf(own).join());
  }
  delete next.period;
  if (start !== undefined || end !== undefined) {
    next.period = { ...(start && { start }), ...(end && { end }) };
  }
  if (settles && !isNews && standing.location !== undefined) {
    next.location = standing.location.map((place, at) => (news.location?.[at]?.status === "active" ? takenAgain(place) : place));
  } else if (reopens && kept.location !== undefined && news.location === undefined) {
    next.location = kept.location.map(takenAgain);
  }
  const takenBack = reopens || (settles && trigger === "A13") ? standing.period?.end ?? turn.takenBack : turn.takenBack;
  const isOn = reopens || (settles && status !== "finished");
  const byUpdate = status === "finished" && isUpdate(message) && standing.status !== "finished" ? time.event : turn.byUpdate;
  const turned = turnedAt(placed(isOn ? withoutDischarge(next) : next), {
    event: settles || reopens ? time.event : turn.event,
    takenBack,
    byUpdate: isOn || (settles && !isUpdate(message)) ? undefined : byUpdate,
  });
  return isNews ? told(turned, time) : turned;
}

/** Events that else neither begin nor end a visit. */
function isUpdate(message: Message): boolean {
  return UPDATES.has(message.text("MSH-9.2"));
}

/** What somebody does in a visit. */
function roleOf({ type }: Participant): string[] {
  return (type ?? []).flatMap(({ coding }) => coding?.map(({ code }) => code ?? "") ?? []);
}

/** A place that was left, as a newer message has it by how the visit stood. */
function takenAgain(place: NonNullable<Encounter["location"]>[number]): NonNullable<Encounter["location"]>[number] {
  if (place.status !== "completed") {
    return place;
  }
  const { period, ...rest } = place;
  return { ...rest, status: "active", ...(period?.start && { period: { start: period.start } }) };
}

/** Whether a message says that a visit begins, goes on or ends: an update (HL7 v2.5.1 §3.3.8) does only by PV1-45. */
function speaksOfEnds(entry: BundleEntry): boolean {
  return !keptBy(entry).some(({ url, valueString }) => url === "element" && valueString === "status");
}

/** What the place of a visit is that stands so. */
const PLACES: Partial<Record<Encounter["status"], "planned" | "active" | "completed">> = {
  planned: "planned", arrived: "active", triaged: "active", "in-progress": "active", onleave: "active", finished: "completed",
};

/** A place is held, taken or left as the visit goes: what a message that doesn't speak of the visit assumes of it doesn't count. */
function placed(visit: Encounter): Encounter {
  const location = visit.location?.map((place) => {
    const { status, ...rest } = place;
    if (visit.status === "unknown" || (status !== undefined && status !== "active" && status !== "planned")) {
      return place;
    }
    const own = PLACES[visit.status];
    return own === undefined ? rest : { ...rest, status: own };
  });
  return location === undefined ? visit : { ...visit, location } as Encounter;
}

/** A discharge that was taken back, told again: of the same end, and of no later event; where EVN-2 is empty that is not known. */
function isTakenBack(message: Message, time: Required<Time>, end: string | undefined, { event, takenBack }: Turn): boolean {
  return end !== undefined && takenBack !== undefined && Date.parse(end) === Date.parse(takenBack)
    && (!message.has("EVN-2") || Date.parse(time.event) <= Date.parse(event ?? time.event));
}

/** Where the patient went, and how, is told of a visit that ended. */
function withoutDischarge(visit: Encounter): Encounter {
  const { hospitalization, ...rest } = visit;
  const { dischargeDisposition: _, destination: _to, ...others } = hospitalization ?? {};
  return Object.keys(others).length === 0 ? rest as Encounter : { ...rest, hospitalization: others } as Encounter;
}

/** Leads to the record that remains all that belonged to the one that goes. */
async function move(client: MedplumClient, from: string, to: string): Promise<void> {
  for (const [type, parameter] of Object.entries(BELONGINGS)) {
    for (;;) {
      const found: Resource[] = await client.searchResources(type as "Encounter", { [parameter]: from, _count: "100" });
      if (found.length === 0) {
        break;
      }
      await perform(client, found.map((one) => replaced(undefined, led(one, new Map([[from, to]])), one)));
    }
  }
}
