/**
 * Whose a message is. A person is found by PID-3 (of a merge, by MRG-1) and by nothing else: by numbers of a known authority
 * and of a kind that one person alone has. All other numbers (of insurances and licences, PID-19, PID-20) are
 * kept with the patient, and lead to nobody.
 */
import type { Bundle, BundleEntry, Identifier, Patient, Reference } from "@medplum/fhirtypes";
import type { MedplumClient } from "@medplum/core";
import type { Message } from "pipehat";
import { ForAPerson, byIdentifier, led, token } from "./feed";

/**
 * The kinds that one person alone has (CX.5, table 0203). A number of no kind finds nobody: the third column of
 * `tables/authorities.csv` has the kind of authorities that give out only one.
 */
const PERSONAL = new Set(["MR", "PI", "PT", "PE", "NI", "NH", "JHN", "SS"]);

/** Kinds whose numbers people make up where they don't know them: 999-99-9999, 0000000000. Such ones find nobody. */
const MADE_UP_OF = new Set(["NI", "NH", "SS"]);
const MADE_UP = /^0+$|^(\d)\1{4,}$|^123456789$/;

/**
 * In how many of name, birth date and sex somebody may differ from the patient whom the number finds, where both tell them. One
 * who differs in all that both tell is somebody else, and the number wrong: fewer than 2 is stricter, 3 looks at none.
 */
const MAY_DIFFER_IN = 2;

/** In how many of them two records may that are merged into one, which nothing undoes: one is a maiden name, or a wrong key. 3 looks at none. */
const MAY_DIFFER_IN_MERGE = 1;

/** Somebody of a message, and the address that others of its Bundle refer to. */
export interface Person {
  fullUrl: string;
  patient: Patient;
  /** What finds him or her. */
  identifiers: Identifier[];
}

/** All whom a message tells of; none of them is without a number that finds, and nothing refers to others. */
export function peopleOf(message: Message, bundle: Bundle): Person[] {
  if (!message.has("PID")) {
    throw new ForAPerson("there is no PID: the message says not whose it is");
  }
  const numbers = [...numbersIn(message, "PID(*)-3[*]"), ...numbersIn(message, "MRG(*)-1[*]")];
  const people = (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === "Patient")
    .map(({ fullUrl, resource }) => {
      const patient = resource as Patient;
      patient.identifier?.forEach((identifier) => (identifier.value = identifier.value?.trim()));
      const identifiers = (patient.identifier ?? []).filter((identifier) => numbers.some((number) => isSame(number, identifier)));
      return { fullUrl: fullUrl as string, patient, identifiers };
    });
  const addresses = new Set(people.map(({ fullUrl }) => fullUrl));
  const isNobody = (reference: string): boolean => reference.startsWith("Patient/") && !addresses.has(reference);
  if (people.length === 0 || people.some(({ identifiers }) => identifiers.length === 0) || referencesIn(bundle).some(isNobody)) {
    throw new ForAPerson(
      "no number finds the patient: it takes an authority of tables/authorities.csv (PID-3.4, MRG-1.4) and a kind that one person "
        + "alone has, such as MR (PID-3.5, or the table's column `kind`)",
    );
  }
  return people;
}

interface PersonalNumber {
  value: string;
  authority: string;
}

/** What finds people among the numbers that stand there (CX: HL7 v2.5.1 §2.A.14). */
export function numbersIn(message: Message, path: string): PersonalNumber[] {
  const found: PersonalNumber[] = [];
  for (const at of message.paths(path)) {
    const [value, authority, kind] = ["1", "4.2", "5"].map((part) => message.text(`${at}.${part}`).trim()) as [string, string, string];
    const isMadeUp = MADE_UP_OF.has(kind) && MADE_UP.test(value.replace(/[^\p{L}\d]/gu, ""));
    if (value !== "" && authority !== "" && PERSONAL.has(kind) && !isMadeUp) {
      found.push({ value, authority });
    }
  }
  return found;
}

/** The translation has 1.2.36 as `urn:oid:1.2.36`, and a UUID in small letters. */
function isSame({ value, authority }: PersonalNumber, { system, value: other }: Identifier): boolean {
  const [name, url] = [authority.toLowerCase(), system?.toLowerCase()];
  return other === value && (url === name || url?.endsWith(`:${name}`) === true);
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "reference" && typeof inner === "string" ? [inner] : referencesIn(inner));
}

