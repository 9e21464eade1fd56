/**
 * HL7 v2 messages in the shape that bots for Medplum know: segments, fields, components.
 *
 * Texts are taken apart only where somebody looks: a segment keeps its text until a field of it is asked for, a field
 * until a component is. What nobody looks at is written as it came.
 *
 * Texts are HL7's own: escape sequences (`\T\`) stand as they are, in what is read and in what is set.
 * `Message` of the module `pipehat` takes them out and puts them in.
 */

import { formatHl7DateTime } from "./hl7-date-time";

/** What MSA-1 may say (HL7 table 0008). */
export const AckCode = { AA: "AA", AE: "AE", AR: "AR", CA: "CA", CE: "CE", CR: "CR" } as const;
export type AckCode = keyof typeof AckCode;

/** MSA-3 for each code. */
const ACK_TEXTS: Record<AckCode, string> = {
  AA: "OK",
  AE: "Application Error",
  AR: "Application Reject",
  CA: "Commit Accept",
  CE: "Commit Error",
  CR: "Commit Reject",
};

/** MSH-12 of an acknowledgment where the message has none. */
const VERSION_ID_DEFAULT = "2.5.1";

/** Positions behind this are refused: one mistaken number must not fill the memory. */
const POSITIONS_MAX = 10_000;

export interface Hl7AckOptions {
  /** What MSA-1 says; `AA` where it is not told. */
  ackCode?: AckCode;
  /** A segment ERR to add. */
  errSegment?: Hl7Segment;
}

/** The separators of a message. */
export class Hl7Context {
  readonly segmentSeparator: string;
  readonly fieldSeparator: string;
  readonly componentSeparator: string;
  readonly repetitionSeparator: string;
  readonly escapeCharacter: string;
  readonly subcomponentSeparator: string;

  constructor(
    segmentSeparator: string = "\r",
    fieldSeparator: string = "|",
    componentSeparator: string = "^",
    repetitionSeparator: string = "~",
    escapeCharacter: string = "\\",
    subcomponentSeparator: string = "&",
  ) {
    this.segmentSeparator = segmentSeparator;
    this.fieldSeparator = fieldSeparator;
    this.componentSeparator = componentSeparator;
    this.repetitionSeparator = repetitionSeparator;
    this.escapeCharacter = escapeCharacter;
    this.subcomponentSeparator = subcomponentSeparator;
  }

  /** MSH-1. */
  getMsh1(): string {
    return this.fieldSeparator;
  }

  /** MSH-2. */
  getMsh2(): string {
    return (
      this.componentSeparator + this.repetitionSeparator + this.escapeCharacter + this.subcomponentSeparator
    );
  }
}

const CONTEXT_DEFAULT: Hl7Context = new Hl7Context();

/** The context that MSH-1 and MSH-2 declare; what MSH-2 leaves out is as the standard recommends (HL7 v2.5.1 §2.5.4). */
function contextOf(text: string): Hl7Context {
  if (text.startsWith("MSH|^~\\&|")) {
    return CONTEXT_DEFAULT;
  }
  const field = text[3] ?? "|";
  const end = text
    .slice(4)
    .search(field === "\\" || field === "]" ? /[\r\n]/ : new RegExp(`[\\r\\n\\${field}]`));
  const declared = end < 0 ? text.slice(4) : text.slice(4, 4 + end);
  return new Hl7Context(
    "\r",
    field,
    declared[0] ?? "^",
    declared[1] ?? "~",
    declared[2] ?? "\\",
    declared[3] ?? "&",
  );
}

/** The text of a message whose segments end with one CR each: it need not be looked through. */
export class WholeText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An HL7 v2 message. */
export class Hl7Message {
  readonly context: Hl7Context;
  /** Its text, as long as nobody looked at its segments. */
  #text: string | undefined;
  #segments: Hl7Segment[] | undefined;

  constructor(segments: Hl7Segment[], context?: Hl7Context);
  constructor(content: Hl7Segment[] | WholeText, context: Hl7Context = CONTEXT_DEFAULT) {
    if (content instanceof WholeText) {
      this.#text = content.text;
    } else {
      this.#segments = content;
    }
    this.context = context;
  }

