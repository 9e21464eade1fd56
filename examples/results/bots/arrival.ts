/**
 * Proves that what stands of a result is the same in whichever order messages arrive, and however often: of all sets of three
 * statements in all orders, and of random sets of more, of texts, numbers and documents, too. `pipehat bot test` runs it, and no
 * channel: do so when you change GRADE or KIND in statements.ts.
 */
import type { Observation } from "@medplum/fhirtypes";
import type { BotEvent } from "@medplum/core";
import { beside, documentIn, isOutOfPlace, withNews, withoutEmptyDocument, type Document } from "./documents";
import { inPlace, isElsewhere, resultsAfter } from "./several";
import {
  ATTACHED, WITHDRAWN, compare, countingAs, hasValue, highest, isGone, saidIn, standing, statementOf, toldBy, withDeletedValue, type Statement,
} from "./statements";

interface Input {
  /** Sets whose outcome is shown. */
  sets?: string[][];
  /** Or how many random sets of how many statements are looked at. */
  random?: number;
  size?: number;
  /** Or all sets of three, of which this is one of as many parts as a run's time asks for. */
  part?: number;
  /** They tell of several results that nothing tells from each other, or of one of them. */
  several?: boolean;
  /** They tell of a result that is a text, a number or a document (OBX-2 TX, FT, NM, ED). */
  documents?: boolean;
}

/** Parts of all sets of three: of texts, numbers and documents, and of statements of one kind. */
const PARTS = { documents: 24, statements: 8 };

/** What a message says: of results, or of their report alone, that it is withdrawn. */
interface Told {
  number: number;
  name: string;
  own: Observation[];
  withdrawal?: Statement;
}

/** What there is after some messages. */
interface State {
  results: Observation[];
  documents: Document[];
  withdrawal?: Statement;
}

export function handler(_: unknown, event: BotEvent<Input>): unknown {
  const { sets: named, random, size = 3, part, several = false, documents = false } = event.input;
  const all = documents ? kinds(several) : several ? lists() : statements();
  const look = machine();
  const found: string[] = [];
  const outcomes: Record<string, string> = {};
  let sets = 0;
  const check = (told: Told[]): void => {
    sets += 1;
    const name = told.map(({ name }) => name).join(", ");
    const ends = ordersOf(told).map((order) => order.reduce(look.after, 0));
    const [end] = ends as [number];
    if (new Set(ends.map(look.visible)).size > 1) {
      found.push(`${name}: ${[...new Set(ends.map(look.shown))].join(" or ")}`);
    }
    if (part === undefined || documents) {
      outcomes[name] = look.shown(end);
      const again = told.find((one) => look.visible(look.after(end, one)) !== look.visible(end));
      const isOne = again === undefined && !several;
      const wrong = isOne ? (documents ? whatIsMissing : whatIsWrong)(told, look.state(end)) : again && `${again.name} once more makes another of it`;
      found.push(...wrong === undefined ? [] : [`${name}: ${look.shown(end)}: ${wrong}`]);
    }
  };
  if (named !== undefined) {
    named.forEach((names) => check(names.map((wanted) => all.find(({ name }) => name === wanted) as Told)));
    return { outcomes, found };
  }
  if (random === undefined) {
    const parts = documents ? PARTS.documents : PARTS.statements;
    all.forEach((one) => all.slice(one.number).filter(({ number }) => (one.number + number) % parts === part)
      .forEach((other) => all.slice(other.number).forEach((third) => check([one, other, third]))));
  } else {
    const next = numbers();
    for (let at = 0; at < random; at += 1) {
      const told = new Set<Told>();
      while (told.size < size) {
        told.add(all[next(all.length)] as Told);
      }
      check([...told]);
    }
  }
  return { statements: all.length, sets, found: found.slice(0, 20) };
}

/** All kinds of statements, at several times. */
function statements(): Told[] {
  const all: Told[] = [];
  const tell = (status: string, at: string | undefined, made: string, says: "value" | "nothing" | "deletion", counts?: string): void => {
    const number = all.length + 1;
    const time = { ...(at && { event: at }), message: made, control: `${(number * 7) % 41 + 100}` };
    const own = toldBy({
      resourceType: "Observation", id: "k", status, code: { text: "Potassium" },
      ...(says === "value" && { valueInteger: number }), ...(number % 3 === 0 && { note: [{ text: `${number}` }] }),
    } as Observation, time);
    const name = `${status}${counts ? ` (${counts})` : ""} ${says === "value" ? number : says} ${(at ?? made).slice(11, 16)}${at ? "" : " (MSH-7)"}`;
    const told = counts === undefined ? own : countingAs(own, counts);
    all.push({ number, name, own: [says === "deletion" ? withDeletedValue(told) : told] });
  };
  for (const at of ["10", "11", "12", "13"].map((hour) => `2026-01-07T${hour}:00:00+01:00`)) {
    for (const status of ["preliminary", "final", "corrected"]) {
      tell(status, at, "2026-01-07T14:00:00+01:00", "value");
      tell(status, at, at, "nothing");
    }
  }
  for (const made of ["2026-01-07T10:30:00+01:00", "2026-01-07T12:00:00+01:00"]) {
    for (const status of ["preliminary", "final", "corrected"]) {
      tell(status, undefined, made, "value");
    }
    tell("final", undefined, made, "nothing");
  }
  const [early, late] = ["2026-01-07T11:00:00+01:00", "2026-01-07T12:30:00+01:00"] as const;
  tell("cancelled", early, early, "nothing");
  tell("entered-in-error", late, late, "value");
  tell("final", late, late, "deletion");
  // Without a status of their own they count as their reports do.
  tell("unknown", late, late, "value", "corrected");
  tell("unknown", early, early, "value", "preliminary");
  for (const at of [early, late]) {
    const withdrawal = { status: "cancelled", time: { event: at, message: at, control: "9" } };
    all.push({ number: all.length + 1, name: `report cancelled ${at.slice(11, 16)}`, own: [], withdrawal });
  }
  return all;
}

