/**
 * One record for each person. A message finds its patient by any identifier that tells persons apart (`patients.ts`); it
 * creates, updates or merges. An update unites what sources know; a merge keeps the retired identifier, so that whoever still
 * uses it finds the one that remains. A message that comes again, or late, changes nothing that a newer one told, and brings
 * back nothing that one took away. A visit stays its patient's.
 */
import type { Bundle, Identifier, Patient, Resource } from "@medplum/fhirtypes";
import { deepEquals, type BotEvent, type MedplumClient } from "@medplum/core";
import { Message, log } from "pipehat";
import { bySlot, bySource, deletedOfPatient, isAlias, patientWithout, segmentOf, takenSince, taking, takingAsOf } from "./deleted";
import {
  ForAPerson, byIdentifier, created, isNewer, led, orPark, perform, replaced, timeOf, told, token, translated, united,
  untilNobodyWasQuicker, withReferenced, type Time,
} from "./feed";
import { areTwo, find, hasOtherNames, numbersIn, peopleOf, recordOf, type Person } from "./patients";
import { MERGES, visits } from "./visits";

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

/** What this workflow writes of a message; RelatedPerson is the contact whom Patient.contact has, too. */
const WRITTEN = new Set(["Encounter", "Condition", "RelatedPerson"]);

/**
 * What joins, moves or renames something else (A35, A41: accounts; A42: visits; A43 to A45: what goes to another record; A46 to
 * A51: numbers) or links two records (A24, A37): the datastore would stand otherwise than the sender's without a word.
 */
const BY_HAND = /^A(24|35|37|4[1-9]|5[01])$/;