  /** Reads a message. Segments may end with CR, LF or both. */
  static parse(text: string): Hl7Message;
  static parse(content: string | WholeText): Hl7Message {
    const text = content instanceof WholeText ? content.text : content;
    if (typeof text !== "string" || !text.startsWith("MSH")) {
      throw new Error("Invalid HL7 message: it does not begin with MSH");
    }
    const whole = content instanceof WholeText ? content : new WholeText(withPlainEnds(text));
    return new Hl7Message(whole as unknown as Hl7Segment[], contextOf(text));
  }

  /** Its segments, in order. */
  get segments(): Hl7Segment[] {
    if (this.#segments === undefined) {
      const lines = (this.#text ?? "").split("\r");
      this.#segments = lines.map((line) => Hl7Segment.parse(line, this.context));
      this.#text = undefined;
    }
    return this.#segments;
  }

  /** The segment MSH. */
  get header(): Hl7Segment {
    return this.segments[0] as Hl7Segment;
  }

  /** @deprecated Use `getSegment`. */
  get(index: number | string): Hl7Segment | undefined {
    return this.getSegment(index);
  }

  /** @deprecated Use `getAllSegments`. */
  getAll(name: string): Hl7Segment[] {
    return this.getAllSegments(name);
  }

  /** The first segment of this name, or the one at this place, counted from 0. */
  getSegment(index: number | string): Hl7Segment | undefined {
    return typeof index === "number"
      ? this.segments[index]
      : this.segments.find((segment) => segment.name === index);
  }

  /** All segments of this name. */
  getAllSegments(name: string): Hl7Segment[] {
    return this.segments.filter((segment) => segment.name === name);
  }

  /**
   * Puts a segment in the place of the first of this name, or of the one at this place. Behind the last it is added.
   * Only MSH stands first, and nowhere else: otherwise nothing is done, and the answer is `false`.
   */
  setSegment(index: number | string, segment: Hl7Segment): boolean {
    const named = typeof index === "string";
    const at = named ? this.segments.findIndex((one) => one.name === index) : index;
    if (!Number.isInteger(at) || at < 0 || (at === 0) !== (segment.name === "MSH")) {
      return false;
    }
    if (at >= this.segments.length) {
      this.segments.push(segment);
    } else {
      this.segments[at] = segment;
    }
    return true;
  }

  /**
   * An acknowledgment: sender and receiver change places, the trigger event and version stay, MSA-2 is the control id
   * (HL7 v2.5.1 §2.9.2).
   */
  buildAck(options?: Hl7AckOptions): Hl7Message {
    const now = new Date();
    const header = this.getSegment("MSH");
    const field = (index: number): string => header?.getField(index)?.toString() ?? "";
    const { context } = this;
    const code = options?.ackCode ?? "AA";
    const segment = (fields: string[]): Hl7Segment => new Hl7Segment(fields, context);
    const segments = [
      segment([
        "MSH",
        context.getMsh2(),
        field(5),
        field(6),
        field(3),
        field(4),
        formatHl7DateTime(now),
        "",
        this.ackMessageType(header),
        newControlId(now),
        field(11) || "P",
        header?.getField(12) ? field(12) : VERSION_ID_DEFAULT,
      ]),
      segment(["MSA", code, field(10), ACK_TEXTS[code] ?? ""]),
    ];
    if (options?.errSegment) {
      segments.push(options.errSegment);
    }
    return new Hl7Message(segments, context);
  }

  private ackMessageType(header: Hl7Segment | undefined): string {
    const trigger = header?.getComponent(9, 2);
    if (!trigger) {
      return "ACK";
    }
    const parts = header?.getComponent(9, 3) ? ["ACK", trigger, "ACK"] : ["ACK", trigger];
    return parts.join(this.context.componentSeparator);
  }

  /** The message as ER7. */
  toString(): string {
    return this.#text ?? this.segments.map(String).join(this.context.segmentSeparator);
  }

  toJSON(): unknown {
    return { context: this.context, segments: this.segments };
  }
}

/** The text with one CR at the end of each segment. */
function withPlainEnds(text: string): string {
  // A regular expression is tried at every character: it takes longer than all the rest of a bot.
  const plain = !text.includes("\n") && !text.includes("\r\r");
  return plain ? text : text.split(/[\r\n]+/).join("\r");
}

/** A control id of at most 20 characters: the time in milliseconds, and four digits for several at one time. */
function newControlId(now: Date): string {
  return `${now.getTime()}${String(Math.floor(Math.random() * 10_000)).padStart(4, "0")}`;
}

/** A segment. */
export class Hl7Segment {
  readonly context: Hl7Context;
  readonly name: string;
  /** Its text, as long as nobody looked at its fields. */
  #text: string | undefined;
  /** Its fields, each a text as long as nobody looked at it. The first is the name. */
  #fields: (Hl7Field | string)[] | undefined;
  /** Whether `#fields` was handed out, and has no texts in it. */
  #open: boolean;

