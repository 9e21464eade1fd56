/**
 * Which result is which, where nothing tells several of a report from each other: they have one code, and no OBX-4 of
 * their own, which HL7 v2.5.1 §7.4.2.4 wants there, nor OBX-21. Those that are told together have their places among them. One that is told alone is one
 * of those where it can only be that one, whichever came first; else it stands beside them, until the laboratory withdraws it.
 */
import type { Observation } from "@medplum/fhirtypes";
import { known, token } from "./feed";
import {
  WITHDRAWN, added, compare, hasValue, isFixedFor, rendered, standing, statementOf, statementsIn, withExtensions, type Said, type Statement,
} from "./statements";

/** Where the translation puts OBX-4. */
export const SUB_ID = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid";

/** What results of a report have in common that nothing tells from each other: of one code, and one OBX-4 where there is one. */
export function likenessOf(own: Observation): string {
  if (known(own.identifier).length > 0) {
    return own.id as string;
  }
  const [coding] = own.code?.coding ?? [];
  const code = coding === undefined ? own.code?.text ?? "" : token({ system: coding.system, value: coding.code });
  const subId = own.extension?.find(({ url }) => url === SUB_ID)?.extension;
  return subId === undefined ? code : `${code}\n${JSON.stringify(subId)}`;
}

/** Of what was told beside others, or stands under another's id: its place among them (0: told alone), and the id that it was told under. */
const PLACE = "urn:pipehat:place";

export function inPlace(own: Observation, number: number, id: string): Observation {
  return withExtensions(own, PLACE, [{ url: PLACE, extension: [{ url: "number", valueUnsignedInt: number }, { url: "id", valueId: id }] }]);
}

/** Its place among those that it was told beside; 0: it was told alone. */
export function placeIn(own: Observation): number {
  const parts = own.extension?.find(({ url }) => url === PLACE)?.extension;
  return parts?.find(({ url }) => url === "number")?.valueUnsignedInt ?? 0;
}

/** Leads from a result that stood by itself until it was known to be another. */
const SAME_AS = "urn:pipehat:same-as";

export function isElsewhere(one: Observation): boolean {
  return one.extension?.some(({ url }) => url === SAME_AS) === true;
}

interface Place {
  number: number;
  id: string;
  said: Said[];
}

/** The ids that results and what they have with them were told under. */
export function idsIn(results: Observation[]): string[] {
  return [...new Set(results.flatMap((one) => [one.id as string, ...placesIn(one).map(({ id }) => id)]))];
}

function placesIn(result: Observation): Place[] {
  if (isElsewhere(result)) {
    return [];
  }
  const places = new Map<string, Place>();
  for (const one of statementsIn(result)) {
    const parts = one.own.extension?.find(({ url }) => url === PLACE)?.extension;
    const id = parts?.find(({ url }) => url === "id")?.valueId ?? result.id as string;
    const number = parts?.find(({ url }) => url === "number")?.valueUnsignedInt ?? 0;
    places.set(id, { number, id, said: [...places.get(id)?.said ?? [], one] });
  }
  return [...places.values()];
}

/** What became of results: those that changed, and under which id what was told under another stands. */
export interface Outcome {
  changed: Observation[];
  homes: Map<string, string>;
}

type ById = Map<string | undefined, Observation>;

/** Results that nothing tells from each other, after what a message says of them, and the withdrawal of their report. */
export function resultsAfter(before: Observation[], news: Observation[], withdrawal: Statement | undefined): Outcome {
  const places = new Map<string, Place>();
  before.flatMap(placesIn).forEach((place) => places.set(place.id, place));
  for (const place of news.flatMap(placesIn)) {
    places.set(place.id, { ...place, said: added(places.get(place.id)?.said ?? [], place.said) });
  }
  const inOrder = [...places.values()].toSorted((one, other) => one.number - other.number);
  const [alone, several] = [inOrder.find(({ number }) => number === 0), inOrder.filter(({ number }) => number > 0)];
  const same = alone && placeOf(alone, several);
  const outcome: Outcome = { changed: [], homes: new Map() };
  const [standingById, newsById] = [before, news].map((all) => new Map(all.map((one) => [one.id, one]))) as [ById, ById];
  for (const place of same === undefined ? inOrder : several) {
    const both = place === same ? [alone as Place, place] : [place];
    const stands = both.map(({ id }) => standingById.get(id)).find((one) => one !== undefined);
    const id = stands?.id ?? place.id;
    both.forEach((one) => outcome.homes.set(one.id, id));
    const said = both.flatMap((one) => one.said.map((said) => (one.id === id ? said : { ...said, own: inPlace(said.own, one.number, one.id) })));
    const own = both.map(({ id }) => newsById.get(id)).find((one) => one !== undefined);
    const next = rendered(stands, said, { ...stands, ...own, id } as Observation, withdrawal);
    outcome.changed.push(...next === undefined ? [] : [next]);
  }
  const homes = new Set(outcome.homes.values());
  for (const one of before.filter((one) => !homes.has(one.id as string) && placesIn(one).length > 0)) {
    const { contained: _, ...rest } = one;
    const reference = `Observation/${outcome.homes.get(one.id as string)}`;
    const extension = [{ url: SAME_AS, valueReference: { reference } }];
    outcome.changed.push({ ...rest, status: "entered-in-error", extension } as Observation);
  }
  return outcome;
}

/** Which of several the one is that was told alone, whatever became of their report. */
function placeOf(alone: Place, several: Place[]): Place | undefined {
  const one = standing(alone.said);
  const all = several.map((place) => ({ place, own: standing(place.said) }));
  const [gone, live] = [all.filter(({ own }) => WITHDRAWN.has(own.status)), all.filter(({ own }) => !WITHDRAWN.has(own.status))];
  const isLater = ({ own }: { own: Observation }): boolean => compare(statementOf(own), statementOf(one)) > 0;
  const hasItsValue = ({ own }: { own: Observation }): boolean => hasValue(one) && valueOf(own) === valueOf(one);
  const same = live.find(hasItsValue)
    // One is left: the others were withdrawn.
    ?? (live.length === 1 ? live[0] : undefined)
    // It was taken back.
    ?? gone.find((other) => isLater(other) && (hasItsValue(other) || !hasValue(other.own)))
    // Several came in its place: they may change it (HL7 table 0085).
    ?? live.find((other) => isLater(other) && !isFixedFor(statementOf(one), statementOf(other.own)));
  return same?.place;
}

function valueOf(own: Observation): string {
  return JSON.stringify(Object.entries(own).filter(([name]) => name.startsWith("value")).toSorted());
}