/** What deletes a visit or a person (HL7 v2.5.1 §3.3.23, §3.3.29): what refers to them would be nobody's. */
const DELETES = new Set(["A23", "A29"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(() => tell(client, Message.parse(event.input as string)));
}

async function tell(client: MedplumClient, message: Message): Promise<void> {
  const trigger = message.text("MSH-9.2");
  if (BY_HAND.test(trigger)) {
    throw new ForAPerson("it joins, moves, renames or links what this workflow does not (MSH-9.2): it has to be done by a person");
  }
  if (DELETES.has(trigger)) {
    throw new ForAPerson("it deletes a visit or a person (MSH-9.2): it has to be done by a person");
  }
  if (stands(message, "MRG", "PID")) {
    throw new ForAPerson("MRG stands before PID: it has to stand behind the PID of the record that is to remain");
  }
  if (stands(message, "PV1", "PID")) {
    throw new ForAPerson("PV1 stands before PID: the message says not whose visit it is");
  }
  const bundle: Bundle = await translated(message);
  if (isMergedIntoItself(message)) {
    throw new ForAPerson("the identifier to be retired (MRG-1) is the one that is to remain (PID-3)");
  }
  const types = (bundle.entry ?? []).map(({ resource }) => resource?.resourceType ?? "");
  const besides = [...new Set(types)].filter((type) => type in BELONGINGS && !WRITTEN.has(type)).sort();
  if (besides.length > 0) {
    log.info(`told.besides: the message tells of what this workflow does not keep: ${besides.join(", ")}`);
  }
  const people = peopleOf(message, bundle);
  const time = timeOf(message);
  for (const survivor of people.filter(({ patient }) => patient.active !== false)) {
    const links = survivor.patient.link ?? [];
    const retired = people.filter(({ fullUrl }) => links.some(({ other }) => other.reference === fullUrl));
    if (MERGES.has(trigger) && retired.length === 0) {
      throw new ForAPerson("a merge that names nobody who is merged (MRG-1)");
    }
    await untilNobodyWasQuicker(() => apply(client, message, bundle, time, survivor, retired));
  }
}

/** Whether one of these segments stands before the first of the others: what it tells would be nobody's, or another's. */
function stands(message: Message, name: string, before: string): boolean {
  const names = message.toString().split(/[\r\n]+/).map((line) => line.slice(0, 3));
  return names.includes(name) && names.includes(before) && names.indexOf(name) < names.indexOf(before);
}

/**
 * Whether nothing is to remain. PID-3 may name the retired number, too, as what the record has from now on; of several pairs it
 * isn't known then which record goes.
 */
function isMergedIntoItself(message: Message): boolean {
  const stay = numbersIn(message, "PID(*)-3[*]");
  const gone = numbersIn(message, "MRG(*)-1[*]");
  const isGone = ({ value, authority }: (typeof stay)[number]): boolean =>
    gone.some((other) => other.value === value && other.authority === authority);
  return message.paths("PID(*)").length === 1 ? stay.length > 0 && stay.every(isGone) : stay.some(isGone);
}

/** Writes what the message tells of one patient. False: another was quicker. */
async function apply(
  client: MedplumClient, message: Message, bundle: Bundle, time: Required<Time>, survivor: Person, retired: Person[],
): Promise<boolean> {
  const standing = await recordOf(client, survivor, true);
  const old = retired.flatMap(({ identifiers }) => identifiers)
    .filter((identifier) => !survivor.identifiers.some((kept) => token(kept) === token(identifier)));
  const prior = await recordsThatGo(client, retired, survivor, standing, old);
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
  // Other channels make patients, too, and don't wait for this one: of a number that is new to the record each looks for the other's.
  const own = standing?.identifier ?? survivor.identifiers;
  const added = [...survivor.identifiers, ...old].filter((identifier) => !own.some((known) => token(known) === token(identifier)));
  return (await find(client, added)).current.every(({ id }) => id === into);
}

/** What stands of those who are merged: nothing undoes it, so that of two who are surely not one person a person has to decide. */
async function recordsThatGo(
  client: MedplumClient, retired: Person[], survivor: Person, standing: Patient | undefined, old: Identifier[],
): Promise<{ all: Patient[]; current: Patient[] }> {
  const [all, current] = [new Map<string | undefined, Patient>(), new Map<string | undefined, Patient>()];
  const { name, birthDate, gender } = { ...standing, ...survivor.patient };
  const remains = { resourceType: "Patient", ...(name && { name }), ...(birthDate && { birthDate }), ...(gender && { gender }) } as Patient;
  for (const { patient, identifiers } of retired) {
    const found = await find(client, identifiers.filter((identifier) => old.some((other) => token(other) === token(identifier))));
    found.all.forEach((one) => all.set(one.id, one));
    for (const one of found.current) {
      current.set(one.id, one);
      if (one.id !== standing?.id && hasOtherNames(one, patient)) {
        throw new ForAPerson("the record to be retired (MRG-1) has another name than the message tells of it (MRG-7): the number is wrong");
      }
      if (one.id !== standing?.id && areTwo(one, remains)) {
        throw new ForAPerson(
          "the two records to be merged differ in two of name, birth date and sex: a number is wrong, or one of them has to be corrected first",
        );
      }
    }
  }
  return { all: [...all.values()], current: [...current.values()] };
}

function isRetired(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use === "old" && token(known) === token(identifier));
}

function isCurrent(patient: Patient, identifier: Identifier): boolean {
  return (patient.identifier ?? []).some((known) => known.use !== "old" && token(known) === token(identifier));
}

/** The record that remains. */
async function merged(
  message: Message, time: Required<Time>, survivor: Person, standing: Patient | undefined, gone: Patient[], prior: Patient[],
  old: Identifier[],
): Promise<Patient> {
  const pid = segmentOf(message, "PID", 3, survivor.identifiers);
  const deleted = deletedOfPatient(message, pid);
  const { link: _, ...source } = bySource(survivor.patient, message, pid);
  const isLate = standing !== undefined && isNewer(standing, time);
  const news = isLate ? patientWithout(source, takenSince(standing, time.event)) : source;
  let patient: Patient = { ...news, active: true };
  if (isLate) {
    patient = completed(standing, news);
    const others = untaken(source, patient);
    const stays = others.length === 0 ? "" : `; what stands otherwise, or was taken away, stays so: ${others.join(", ")}`;
    log.info(`told.late: a newer message has told of the patient: what stands nowhere, and was not taken away, is added${stays}`);
  } else if (standing !== undefined) {
    patient = overlaid(standing, news, deleted);
  }
  patient = taking(isLate ? patient : told(patient, time), deleted, time.event);
  // What only the record that goes knew, and the message doesn't take away.
  for (const one of gone) {
    const { id: _id, meta: _meta, link: _link, text: _text, ...known } = patientWithout(one, deleted);
    patient = takingAsOf({ ...known, ...patient, extension: bySlot(known.extension, patient.extension, ({ url }) => url) }, one);
  }
  const retired = old.map((identifier) => ({ ...identifier, use: "old" as const }));
  // A late message deletes nothing.
  const kept = standing === undefined || isLate ? standing : patientWithout(standing, deleted);
  const lists = [kept?.identifier, ...prior.filter(({ id }) => id !== standing?.id).map(({ identifier }) => identifier), news.identifier, retired];
  const links = [
    ...(standing?.link ?? []),
    ...gone.map(({ id }) => ({ other: { reference: `Patient/${id}` }, type: "replaces" as const })),
  ];
  patient = { ...patient, identifier: united(...lists) };
  return links.length === 0 ? patient : { ...patient, link: links };
}

