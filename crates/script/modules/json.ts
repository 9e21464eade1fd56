/**
 * JSON whose numbers keep the digits they were written with: a result of `0.10` is told so again (FHIR R4 §2.24.0.1: the
 * precision of a decimal is part of it). JavaScript has no such numbers, so the object that holds one remembers them.
 */

import { fhir } from "pipehat:host";

import { isEmpty } from "./medplum/values";

/** By member. Spread and `Object.assign` take it along, and `JSON.stringify` passes it over. */
const DIGITS = Symbol.for("pipehat.digits");

interface Holder {
  [DIGITS]?: Record<string, string>;
  [name: string]: unknown;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

type Replacer = (this: unknown, name: string, member: unknown) => unknown;

export function readJson(text: string): unknown {
  const value = JSON.parse(text);
  const digits = fhir.digits(text);
  if (digits !== undefined) {
    for (const [path, written] of JSON.parse(digits) as [(string | number)[], string][]) {
      keep(value, path, written);
    }
  }
  return value;
}

function keep(value: unknown, path: (string | number)[], digits: string): void {
  const name = String(path[path.length - 1]);
  const holder = path.slice(0, -1).reduce((own, step) => (own as Holder)[step], value) as Holder;
  const kept: Record<string, string> = Object.assign(Object.create(null), holder[DIGITS], { [name]: digits });
  Object.defineProperty(holder, DIGITS, { value: kept, writable: true, enumerable: true, configurable: true });
}

export function writeJson(value: unknown, replacer?: Replacer): string | undefined {
  if (!fhir.hasDigits()) {
    return JSON.stringify(value, replacer);
  }
  // Marked strings stand for the numbers, and lose mark and quotes in the text. The mark is none that the value has.
  for (let mark = "\uE000digits"; ; mark += "\uE000") {
    let written = 0;
    let found = 0;
    const text: string | undefined = JSON.stringify(value, function (this: unknown, name: string, member: unknown) {
      const own = replacer === undefined ? member : replacer.call(this, name, member);
      const digits = typeof own === "number" ? digitsOf(this, name, own) : undefined;
      written += digits === undefined ? 0 : 1;
      return digits === undefined ? own : mark + digits;
    });
    const told = text?.replace(new RegExp(`"${mark}([-+.\\deE]+)"`, "g"), (_, digits: string) => {
      found += 1;
      return digits;
    });
    if (found === written) {
      return told;
    }
  }
}

/** Of what is sent as FHIR: members that say nothing are left out; in a list they keep the place. */
export function emptied(this: unknown, _name: string, member: unknown): unknown {
  if (!isEmpty(member)) {
    return member;
  }
  return Array.isArray(this) ? null : undefined;
}

/** How a member was written, where it still is that number. */
function digitsOf(holder: unknown, name: string, value: number): string | undefined {
  const digits = (holder as Holder)[DIGITS]?.[name];
  return typeof digits === "string" && NUMBER.test(digits) && Number(digits) === value ? digits : undefined;
}
