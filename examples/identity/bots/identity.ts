/**
 * One record for each person. A message finds its patient by any identifier that tells persons apart; it creates,
 * updates or merges. An update unites what sources know; a merge keeps the retired identifier, so that whoever still
 * uses it finds the one that remains. A message that comes again, or late, changes nothing that a newer one told. A visit
 * stays its patient's.
 */
import type { Bundle, BundleEntry, Encounter, Identifier, Patient, Period, Reference, Resource } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, park, translate } from "pipehat";
import {
  byIdentifier, created, isNewer, isOfAnother, led, perform, replaced, timeOf, told, token, united, untilNobodyWasQuicker, withReferenced,
  type Time,
} from "./feed";

/** The kinds of identifiers that only one person has (table 0203). The number of a family's insurance is not among them. */
const PERSONAL = new Set(["MR", "PI", "PT", "PE", "NI", "NH", "JHN", "SS"]);

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

/** What belongs to a patient, and the parameter it is found by. */
const BELONGINGS: Record<string, string> = {
  Encounter: "subject",
  ServiceRequest: "subject",
  Specimen: "subject",
  Observation: "subject",
  DiagnosticReport: "subject",
  Appointment: "patient",
};

/** A patient as the message has it, and the entry that others of the Bundle refer to. */
interface Told {
  fullUrl: string;
  patient: Patient;
  identifiers: Identifier[];
}

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const message = Message.parse(event.input as string);
  const bundle: Bundle = await translate.toFhir(message);
  const patients = (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === "Patient").map(toldOf);
  const survivors = patients.filter(({ patient }) => patient.active !== false);
  if (survivors.length === 0 || patients.some(({ identifiers }) => identifiers.length === 0)) {
    return park("a patient has no identifier of a known authority: see tables/authorities.csv");
  }
  for (const survivor of survivors) {
    const links = survivor.patient.link ?? [];
    const retired = patients.filter(({ fullUrl }) => links.some(({ other }) => other.reference === fullUrl));
    let reason: string | undefined;
    await untilNobodyWasQuicker(async () => {
      reason = undefined;
      const done = await apply(client, message, bundle, survivor, retired);
      if (typeof done === "string") {
        reason = done;
        return true;
      }
      return done;
    });
    if (reason !== undefined) {
      return park(reason);
    }
  }
}

function toldOf({ fullUrl, resource }: BundleEntry): Told {
  const patient = resource as Patient;
  return { fullUrl: fullUrl as string, patient, identifiers: (patient.identifier ?? []).filter(isPersonal) };
}

function isPersonal({ system, value, type }: Identifier): boolean {
  const code = type?.coding?.[0]?.code;
  return Boolean(system && value) && (code === undefined || PERSONAL.has(code));
}

/** Writes what the message tells of one patient. False: another was quicker. A text: why a person has to look. */
async function apply(
  client: MedplumClient, message: Message, bundle: Bundle, survivor: Told, retired: Told[],
): Promise<boolean | string> {
  const time = timeOf(message);
  const own = await find(client, survivor.identifiers);
  const old = retired.flatMap(({ identifiers }) => identifiers)
    .filter((identifier) => !survivor.identifiers.some((kept) => token(kept) === token(identifier)));
  const prior = await find(client, old);
  const standing = own.current[0];
  if (own.current.length > 1) {
    return `the identifiers of the patient are those of ${own.current.length} records: merge them, then release this message`;
  }
  const gone = prior.current.filter(({ id }) => id !== standing?.id);
  if (gone.some((patient) => old.some((identifier) => isRetired(patient, identifier)))) {
    return "the identifier to be retired was merged into another patient before";
  }
  if (standing !== undefined && prior.current.some(({ id }) => id === standing.id)
    && survivor.identifiers.every((identifier) => isRetired(standing, identifier))
    && old.some((identifier) => isCurrent(standing, identifier))) {
    return "the identifier that is to remain was retired before, in favour of the one to be retired";
  }
  const stays = await visits(client, message, bundle, survivor, time, [standing, ...gone, ...prior.all]);
  if (typeof stays === "string") {
    // Unless another made the patient, and the visit, meanwhile.
    const now = await find(client, survivor.identifiers);
    return now.current[0]?.id === standing?.id ? stays : false;
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

/** The records that have one of these identifiers, and what stands for them today. */
async function find(client: MedplumClient, identifiers: Identifier[]): Promise<{ all: Patient[]; current: Patient[] }> {
  if (identifiers.length === 0) {
    return { all: [], current: [] };
  }
  const all: Patient[] = await client.searchResources("Patient", {
    identifier: identifiers.map(token).join(","),
    _count: "100",
  });
  const current = new Map<string, Patient>();
  for (let patient of all) {
    for (let hops = 0; patient.active === false && hops < 20; hops += 1) {
      const next = patient.link?.find(({ type }) => type === "replaced-by");
      if (next === undefined) {
        break;
      }
      patient = await client.readReference(next.other as Reference<Patient>);
    }
    current.set(patient.id as string, patient);
  }
  return { all, current: [...current.values()] };
}

function isRetired(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use === "old" && token(known) === token(identifier));
}

function isCurrent(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use !== "old" && token(known) === token(identifier));
}

/** The record that remains. */
async function merged(
  message: Message, time: Time, survivor: Told, standing: Patient | undefined, gone: Patient[], prior: Patient[],
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

/** The visits that the message tells of, by their number (PV1-19). A text where one is of somebody else than these. */
async function visits(
  client: MedplumClient, message: Message, bundle: Bundle, survivor: Told, time: Time, owners: (Patient | undefined)[],
): Promise<BundleEntry[] | string> {
  const entries: BundleEntry[] = [];
  for (const { fullUrl, resource } of bundle.entry ?? []) {
    const news = resource as Encounter;
    const numbers = (news?.resourceType === "Encounter" ? news.identifier ?? [] : [])
      .filter(({ system, value }) => system && value);
    if (numbers.length === 0 || news.subject?.reference !== survivor.fullUrl) {
      continue;
    }
    const found: Encounter[] = await client.searchResources("Encounter", { identifier: numbers.map(token).join(",") });
    const [standing] = found;
    if (standing === undefined) {
      entries.push(created(fullUrl, told(news, time), byIdentifier(numbers)));
      continue;
    }
    let isTheirs = false;
    for (const id of new Set(owners.map((owner) => owner?.id))) {
      isTheirs ||= !(await isOfAnother(client, standing.subject, id));
    }
    if (!isTheirs) {
      return "the visit with its number is another patient's";
    }
    const identifier = united(standing.identifier, news.identifier);
    if (isNewer(standing, time)) {
      // It began before: what it knows of the beginning, the newer message may not have said.
      const period = both(news.period, standing.period);
      entries.push(replaced(fullUrl, { ...news, ...standing, ...period, identifier } as Encounter, standing));
      continue;
    }
    // An update of a visit neither begins nor ends it (A08: HL7 v2.5.1 §3.3.8).
    const status = message.get("MSH-9.2") === "A08" && !message.has("PV1-45") ? standing.status : news.status;
    const period = both(standing.period, news.period);
    // A discharge that is taken back (A13) was none.
    if (message.get("MSH-9.2") === "A13") {
      delete period.period?.end;
    }
    const next = { ...standing, ...news, ...period, identifier, status } as Encounter;
    entries.push(replaced(fullUrl, told(next, time), standing));
  }
  return entries;
}

/** A period of what both say, the second where they differ; FHIR has no empty one. */
function both(one: Period | undefined, other: Period | undefined): { period?: Period } {
  return one === undefined && other === undefined ? {} : { period: { ...one, ...other } };
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