/** Elements of a choice take each other's place. */
const CHOICES = ["deceased", "multipleBirth"];

/** What stands, with what is told in its place: what the message does not speak of stays. */
function overlaid(standing: Patient, news: Patient, deleted: Set<string>): Patient {
  const kept = patientWithout(standing, deleted);
  // What a primitive of before had beside its value, such as a time of birth, goes with it.
  for (const name of Object.keys(news)) {
    delete kept[`_${name}` as keyof Patient];
  }
  const next: Patient = { ...kept, ...news, id: standing.id, meta: standing.meta, active: standing.active ?? true };
  Object.assign(next, listsOf(kept, news));
  for (const choice of CHOICES) {
    const one = Object.keys(news).find((name) => name.startsWith(choice));
    for (const name of Object.keys(next).filter((name) => one !== undefined && name.startsWith(choice) && name !== one)) {
      delete next[name as keyof Patient];
    }
  }
  return next;
}

/** What stands, with that of an older message which stands nowhere. */
function completed(standing: Patient, older: Patient): Patient {
  const isThere = (name: string): boolean => {
    const bare = name.replace(/^_/, "");
    const choice = CHOICES.find((one) => bare.startsWith(one));
    return Object.keys(standing).some((own) => (choice === undefined ? own.replace(/^_/, "") === bare : own.replace(/^_/, "").startsWith(choice)));
  };
  const added = Object.fromEntries(Object.entries(older).filter(([name]) => !isThere(name)));
  return { active: true, ...added, ...standing, ...listsOf(older, standing) } as Patient;
}

/** The elements of which something that an older message told does not stand. */
function untaken(older: Patient, patient: Patient): string[] {
  // What it refers to has another address in the datastore.
  const bare = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null, (name, own) => (name === "reference" ? undefined : own)));
  const [told, stands] = [bare(older), bare(patient)] as [Record<string, unknown>, Record<string, unknown>];
  const isThere = (own: unknown, other: unknown): boolean =>
    (Array.isArray(own) && Array.isArray(other) ? own.every((item) => other.some((one) => deepEquals(item, one))) : deepEquals(own, other));
  return Object.keys(told).filter((name) => !["id", "meta", "active", "identifier"].includes(name) && !isThere(told[name], stands[name]));
}

/** Lists of both, in which what is told takes the place of its like. */
function listsOf(standing: Patient, news: Patient): Partial<Patient> {
  const lists = {
    extension: bySlot(standing.extension, news.extension, ({ url }) => url),
    name: bySlot(standing.name, news.name, (name) => `${isAlias(name)}`),
    telecom: bySlot(standing.telecom, news.telecom, ({ system, use }) => `${system} ${use}`),
    address: bySlot(standing.address, news.address, ({ use, type }) => `${use} ${type}`),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
}

/** The record that goes: it stays to be read, and leads to the one that remains. */
function retiredInto(patient: Patient, survivor: string): Patient {
  const others = (patient.link ?? []).filter(({ type }) => type !== "replaced-by");
  return { ...patient, active: false, link: [...others, { other: { reference: survivor }, type: "replaced-by" }] };
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
