/**
 * Appointments by their numbers: what comes late or again changes nothing that a newer message told. Its status and its time are
 * each decided by the newest message that speaks of them. An appointment stays its patient's; of a group all PIDs are its patients.
 */
import type { Appointment, Bundle, Extension } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, log } from "pipehat";
import {
  ForAPerson, byIdentifier, created, isNewer, keeping, keptBy, known, orPark, perform, replaced, timeOf, told, toldAt, token, translated, turnOf,
  turnedAt, united, untilNobodyWasQuicker, withReferenced, type Time,
} from "./feed";
import { isOfAnother, peopleOf, refer } from "./patients";

/**
 * What the event says of the appointment (HL7 v2.5.1 §10.4.4 to §10.4.6, §10.4.14): it counts more than a status code of the
 * sender's own. One that is broken off (S16) was cancelled, and one that is deleted (S17) was made in error.
 */
const STATUS: Record<string, Appointment["status"]> = { S15: "cancelled", S16: "cancelled", S17: "entered-in-error", S26: "noshow" };

/** Events that book: where SCH-25 says nothing, the appointment is on. An S14 changes something else of it (§10.3.3). */
const BOOKS = new Set(["S12", "S13"]);

/** All that is done here: what others tell (of services and resources, S18 to S22; of times that are blocked, S23, S24) is set aside. */
const EVENTS = new Set([...BOOKS, "S14", ...Object.keys(STATUS)]);

/**
 * Codes of SCH-25 (table 0278, and a sender's own) that FHIR has no word for. One that is not here parks what the event itself doesn't
 * end: a code that nobody knows may gainsay a booking (`Tentative`), and at a time that is `Blocked` nobody may book.
 */
const CODES: Record<string, Appointment["status"]> = {
  DC: "cancelled",
  OVERBOOK: "booked",
  // Words of the field for codes of the table.
  SCHEDULED: "booked",
  CONFIRMED: "booked",
  CANCELED: "cancelled",
  "NO SHOW": "noshow",
};

/** Where begin and end stand (HL7 v2.5.1 §10.6.1.11; §4.5.4.7 and §4.5.4.8, which take the place of SCH-11). */
const BEGINS = [["SCH-11[*]", ".4"], ["TQ1(*)", "-7"]] as const;
const ENDS = [["SCH-11[*]", ".5"], ["TQ1(*)", "-8"]] as const;

/** What may be without a time (R4: app-3), or is of nobody's time any more. */
const MAY_BE_UNTIMED = new Set<Appointment["status"]>(["proposed", "waitlist", "cancelled", "noshow", "entered-in-error"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    if (!EVENTS.has(message.text("MSH-9.2"))) {
      throw new ForAPerson("what the event (MSH-9.2) does to an appointment has to be done by a person: see EVENTS in bots/appointments.ts");
    }
    const bundle = await translated(message);
    const time = timeOf(message);
    await untilNobodyWasQuicker(() => apply(client, message, structuredClone(bundle), time));
  });
}

/** False: another was quicker. */
async function apply(client: MedplumClient, message: Message, bundle: Bundle, time: Required<Time>): Promise<boolean> {
  // Patients are the registration's.
  const records = await refer(client, bundle, peopleOf(message, bundle));
  const [entry, ...others] = (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === "Appointment");
  if (entry === undefined || others.length > 0) {
    throw new ForAPerson("the message does not tell of one appointment");
  }
  const news = entry.resource as Appointment;
  checkTimes(message, news);
  const numbers = known(news.identifier);
  if (numbers.length === 0) {
    throw new ForAPerson("the appointment has no number of a known authority (SCH-1, SCH-2): see tables/authorities.csv");
  }
  const [standing, ...more] = await client.searchResources("Appointment", { identifier: numbers.map(token).join(",") });
  if (more.length > 0) {
    throw new ForAPerson("its placer and its filler number are those of several appointments");
  }
  if (standing !== undefined && !await isTheirs(client, standing, [...records.values()].map((record) => record?.id))) {
    throw new ForAPerson("the appointment with its number is another patient's");
  }
  const kept = keptBy(entry).filter(isOfOthers);
  const identifier = united(standing?.identifier, news.identifier);
  const { id: _, ...next } = goneOn(message, time, standing, { ...news, identifier }, kept);
  if (standing !== undefined && isNewer(standing, time)) {
    log.info("told.late: a newer message has told of the appointment: status and time count where none newer speaks of them, and what stands nowhere is added");
  }
  if (standing === undefined) {
    return perform(client, withReferenced([created(entry.fullUrl, next as Appointment, byIdentifier(numbers))], bundle));
  }
  const change = replaced(entry.fullUrl, next as Appointment, standing);
  return perform(client, withReferenced([isNewer(standing, time) ? change : keeping(change, kept)], bundle));
}