  /** `fields` begins with the segment's name. For MSH the field separator is left out: `['MSH', '^~\\&', …]`. */
  constructor(fields: Hl7Field[] | string[], context: Hl7Context = CONTEXT_DEFAULT) {
    this.context = context;
    const first: Hl7Field | string | undefined = fields[0];
    if (first === LAZY) {
      const text = fields[1] as string;
      const end = text.indexOf(context.fieldSeparator);
      this.name = end < 0 ? text : text.slice(0, end);
      this.#text = text;
      this.#open = false;
      return;
    }
    this.name = typeof first === "string" ? first : (first?.components[0]?.[0] ?? "");
    this.#fields = [...fields];
    this.#open = false;
  }

  /** Reads a segment. */
  static parse(text: string, context: Hl7Context = CONTEXT_DEFAULT): Hl7Segment {
    return new Hl7Segment([LAZY, text], context);
  }

  private split(): (Hl7Field | string)[] {
    if (this.#fields === undefined) {
      this.#fields = (this.#text ?? "").split(this.context.fieldSeparator);
      this.#text = undefined;
    }
    return this.#fields;
  }

  /** The fields; the first is the segment's name. In MSH the second is MSH-2. */
  get fields(): Hl7Field[] {
    const fields = this.split();
    if (!this.#open) {
      for (let at = 0; at < fields.length; at += 1) {
        fields[at] = this.opened(fields[at] as Hl7Field | string);
      }
      this.#open = true;
    }
    return fields as Hl7Field[];
  }

  private opened(field: Hl7Field | string): Hl7Field {
    return typeof field === "string" ? Hl7Field.parse(field, this.context) : field;
  }

  /** @deprecated Use `getField`, whose numbers are the standard's also in MSH. */
  get(index: number): Hl7Field {
    const fields = this.split();
    const field = fields[index];
    if (typeof field === "string") {
      return (fields[index] = this.opened(field));
    }
    return field as Hl7Field;
  }

  /**
   * A field by its number in the standard, from 1: `getField(3)` of PID is PID-3. Number 0 is the segment's name.
   * Where there is none it is `undefined`.
   */
  getField(index: number): Hl7Field {
    if (this.name === "MSH") {
      if (index === 1) {
        return new Hl7Field([[this.context.getMsh1()]], this.context);
      }
      if (index === 2) {
        return new Hl7Field([[this.encodingCharacters()]], this.context);
      }
      return this.get(index > 2 ? index - 1 : index);
    }
    return this.get(index);
  }

  /** MSH-2 as it stands. */
  private encodingCharacters(): string {
    return String(this.split()[1] ?? this.context.getMsh2());
  }

  /**
   * A component's text; empty where there is none. Fields and components count from 1; subcomponents and repetitions
   * from 0, as their names in Medplum have it.
   */
  getComponent(fieldIndex: number, component: number, subcomponent?: number, repetition: number = 0): string {
    return this.getField(fieldIndex)?.getComponent(component, subcomponent, repetition) ?? "";
  }

