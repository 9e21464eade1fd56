/**
 * One record for each person. A message finds its patient by any identifier that tells persons apart (`patients.ts`); it
 * creates, updates or merges. An update unites what sources know; a merge keeps the retired identifier, so that whoever still
 * uses it finds the one that remains. A message that comes again, or late, changes nothing that a newer one told. A visit
 * stays its patient's.
 */
import type { Bundle, BundleEntry, Encounter, Extension, Identifier, Patient, Resource } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, log } from "pipehat";
import {
  ForAPerson, byIdentifier, created, isNewer, known, led, orPark, perform, replaced, timeOf, told, token, translated, turnOf, turnedAt,
  united, untilNobodyWasQuicker, withReferenced, type Time, type Turn,
} from "./feed";
import { find, isOfAnother, numbersIn, peopleOf, recordOf, type Person } from "./patients";

/** What `""` takes away (HL7 v2.5.1 §2.5.3). */
const DELETED: Record<string, (keyof Patient)[]> = {
  "PID-7": ["birthDate"],
  "PID-8": ["gender"],
  "PID-11": ["address"],
  "PID-13": ["telecom"],
  "PID-16": ["maritalStatus"],
  "PID-29": ["deceasedDateTime"],
  "PID-30": ["deceasedBoolean"],
};

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
  const { link: _, ...news } = survivor.patient;
  let patient: Patient = { ...news, active: true };
  if (standing === undefined) {
    patient = told(patient, time);
  } else if (isNewer(standing, time)) {
    patient = standing;
  } else {
    patient = told(overlaid(standing, news, message), time);
  }
  // What only the record that goes knew.
  for (const one of gone) {
    const { id: _id, meta: _meta, link: _link, text: _text, ...known } = one;
    patient = { ...known, ...patient };
  }
  const retired = old.map((identifier) => ({ ...identifier, use: "old" as const }));
  const lists = [standing?.identifier, ...prior.map(({ identifier }) => identifier), news.identifier, retired];
  const links = [
    ...(standing?.link ?? []),
    ...gone.map(({ id }) => ({ other: { reference: `Patient/${id}` }, type: "replaces" as const })),
  ];
  patient = { ...patient, identifier: united(...lists) };
  return links.length === 0 ? patient : { ...patient, link: links };
}

/** What stands, with what is told in its place: what the message does not speak of stays. */
function overlaid(standing: Patient, news: Patient, message: Message): Patient {
  const next: Patient = { ...standing, ...news, id: standing.id, meta: standing.meta, active: standing.active };
  next.extension = bySlot(standing.extension, news.extension, ({ url }) => url);
  next.telecom = bySlot(standing.telecom, news.telecom, ({ system, use }) => `${system} ${use}`);
  next.address = bySlot(standing.address, news.address, ({ use, type }) => `${use} ${type}`);
  // Elements of a choice take each other's place.
  for (const choice of ["deceased", "multipleBirth"]) {
    const one = Object.keys(news).find((name) => name.startsWith(choice));
    for (const name of Object.keys(next).filter((name) => one !== undefined && name.startsWith(choice) && name !== one)) {
      delete next[name as keyof Patient];
    }
  }
  for (const [path, names] of Object.entries(DELETED)) {
    if (message.raw(path) === '""') {
      names.forEach((name) => delete next[name]);
    }
  }
  return next;
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
      entries.push(created(fullUrl, told(turnedAt(news, { event }), time), byIdentifier(numbers)));
      continue;
    }
    let isTheirs = false;
    for (const id of new Set(owners.map((owner) => owner?.id))) {
      isTheirs ||= !(await isOfAnother(client, standing.subject, id));
    }
    if (!isTheirs) {
      return undefined;
    }
    entries.push(replaced(fullUrl, goneOn(message, time, standing, entry), standing));
  }
  return entries;
}

const OVER = new Set(["finished", "cancelled"]);

/** How a visit goes on: of begin and end, of which an update doesn't speak, the newest message counts that does. */
function goneOn(message: Message, time: Required<Time>, standing: Encounter, entry: BundleEntry): Encounter {
  const news = entry.resource as Encounter;
  const trigger = message.text("MSH-9.2");
  const isNews = !isNewer(standing, time);
  const turn = turnOf(standing);
  const ends = news.period?.end;
  const settles = speaksOfEnds(entry) && !isTakenBack(message, time, ends, turn)
    && (turn.event === undefined ? isNews || !OVER.has(standing.status) : Date.parse(time.event) >= Date.parse(turn.event));

  const start = isNews ? news.period?.start ?? standing.period?.start : standing.period?.start ?? news.period?.start;
  let end = standing.period?.end;
  let said = news;
  if (settles) {
    // A discharge that is taken back (A13) was none; nor has what goes on an end.
    end = trigger === "A13" ? undefined : ends ?? (news.status === "finished" ? end : undefined);
  } else {
    said = withoutDischarge(news);
  }
  const next = {
    ...(isNews ? { ...standing, ...said } : { ...said, ...standing }),
    identifier: united(standing.identifier, news.identifier),
    // What is not known yet an update may tell, too (PV1-44).
    status: settles || standing.status === "unknown" ? news.status : standing.status,
  } as Encounter;
  delete next.period;
  if (start !== undefined || end !== undefined) {
    next.period = { ...(start && { start }), ...(end && { end }) };
  }
  if (settles && !isNews && standing.location !== undefined) {
    next.location = standing.location.map((place, at) => (news.location?.[at]?.status === "active" ? takenAgain(place) : place));
  }
  const takenBack = trigger === "A13" && settles ? standing.period?.end ?? turn.takenBack : turn.takenBack;
  const turned = turnedAt(
    placed(settles && trigger === "A13" ? withoutDischarge(next) : next), { event: settles ? time.event : turn.event, takenBack },
  );
  return isNews ? told(turned, time) : turned;
}

/** A place that was left, as a newer message has it by how the visit stood. */
function takenAgain(place: NonNullable<Encounter["location"]>[number]): NonNullable<Encounter["location"]>[number] {
  if (place.status !== "completed") {
    return place;
  }
  const { period, ...rest } = place;
  return { ...rest, status: "active", ...(period?.start && { period: { start: period.start } }) };
}

/** What the translation marks its requests with where the message doesn't speak of an element (docs/translate.md). */
const KEEPS = "urn:pipehat:keeps";

/** Whether a message says that a visit begins, goes on or ends: an update (HL7 v2.5.1 §3.3.8) does only by PV1-45. */
function speaksOfEnds({ request }: BundleEntry): boolean {
  const marks = (request as { extension?: Extension[] } | undefined)?.extension ?? [];
  const kept = marks.find(({ url }) => url === KEEPS)?.extension ?? [];
  return !kept.some(({ url, valueString }) => url === "element" && valueString === "status");
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

/** Where the patient went is told of a visit that ended. */
function withoutDischarge(visit: Encounter): Encounter {
  const { hospitalization, ...rest } = visit;
  const { dischargeDisposition: _, ...others } = hospitalization ?? {};
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