/** The records that have one of these identifiers, and what stands for them today: of two that were merged, the survivor. */
export async function find(client: MedplumClient, identifiers: Identifier[]): Promise<{ all: Patient[]; current: Patient[] }> {
  if (identifiers.length === 0) {
    return { all: [], current: [] };
  }
  const all: Patient[] = await client.searchResources("Patient", { identifier: identifiers.map(token).join(","), _count: "100" });
  const current = new Map<string, Patient>();
  for (let patient of all) {
    for (let hops = 0; hops < 20; hops += 1) {
      const next = survivorOf(patient);
      if (next === undefined) {
        break;
      }
      patient = await client.readReference(next);
    }
    current.set(patient.id as string, patient);
  }
  return { all, current: [...current.values()] };
}

function survivorOf(patient: Patient): Reference<Patient> | undefined {
  const link = patient.active === false ? patient.link?.find(({ type }) => type === "replaced-by") : undefined;
  return link?.other as Reference<Patient> | undefined;
}

/**
 * The one record of somebody, if there is one, and it is not somebody else's. Whoever may correct what is known of a patient says
 * so: one thing alone that both tell, such as the name, may then be another.
 */
export async function recordOf(client: MedplumClient, person: Person, mayCorrect = false): Promise<Patient | undefined> {
  const { current } = await find(client, person.identifiers);
  const [standing] = current;
  if (current.length > 1) {
    throw new ForAPerson(
      `the identifiers of the patient are those of ${current.length} records: merge them, then release this message`,
    );
  }
  if (standing !== undefined && isSomebodyElse(standing, person.patient, mayCorrect)) {
    throw new ForAPerson(
      "the patient with this number has another name, birth date and sex (as far as they are told): the number is wrong, or the "
        + "record has to be corrected first",
    );
  }
  if (standing !== undefined && hasOtherNumber(standing, person) && differences(standing, person.patient).includes(true)) {
    throw new ForAPerson(
      "the patient with this national number has another number of the same authority (PID-3.4), and another name, birth date or "
        + "sex: the national number is somebody else's, or the two records have to be merged first",
    );
  }
  return standing;
}

/**
 * Whether an authority's number tells against it: it gives each of its patients one, and none of the message's is among those
 * that stand. A nation's number, which a child or a spouse may come with, does not speak for it then.
 */
function hasOtherNumber(standing: Patient, { identifiers }: Person): boolean {
  const isOwn = ({ type, system }: Identifier): boolean =>
    system !== undefined && !type?.coding?.some(({ code }) => MADE_UP_OF.has(code ?? ""));
  const numbers = identifiers.filter(isOwn);
  const stands = (standing.identifier ?? []).filter(isOwn);
  const isKnown = numbers.some((number) => stands.some((other) => token(other) === token(number)));
  return !isKnown && numbers.some(({ system }) => stands.some((other) => other.system === system));
}

/** Whether the two are different persons, by all that both tell. */
function isSomebodyElse(standing: Patient, news: Patient, mayCorrect: boolean): boolean {
  const compared = differences(standing, news).filter((differs) => differs !== undefined);
  const differing = compared.filter(Boolean).length;
  if (differing > MAY_DIFFER_IN) {
    return true;
  }
  if (MAY_DIFFER_IN >= 3 || differing === 0 || differing < compared.length) {
    return false;
  }
  return compared.length > 1 || !(mayCorrect || shareName(standing, news));
}

/** Words of a name that many have in common. */
const PARTICLES = new Set(("abu al ben bin bint da das de del della den der des di do dos du el ibn la las le los mac mc "
  + "o ten ter van vom von y zu zum zur").split(" "));

/** Whoever marries, or is written otherwise, keeps a part of the name: more than an initial or a particle, which say nothing of who it is. */
function shareName(one: Patient, other: Patient): boolean {
  const told = namesOf(other).flatMap(telling);
  return namesOf(one).flatMap(telling).some((part) => told.includes(part));
}

/** The words of a name that tell who it is; all of them, where it has no others. */
function telling(words: string[]): string[] {
  const own = words.filter((word) => word.length > 1 && !PARTICLES.has(word));
  return own.length > 0 ? own : words;
}

