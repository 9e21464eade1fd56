/**
 * What `""` takes away (HL7 v2.5.1 §2.5.3): what came from that field, and nothing that its neighbours feed. FHIR has one list
 * where HL7 has several fields.
 */
import type { Address, ContactPoint, Encounter, Extension, HumanName, Identifier, Patient, Resource } from "@medplum/fhirtypes";
import type { Message } from "pipehat";
import { partsOf, withParts } from "./feed";

/** An element, or of a list that several fields feed the field's own items. */
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
export const DELETED: Deleted[] = [
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

export type Participant = NonNullable<Encounter["participant"]>[number];

const takesPart = (field: string, role: string): Deleted =>
  ({ field, element: "participant", those: (own: Participant) => roleOf(own).includes(role) });

/** Of a visit. What `""` in PV1-44 and PV1-45 takes away `goneOn` says. */
export const DELETED_OF_VISIT: Deleted[] = [
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

/** Those of the table's fields that are `""` in a segment. */
export function deletedIn(message: Message, segment: string, table: Deleted[]): Set<string> {
  return new Set(table.map(({ field }) => field).filter((field) => isDeleted(message, field.replace(/^\w+/, segment))));
}

/** Those of a patient's fields that are `""`. */
export function deletedOfPatient(message: Message, pid: string): Set<string> {
  const fields = deletedIn(message, pid, DELETED);
  if (isDeleted(message, `${pid}-12`)) {
    fields.add("PID-12");
  }
  if (isDeleted(message, "NK1(*)-1") || isDeleted(message, "NK1(*)-2")) {
    fields.add("NK1-2");
  }
  return fields;
}

/** What is left without what came from these fields. */
export function without<T extends Resource>(standing: T, fields: Set<string>, table: Deleted[]): T {
  const left = structuredClone(standing) as T & Record<string, unknown>;
  for (const { element, those } of table.filter(({ field }) => fields.has(field))) {
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

/** What is left of a patient without what came from these fields. */
export function patientWithout(patient: Patient, fields: Set<string>): Patient {
  const left = without(patient, fields, DELETED);
  if (fields.has("NK1-2")) {
    delete left.contact;
  }
  if (fields.has("PID-12") && left.address !== undefined) {
    left.address = left.address.filter((address) => !isCounty(address)).map(withoutCounty);
    if (left.address.length === 0) {
      delete left.address;
    }
  }
  return left;
}

/** When what came from a field was taken away, so that no older message that comes later brings it back. */
const TAKEN_AWAY = "urn:pipehat:taken-away";

/** The resource, which has it that these fields were `""` at a time. */
export function taking<T extends Resource>(resource: T, fields: Iterable<string>, time: string): T {
  const times = new Map(partsOf(resource, TAKEN_AWAY));
  for (const field of fields) {
    const before = times.get(field);
    times.set(field, before !== undefined && Date.parse(before) >= Date.parse(time) ? before : time);
  }
  return times.size === 0 ? resource : withParts(resource, TAKEN_AWAY, Object.fromEntries(times));
}

/** The resource, which has it, too, what was taken away from another. */
export function takingAsOf<T extends Resource>(resource: T, other: Resource): T {
  return [...partsOf(other, TAKEN_AWAY) ?? []].reduce((next, [field, time]) => taking(next, [field], time), resource);
}

/** The fields that were `""` behind a time. */
export function takenSince(resource: Resource, time: string): Set<string> {
  const times = [...partsOf(resource, TAKEN_AWAY) ?? []];
  return new Set(times.filter(([, taken]) => Date.parse(taken) >= Date.parse(time)).map(([field]) => field));
}

/** Whether a field, or one of its repetitions, is `""`. */
export function isDeleted(message: Message, path: string): boolean {
  return message.paths(`${path}[*]`).some((at) => message.raw(at) === '""');
}

/** The segment that tells of what has one of these numbers. */
export function segmentOf(message: Message, name: string, field: number, identifiers: Identifier[]): string {
  const found = message.segments(name).find(({ path }) =>
    message.all(`${path}-${field}[*].1`).some((number) => identifiers.some(({ value }) => value === number.trim())));
  return found?.path ?? name;
}

/** Lists of several kinds of things, of which the message may tell only some. */
export function bySlot<T>(standing: T[] | undefined, news: T[] | undefined, slot: (item: T) => string): T[] | undefined {
  if (standing === undefined || news === undefined) {
    return news ?? standing;
  }
  const told = new Set(news.map(slot));
  return [...news, ...standing.filter((item) => !told.has(slot(item)))];
}

/** Where PID-9 gave a name, and PID-5 did not: HL7 takes them apart, and FHIR has one list. */
const ALIAS = "urn:pipehat:alias";

export function isAlias({ extension }: HumanName): boolean {
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
export function bySource(patient: Patient, message: Message, pid: string): Patient {
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

/** What somebody does in a visit. */
export function roleOf({ type }: Participant): string[] {
  return (type ?? []).flatMap(({ coding }) => coding?.map(({ code }) => code ?? "") ?? []);
}