/** One result or several under one code and without OBX-4, by their values; "W 1" takes 1 back. */
function lists(): Told[] {
  const all: Told[] = [];
  const tell = (status: string, at: string, ...values: string[]): void => {
    const number = all.length + 1;
    const own = values.map((value, index) => {
      const [last, isBack] = [value.split(" ").at(-1) as string, value.startsWith("W")];
      const id = values.length === 1 ? "k" : `k${index + 1}`;
      const told = toldBy({
        resourceType: "Observation", id, status: isBack ? "entered-in-error" : status, code: { text: "Potassium" },
        ...(/\d/.test(last) && { valueInteger: Number(last) }),
      } as Observation, { event: `2026-01-07T${at}:00+01:00`, message: `2026-01-07T${at}:00+01:00`, control: `${number + 100}` });
      return values.length === 1 ? told : inPlace(told, index + 1, id);
    });
    all.push({ number, name: `${status} ${at} [${values.join(", ")}]`, own });
  };
  for (const at of ["10:00", "11:00", "12:00"]) {
    for (const status of ["preliminary", "final", "corrected"]) {
      tell(status, at, "1");
      tell(status, at, "2");
      tell(status, at, "1", "2");
      tell(status, at, "3", "4", "1");
    }
    tell("final", at, "no value");
    tell("corrected", at, "W 1", "2");
    tell("corrected", at, "W", "3");
    tell("corrected", at, "W 1");
  }
  return all;
}

/** A text, a number or a document, that replace each other; of several those with places of their own (no OBX-4), too. */
function kinds(several: boolean): Told[] {
  const all: Told[] = [];
  const tell = (status: string, at: string, ...types: string[]): void => {
    const number = all.length + 1;
    const time = { event: `2026-01-07T${at}:00+01:00`, message: `2026-01-07T${at}:00+01:00`, control: `${(number * 7) % 97 + 100}` };
    const own = types.map((type, index) => {
      // As the translation has it: a document is known among documents.
      const id = types.length === 1 ? "k" : type === "ED" ? "kd" : "k1";
      const value = type === "ED" ? { extension: [{ url: ATTACHED, valueAttachment: { data: "UERG", contentType: "application/pdf" } }] }
        : type === "NM" ? { valueInteger: number } : type === "none" ? {} : { valueString: `${type} ${number}` };
      const coded = { resourceType: "Observation", id, status, code: { coding: [{ code: "k" }], text: `${number}` }, ...value } as Observation;
      // One in a while has no status of its own.
      const own: Observation = number % 9 === 0 ? countingAs({ ...coded, status: "unknown" }, status) : coded;
      const told = withoutEmptyDocument(toldBy(own, time));
      return types.length === 1 ? told : inPlace(told, index + 1, id);
    });
    all.push({ number, name: `${status} ${types.join("+")} ${at}`, own });
  };
  for (const at of several ? ["10:00", "11:00"] : ["10:00", "11:00", "12:00"]) {
    for (const status of ["preliminary", "final", "corrected"]) {
      (several ? ["TX", "ED"] : ["TX", "FT", "NM", "ED", "none"]).forEach((type) => tell(status, at, type));
      if (several) {
        tell(status, at, "TX", "ED");
        tell(status, at, "ED", "TX");
      }
    }
    tell("cancelled", at, "none");
    tell("entered-in-error", at, "ED");
    tell("entered-in-error", at, "TX");
  }
  const withdrawal = { status: "cancelled", time: { event: "2026-01-07T11:30:00+01:00", message: "2026-01-07T11:30:00+01:00", control: "9" } };
  all.push({ number: all.length + 1, name: "report cancelled 11:30", own: [], withdrawal });
  return all;
}

