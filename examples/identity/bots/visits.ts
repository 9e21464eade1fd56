/**
 * Visits by their number. A visit stays its patient's; it begins and ends by the newest message that speaks of that, and what
 * comes late or again changes nothing that a newer one told.
 */
import type { Bundle, BundleEntry, Encounter, Extension, Patient } from "@medplum/fhirtypes";
import type { MedplumClient } from "@medplum/core";
import { log, type Message } from "pipehat";
import { DELETED_OF_VISIT, bySlot, deletedIn, isDeleted, roleOf, segmentOf, takenSince, taking, without } from "./deleted";
import {
  ForAPerson, byIdentifier, created, isNewer, keeping, keptBy, known, replaced, told, token, turnOf, turnedAt, united, type Time, type Turn,
} from "./feed";
import { isOfAnother, type Person } from "./patients";

/**
 * Two records of one person become one (HL7 v2.5.1 §3.3.40; those before it are of HL7 2.1 to 2.3: §3.3.18, §3.3.30, §3.3.34,
 * §3.3.36, §3.3.39). Persons are found by PID-3 and MRG-1 here, whichever event it is.
 */
export const MERGES = new Set(["A18", "A30", "A34", "A36", "A39", "A40"]);

/** They tell something of a patient or a visit, and an end by PV1-45 alone (HL7 v2.5.1 §3.3.8, §3.3.28, §3.3.31). */
const UPDATES = new Set(["A08", "A28", "A31", ...MERGES]);

/** The visits that the message tells of, by their number (PV1-19). None where one is of somebody else than these. */
export async function visits(
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
      const own = taking(told(turnedAt(news, { event, byUpdate }), time), deletedOfVisit(message, news), time.event);
      entries.push(created(fullUrl, own, byIdentifier(numbers)));
      continue;
    }
    let isTheirs = false;
    for (const id of new Set(owners.map((owner) => owner?.id))) {
      isTheirs ||= !(await isOfAnother(client, standing.subject, id));
    }
    if (!isTheirs) {
      return undefined;
    }
    // Places that were left, and aren't told, the datastore keeps; all else is put together here.
    const ofPlaces = ({ extension }: Extension) => extension?.some(({ url, valueString }) => url === "element" && valueString === "location");
    const places = isNewer(standing, time) ? [] : keptBy(entry).filter((part) => part.url === "items" && ofPlaces(part));
    entries.push(keeping(replaced(fullUrl, goneOn(message, time, standing, entry), standing), places));
  }
  return entries;
}

const OVER = new Set(["finished", "cancelled"]);

/** How a visit goes on: of begin and end, of which an update doesn't speak, the newest message counts that does. */
function goneOn(message: Message, time: Required<Time>, standing: Encounter, entry: BundleEntry): Encounter {
  const pv1 = segmentOf(message, "PV1", 19, (entry.resource as Encounter).identifier ?? []);
  const trigger = message.text("MSH-9.2");
  const isNews = !isNewer(standing, time);
  const deleted = deletedOfVisit(message, entry.resource as Encounter);
  // What a newer message took away an older one doesn't bring back.
  const taken = isNews ? new Set<string>() : takenSince(standing, time.event);
  const news = without(entry.resource as Encounter, taken, DELETED_OF_VISIT);
  const turn = turnOf(standing);
  const ends = news.period?.end;
  const settles = speaksOfEnds(entry) && !isTakenBack(message, time, ends, turn)
    && (turn.event === undefined ? isNews || !OVER.has(standing.status) : Date.parse(time.event) >= Date.parse(turn.event));

  const kept = isNews ? without(standing, deleted, DELETED_OF_VISIT) : standing;
  const [begun, ended] = ["44", "45"].map((field) => isNews && isDeleted(message, `${pv1}-${field}`));
  // An end that an update alone has told an update takes back, too; what an event has ended is over, only not known when.
  const reopens = ended === true && !settles && standing.status === "finished" && turn.byUpdate !== undefined;
  const stood = { start: begun ? undefined : standing.period?.start, end: ended ? undefined : standing.period?.end };
  const start = isNews ? news.period?.start ?? stood.start : stood.start ?? (taken.has("PV1-44") ? undefined : news.period?.start);
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
  const [older, newer] = isNews ? [kept, said] : [said, kept];
  const hospitalization = { ...older.hospitalization, ...newer.hospitalization };
  if (Object.keys(hospitalization).length > 0) {
    next.hospitalization = hospitalization;
  }
  const extension = bySlot(older.extension, newer.extension, ({ url }) => url);
  if (extension !== undefined) {
    next.extension = extension;
  }
  const participant = bySlot(older.participant, newer.participant, (own) => roleOf(own).join());
  if (participant !== undefined) {
    next.participant = participant;
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
  return taking(isNews ? told(turned, time) : turned, deleted, time.event);
}

/** Those of a visit's fields that are `""`. */
function deletedOfVisit(message: Message, visit: Encounter): Set<string> {
  const pv1 = segmentOf(message, "PV1", 19, visit.identifier ?? []);
  const fields = deletedIn(message, pv1, DELETED_OF_VISIT);
  return isDeleted(message, `${pv1}-44`) ? fields.add("PV1-44") : fields;
}

/** Events that else neither begin nor end a visit. */
function isUpdate(message: Message): boolean {
  return UPDATES.has(message.text("MSH-9.2"));
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
