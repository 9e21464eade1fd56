/**
 * HL7 v2 messages by path, lossless: what is not set keeps its bytes.
 *
 * Paths are HL7's own and count from 1: `PID-3[2].1`, `OBX(2)-5`, `OBX(*)-3.1`. Values are plain text: escape sequences are
 * taken out when they are read and put in when they are set. `raw` and `setRaw` have them as they stand.
 */

import { hl7 } from "pipehat:host";

import { parseHl7DateTime } from "../medplum/hl7-date-time";

/** Where something stands: `PID-3[2].1`. */
export type Path = string;

/** A date-time (HL7 v2.5.1 §2.A.22): year, month, day, and whether there is a time of day and an offset. */
const DATE_TIME = /^(\d{4})(\d{2})?(\d{2})?(\d[\d.]*)?([+-]\d{4}|Z)?$/;

/** A message. */
export class Message {
  readonly #message: number;

  /** By which number the worker knows a message: what a handler returns is taken from there. Of no use to bots. */
  static numberOf(message: Message): number {
    return message.#message;
  }

  private constructor(message: number) {
    this.#message = message;
  }

  /** Reads a message: a text, or an `Hl7Message`. */
  static parse(message: string | { toString(): string }): Message {
    return new Message(hl7.parse(String(message)));
  }

  /** The text of the first that the path names; `undefined` where nothing stands, `""` where it is empty. */
  get(path: Path): string | undefined {
    return hl7.get(this.#message, path);
  }

  /** The text, or the other one where nothing stands or it is empty. */
  text(path: Path, otherwise: string = ""): string {
    return hl7.get(this.#message, path) || otherwise;
  }

  /** The number that stands there (NM); `undefined` where none does. Digits and precision are the text's: see `get`. */
  number(path: Path): number | undefined {
    const text = hl7.get(this.#message, path)?.trim() ?? "";
    return /^[+-]?\d+(\.\d*)?$|^[+-]?\.\d+$/.test(text) ? Number(text) : undefined;
  }

  /**
   * The date-time that stands there, as FHIR's instant. One that tells no offset is of `zone` (`Europe/Vienna`, `+01:00`);
   * without it, of the channel's `time_zone`, unless MSH-7 has an offset that is not that zone's then: of that offset, as in
   * `translate.toFhir`. It is of UTC where there is neither. One without a time of day is FHIR's date, with the precision it
   * has (`1980-01-31`, `1980-01`, `1980`): no zone makes another day of it. So is one without an offset that its zone has twice
   * (the hour in autumn) or leaves out (in spring): which instant that is nobody says, and the day remains (`2026-10-25`).
   */
  dateTime(path: Path, zone?: string): string | undefined {
    const text = hl7.get(this.#message, path);
    const tzOffset = zone ?? hl7.zone(this.#message);
    const instant = parseHl7DateTime(text, tzOffset === undefined ? undefined : { tzOffset });
    if (text === undefined || instant === undefined) {
      return undefined;
    }
    const [, year, month, day, time, offset] = DATE_TIME.exec(text) ?? [];
    const isInstant =
      time !== undefined &&
      (offset !== undefined || tzOffset === undefined || !hl7.isDoubtful(tzOffset, text));
    return isInstant ? instant : [year, month, day].filter(Boolean).join("-");
  }

  /** Whether something stands there. */
  has(path: Path): boolean {
    return Boolean(hl7.get(this.#message, path));
  }

  /** The texts of all that a path with `*` names. */
  all(path: Path): string[] {
    return hl7.all(this.#message, path);
  }

  /** Where all stand that a path with `*` names. */
  paths(path: Path): Path[] {
    return hl7.paths(this.#message, path);
  }

  /** The repetitions of a field: their texts, or those of a component of each (`repetitions("PID-3", "1")`). */
  repetitions(field: Path, component?: string | number): string[] {
    return hl7.all(this.#message, `${field}[*]${component === undefined ? "" : `.${component}`}`);
  }

  /** All segments of this name, in order. */
  segments(name: string): Segment[] {
    return hl7.paths(this.#message, `${name}(*)`).map((path) => new Segment(this, path));
  }

  /** The first segment of this name. */
  segment(name: string): Segment | undefined {
    return this.segments(name)[0];
  }

  /** As it stands in the message, with delimiters and escape sequences. */
  raw(path: Path): string | undefined {
    return hl7.raw(this.#message, path);
  }

  /** Puts a text there; what is a delimiter in it is escaped. */
  set(path: Path, text: string | number): this {
    hl7.set(this.#message, path, String(text));
    return this;
  }

  /** Puts something there as it is. */
  setRaw(path: Path, raw: string): this {
    hl7.setRaw(this.#message, path, raw);
    return this;
  }

  /** Empties it. */
  clear(path: Path): this {
    hl7.clear(this.#message, path);
    return this;
  }

  /** Takes it away: segments, repetitions. */
  remove(path: Path): this {
    hl7.remove(this.#message, path);
    return this;
  }

  /** The message as ER7. */
  toString(): string {
    return hl7.text(this.#message);
  }
}

/** A segment of a message: paths within it begin with the field's number, `5.1`. */
export class Segment {
  readonly #message: Message;
  /** Which it is: `OBX(2)`. */
  readonly path: Path;

  /** Made by `Message`. */
  constructor(message: Message, path: Path) {
    this.#message = message;
    this.path = path;
  }

  get name(): string {
    return this.path.slice(0, 3);
  }

  get(field: string | number): string | undefined {
    return this.#message.get(`${this.path}-${field}`);
  }

  text(field: string | number, otherwise: string = ""): string {
    return this.#message.text(`${this.path}-${field}`, otherwise);
  }

  number(field: string | number): number | undefined {
    return this.#message.number(`${this.path}-${field}`);
  }

  dateTime(field: string | number, zone?: string): string | undefined {
    return this.#message.dateTime(`${this.path}-${field}`, zone);
  }

  repetitions(field: string | number, component?: string | number): string[] {
    return this.#message.repetitions(`${this.path}-${field}`, component);
  }

  set(field: string | number, text: string | number): this {
    this.#message.set(`${this.path}-${field}`, text);
    return this;
  }

  clear(field: string | number): this {
    this.#message.clear(`${this.path}-${field}`);
    return this;
  }

  /** As it stands in the message. */
  toString(): string {
    return this.#message.raw(this.path) ?? "";
  }
}