/** What is told last of a result, and is not withdrawn, stands somewhere, and nothing else. */
function whatIsMissing(told: Told[], { results, documents, withdrawal }: State): string | undefined {
  const all = told.flatMap(({ own }) => own);
  const stand = [...documents.filter(({ stands }) => stands).map(({ attachment }) => attachment.title), ...results
    .filter((one) => !isOutOfPlace(one)).map((one) => one.valueInteger?.toString() ?? one.valueString?.split(" ")[1])];
  const speaking = highest(all.filter((one) => hasValue(one) || isGone(one)), statementOf);
  const silent = all.filter((one) => !hasValue(one) && !isGone(one));
  if (stand.length > 1) {
    return "two stand in one place";
  }
  if (speaking !== undefined && isGone(speaking) && documents.some(({ stands }) => stands)) {
    return "a document that was withdrawn stands";
  }
  if (speaking === undefined || isGone(speaking) || silent.length > 0) {
    const isNowhere = all.length > 0 && stand.length === 0;
    return isNowhere ? "nothing stands" : undefined;
  }
  return stand[0] === speaking.code?.text || withdrawal !== undefined ? undefined : "what was told last doesn't stand";
}

/** States by number, each looked at once: 0 is where nothing was told. */
function machine() {
  const states: State[] = [{ results: [], documents: [] }];
  const numbers = new Map<string, number>();
  const reached = new Map<number, number>();
  const after = (from: number, told: Told): number => {
    const key = from * 100 + told.number;
    const seen = reached.get(key);
    if (seen !== undefined) {
      return seen;
    }
    const { results, documents: known, withdrawal: before } = states[from] as State;
    const withdrawal = highest([before, told.withdrawal].filter((one) => one !== undefined), (one) => one);
    const documents = new Map(known.map((document) => [document.id, document]));
    const [own, taken] = [told.own.filter((one) => documentIn(one) === undefined), told.own.flatMap((one) => documentIn(one) ?? [])];
    taken.forEach((document) => withNews(documents, document));
    const { changed } = resultsAfter(results, own, withdrawal);
    const next = new Map([...results, ...changed].map((one) => [one.id, one]));
    const stands = beside([...documents.values()], next);
    const state: State = { results: [...next.values()], documents: stands, ...(withdrawal && { withdrawal }) };
    const text = JSON.stringify(state);
    const number = numbers.get(text) ?? states.push(state) - 1;
    numbers.set(text, number);
    reached.set(key, number);
    return number;
  };
  const state = (number: number): State => states[number] as State;
  const standing = (number: number): Observation[] => state(number).results.filter((one) => !isElsewhere(one) && !isOutOfPlace(one));
  const documents = (number: number): Document[] => state(number).documents.filter(({ stands }) => stands);
  const shown = (number: number): string => [
    ...standing(number).map((one) => `${one.status} ${one.valueString ?? one.valueInteger}`),
    ...documents(number).map(({ statement, attachment }) => `${statement.status} ED ${attachment.title}`),
  ].sort().join(", ");
  // Which of its ids one stands under, and what it has with it, is nothing that a reader sees.
  const visible = (number: number): string => [
    ...standing(number).map(({ id, contained, extension, ...own }) =>
      JSON.stringify([Object.entries(own).sort(), statementOf({ ...own, extension } as Observation)])),
    ...documents(number).map(({ attachment, statement }) => JSON.stringify([attachment.title, statement])),
  ].sort().join();
  return { after, state, shown, visible };
}

/** What a set's outcome may not be: what nobody told, or took back. */
function whatIsWrong(told: Told[], { results: [own], withdrawal }: State): string | undefined {
  const all = told.flatMap(({ own }) => own);
  const high = highest([...all.map(statementOf), ...(withdrawal === undefined ? [] : [withdrawal])], (one) => one);
  if (own === undefined || high === undefined) {
    return all.length === 0 ? undefined : "nothing stands";
  }
  if (compare(statementOf(own), high) !== 0) {
    return "it stands by another statement than the highest";
  }
  if (JSON.stringify(own.valueInteger) !== JSON.stringify(standing(all.map(saidIn), withdrawal).valueInteger)) {
    return "it has another value than the whole history gives";
  }
  const source = all.find(({ valueInteger }) => valueInteger === own.valueInteger);
  if (!hasValue(own) || source === undefined || WITHDRAWN.has(own.status)) {
    return hasValue(own) && source === undefined ? "nobody told the value" : undefined;
  }
  const [of, at] = [statementOf(source), (one: Statement) => Date.parse(one.time?.event ?? one.time?.message ?? "")];
  const isBetween = (one: Statement): boolean => compare(of, one) <= 0 && compare(one, high) < 0;
  const withdrawals = [...all.map(statementOf).filter(({ status }) => WITHDRAWN.has(status)), ...(withdrawal === undefined ? [] : [withdrawal])];
  if (withdrawals.some(isBetween)) {
    return "its value was withdrawn";
  }
  return of.status === "preliminary" && of.status !== high.status && at(of) > at(high) ? "its value was preliminary, and told later" : undefined;
}

function ordersOf<T>(all: T[]): T[][] {
  return all.length < 2 ? [all] : all.flatMap((one, at) => ordersOf(all.toSpliced(at, 1)).map((rest) => [one, ...rest]));
}

/** Numbers below a bound that look random, and are the same each time. */
function numbers(): (below: number) => number {
  let seed = 7;
  return (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(seed / 65_536) % below;
  };
}