/** How an appointment goes on by what a message tells of it; the first that is heard need not be the first that was told. */
function goneOn(
  message: Message, time: Required<Time>, standing: Appointment | undefined, news: Appointment, kept: Extension[],
): Appointment {
  const isNews = standing === undefined || !isNewer(standing, time);
  const turn = standing === undefined ? { event: undefined } : turnOf(standing);
  const isNewest = (decided: string | undefined): boolean =>
    isNews || decided === undefined || Date.parse(time.event) > Date.parse(decided);
  const said = statusOf(message, news);
  const turns = said !== undefined && isNewest(turn.event);
  // What a bot of before this wrote has its time by the message it stands by.
  const timed = turn.timed ?? (standing?.start === undefined ? undefined : toldAt(standing)?.event);
  const moves = speaksOfTime(message, news) && isNewest(timed);

  const others = isNews ? { ...standing && withoutLists(standing, kept), ...news } : { ...news, ...standing, identifier: news.identifier };
  const { start: _s, _start, end: _e, _end, minutesDuration: _m, cancelationReason: _r, ...rest } = others as Timed;
  const reason = turns ? news.cancelationReason ?? standing?.cancelationReason : standing?.cancelationReason;
  const next = turnedAt({
    ...rest,
    ...timesOf(moves || standing === undefined ? news : { ...standing, ...isNews && news.minutesDuration && { minutesDuration: news.minutesDuration } }),
    ...(reason && { cancelationReason: reason }),
  } as Appointment, { event: turns ? time.event : turn.event, timed: moves ? time.event : timed });
  // Nobody has said yet whether it is on: whatever does decides.
  const isUnsaid = standing === undefined || standing.status === "proposed" && turn.event === undefined && toldAt(standing) !== undefined;
  next.status = turns ? said : isUnsaid ? (next.start === undefined ? "proposed" : "booked") : standing.status;
  if (next.start === undefined && !MAY_BE_UNTIMED.has(next.status)) {
    throw new ForAPerson("the appointment would be on, and nobody has told when it begins (SCH-11, TQ1)");
  }
  return ofStatus(isNews ? told(next, time) : next);
}

/**
 * A time that is told and can't be read (it is none, the clocks skip it, or have it twice and it names no offset) would leave the
 * old one; so would a move (S13) that doesn't say where to. What ends an appointment ends it all the same.
 */
function checkTimes(message: Message, { start, end }: Appointment): void {
  const isUnread = (places: typeof BEGINS | typeof ENDS, read: string | undefined): boolean =>
    places.flatMap(([all, part]) => message.paths(all).map((at) => `${at}${part}`))
      .filter((path) => message.has(path) && message.raw(path) !== '""')
      .some((path) => read === undefined || message.dateTime(path)?.includes("T") !== true);
  const what = isUnread(BEGINS, start) || isUnread(ENDS, end) ? "the time of the appointment (SCH-11, TQ1) can't be read"
    : start !== undefined && end !== undefined && Date.parse(end) < Date.parse(start) ? "the appointment ends before it begins (SCH-11, TQ1)"
    : message.text("MSH-9.2") === "S13" && start === undefined ? "the appointment is moved (S13), and the message doesn't tell where to (SCH-11, TQ1)"
    : undefined;
  if (what === undefined) {
    return;
  }
  if (!(message.text("MSH-9.2") in STATUS)) {
    throw new ForAPerson(what);
  }
  log.warn(`told.untimed: ${what}: what the event says of the status counts`);
}

type Timed = Appointment & { _start?: unknown; _end?: unknown };

/** When it is and for how long, or that this is not known: an old duration (SCH-9) would gainsay a new start and end. */
function timesOf({ start, _start, end, _end, minutesDuration }: Timed): Partial<Timed> {
  return {
    ...(start && { start }), ...(_start !== undefined && { _start }), ...(end && { end }), ...(_end !== undefined && { _end }),
    ...(minutesDuration !== undefined && { minutesDuration }),
  };
}

/** Whether a message says when it is, or that this is not known any more (`""`). Else the translation has a time that is absent. */
function speaksOfTime(message: Message, { start, end }: Appointment): boolean {
  return start !== undefined || end !== undefined || message.paths("SCH-11[*]").some((at) => message.raw(at) === '""')
    || message.paths("SCH-11[*]").some((at) => message.raw(`${at}.4`) || message.raw(`${at}.5`))
    || message.paths("TQ1(*)").some((at) => message.raw(`${at}-7`) || message.raw(`${at}-8`));
}

/** Who takes part and what is done, where the message tells only some of it (AIP-2 and the like): of status and time the bot decides. */
function isOfOthers({ valueString }: Extension): boolean {
  return !["status", "cancelationReason", "start", "end"].includes(valueString ?? "");
}

/** What stands without the lists that the mark keeps items of: told again, nothing of them could be taken out. */
function withoutLists(standing: Appointment, kept: Extension[]): Appointment {
  const lists = kept.filter(({ url }) => url === "items").flatMap(({ extension }) => extension ?? [])
    .filter(({ url }) => url === "element").map(({ valueString }) => valueString);
  return Object.fromEntries(Object.entries(standing).filter(([name]) => !lists.includes(name))) as unknown as Appointment;
}

/** What a message says of the status; nothing where it speaks of something else. */
function statusOf(message: Message, news: Appointment): Appointment["status"] | undefined {
  const event = message.text("MSH-9.2");
  const code = message.text("SCH-25.1").trim();
  // Where SCH-25 is empty the translation goes by the event, and takes any but a cancellation for a booking.
  const said = STATUS[event] ?? (code === "" ? undefined : news.status ?? CODES[code.toUpperCase()]);
  if (said === undefined && code !== "") {
    throw new ForAPerson("the status of the appointment (SCH-25) has a code that nobody has told what it means: see CODES in bots/appointments.ts");
  }
  return said ?? (BOOKS.has(event) ? "booked" : undefined);
}

/** Why it was cancelled is told of one that is (R4: app-4). */
function ofStatus(appointment: Appointment): Appointment {
  const { cancelationReason: _, ...rest } = appointment;
  return appointment.status === "cancelled" || appointment.status === "noshow" ? appointment : rest as Appointment;
}

/** Whether one of these patients takes part in what stands, or nobody does. */
async function isTheirs(client: MedplumClient, standing: Appointment, ids: (string | undefined)[]): Promise<boolean> {
  const patients = (standing.participant ?? []).map(({ actor }) => actor).filter((actor) => actor?.reference?.startsWith("Patient/"));
  for (const patient of patients) {
    for (const id of ids) {
      if (!await isOfAnother(client, patient, id)) {
        return true;
      }
    }
  }
  return patients.length === 0;
}