/** Whether both have names, and of one's nothing is in the other's. */
export function hasOtherNames(one: Patient, other: Patient): boolean {
  return namesOf(one).length > 0 && namesOf(other).length > 0 && !shareName(one, other);
}

/** Whether two records that are to be merged are surely two persons'. */
export function areTwo(one: Patient, other: Patient): boolean {
  return differences(one, other).filter(Boolean).length > MAY_DIFFER_IN_MERGE;
}

/** Whether name, birth date and sex differ; of what one of the two doesn't tell that isn't known. */
function differences(standing: Patient, news: Patient): (boolean | undefined)[] {
  const [known, told] = [namesOf(standing), namesOf(news)];
  // A family name alone may be the same person's.
  const isSameName = (one: string[], other: string[]): boolean => {
    const [shorter, longer] = one.length < other.length ? [one, other] : [other, one];
    return shorter.every((part) => longer.includes(part));
  };
  const [born, birthDate] = [standing.birthDate, news.birthDate];
  const gender = (patient: Patient): string | undefined => (patient.gender === "unknown" ? undefined : patient.gender);
  return [
    known.length > 0 && told.length > 0 ? !told.some((one) => known.some((other) => isSameName(one, other))) : undefined,
    // Of a year alone more isn't known.
    born && birthDate ? !born.startsWith(birthDate) && !birthDate.startsWith(born) : undefined,
    gender(standing) && gender(news) ? gender(standing) !== gender(news) : undefined,
  ];
}

/** The words of each name, by which somebody is known: what stands for a name that isn't known is none. */
function namesOf({ name }: Patient): string[][] {
  return (name ?? []).filter(({ use }) => use !== "anonymous" && use !== "temp").map(({ family, given, text }) =>
    (family === undefined ? text ?? "" : `${family} ${given?.[0] ?? ""}`)
      .normalize("NFD").toLowerCase().replace(/\p{M}/gu, "").split(/[^\p{L}]+/u).filter(Boolean))
    .filter((words) => words.length > 0);
}

/**
 * Has the others of the Bundle refer to the registration's patients: one is made where there is none, with what PID says, and
 * none is changed. Gives the record of each that stands, by the address in the Bundle.
 */
export async function refer(client: MedplumClient, bundle: Bundle, people: Person[]): Promise<Map<string, Patient | undefined>> {
  const records = new Map<string, Patient | undefined>();
  for (const person of people) {
    const record = await recordOf(client, person);
    records.set(person.fullUrl, record);
    const entry = bundle.entry?.find(({ fullUrl }) => fullUrl === person.fullUrl) as BundleEntry;
    if (record?.active === false) {
      // Not in use, but nobody else's.
      bundle.entry = led(bundle.entry?.filter((other) => other !== entry), new Map([[person.fullUrl, `Patient/${record.id}`]]));
      records.set(`Patient/${record.id}`, record);
      continue;
    }
    const { id: _, ...patient } = person.patient;
    entry.resource = patient as Patient;
    const ifNoneExist = `${byIdentifier(person.identifiers)}&active:not=false`;
    entry.request = { method: "POST", url: "Patient", ifNoneExist };
  }
  return records;
}

/** What stands for a patient today: of two records that were merged, the survivor's. */
export async function currentOf(client: MedplumClient, reference: string): Promise<string> {
  let current = reference;
  for (let hops = 0; current.startsWith("Patient/") && hops < 20; hops += 1) {
    try {
      const next = survivorOf(await client.readReference({ reference: current } as Reference<Patient>))?.reference;
      if (next === undefined) {
        break;
      }
      current = next;
    } catch (error) {
      const id = (error as { outcome?: { id?: string } }).outcome?.id;
      if (id !== "not-found" && id !== "gone") {
        throw error;
      }
      break;
    }
  }
  return current;
}

/** Whether what stands is another patient's than the one with this id: a record that was merged is the survivor's. */
export async function isOfAnother(client: MedplumClient, subject: Reference | undefined, id: string | undefined): Promise<boolean> {
  let reference = subject?.reference;
  for (let hops = 0; reference?.startsWith("Patient/") && hops < 20; hops += 1) {
    if (reference === `Patient/${id}`) {
      return false;
    }
    const next = survivorOf(await client.readReference({ reference } as Reference<Patient>));
    if (next === undefined) {
      return true;
    }
    reference = next.reference;
  }
  return false;
}