  /** Puts a field at its number in the standard. MSH-1 and MSH-2 stay: the answer is `false`. */
  setField(index: number, field: Hl7Field | string): boolean {
    if (!isPosition(index)) {
      return false;
    }
    let at = index;
    if (this.name === "MSH") {
      if (index === 1 || index === 2) {
        return false;
      }
      at = index > 2 ? index - 1 : index;
    }
    const fields = this.split();
    while (fields.length < at) {
      fields.push(this.#open ? this.opened("") : "");
    }
    fields[at] = this.opened(field);
    return true;
  }

  /** Sets a component of a field that is there; otherwise the answer is `false`. Counts as `getComponent` does. */
  setComponent(
    fieldIndex: number,
    component: number,
    value: string,
    subcomponent?: number,
    repetition: number = 0,
  ): boolean {
    return this.getField(fieldIndex)?.setComponent(component, value, subcomponent, repetition) ?? false;
  }

  toString(): string {
    return this.#text ?? (this.#fields ?? []).map(String).join(this.context.fieldSeparator);
  }

  toJSON(): unknown {
    return { context: this.context, fields: this.fields, name: this.name };
  }
}

/** Tells the constructor of a segment that its text follows. No segment has such a name. */
const LAZY = "\u0000text";

/** A field with its repetitions. */
export class Hl7Field {
  readonly context: Hl7Context;
  /** Its text, as long as nobody looked at its components. */
  #text: string | undefined;
  #components: string[][] | undefined;

  /** `components` are the components of each repetition. */
  constructor(components: string[][], context: Hl7Context = CONTEXT_DEFAULT) {
    this.context = context;
    this.#components = components;
  }

  /** Reads a field. */
  static parse(text: string, context: Hl7Context = CONTEXT_DEFAULT): Hl7Field {
    const field = new Hl7Field([], context);
    field.#components = undefined;
    field.#text = text;
    return field;
  }

  /** The components of each repetition. */
  get components(): string[][] {
    if (this.#components === undefined) {
      const { componentSeparator, repetitionSeparator } = this.context;
      this.#components = (this.#text ?? "")
        .split(repetitionSeparator)
        .map((repetition) => repetition.split(componentSeparator));
      this.#text = undefined;
    }
    return this.#components;
  }

  /** @deprecated Use `getComponent`, which counts components from 1 as the standard does; this counts from 0. */
  get(component: number, subcomponent?: number, repetition: number = 0): string {
    const text = this.components[repetition]?.[component] ?? "";
    if (subcomponent === undefined) {
      return text;
    }
    return text.split(this.context.subcomponentSeparator)[subcomponent] ?? "";
  }

  /** A component's text, counted from 1; empty where there is none. Subcomponents and repetitions count from 0. */
  getComponent(component: number, subcomponent?: number, repetition: number = 0): string {
    return this.get(component - 1, subcomponent, repetition);
  }

  /** Sets a component, and adds what is missing before it. Counts as `getComponent` does. */
  setComponent(component: number, value: string, subcomponent?: number, repetition: number = 0): boolean {
    const at = component - 1;
    if (
      !isPosition(at) ||
      !isPosition(repetition) ||
      (subcomponent !== undefined && !isPosition(subcomponent))
    ) {
      return false;
    }
    const repetitions = this.components;
    while (repetitions.length <= repetition) {
      repetitions.push([""]);
    }
    const components = repetitions[repetition] as string[];
    while (components.length <= at) {
      components.push("");
    }
    if (subcomponent === undefined) {
      components[at] = value;
      return true;
    }
    const { subcomponentSeparator } = this.context;
    const subcomponents = (components[at] as string).split(subcomponentSeparator);
    while (subcomponents.length <= subcomponent) {
      subcomponents.push("");
    }
    subcomponents[subcomponent] = value;
    components[at] = subcomponents.join(subcomponentSeparator);
    return true;
  }

  toString(): string {
    if (this.#text !== undefined) {
      return this.#text;
    }
    const { componentSeparator, repetitionSeparator } = this.context;
    return this.components.map((repetition) => repetition.join(componentSeparator)).join(repetitionSeparator);
  }

  toJSON(): unknown {
    return { context: this.context, components: this.components };
  }
}

function isPosition(index: number): boolean {
  return Number.isInteger(index) && index >= 0 && index <= POSITIONS_MAX;
}
