/**
 * HL7 v2 messages in the shape that bots for Medplum know: segments, fields, components.
 *
 * Texts are taken apart only where somebody looks: a segment keeps its text until a field of it is asked for, a field
 * until a component is. What nobody looks at is written as it came.
 *
 * Texts are HL7's own: escape sequences (`\T\`) stand as they are, in what is read and in what is set.
 * `Message` of the module `pipehat` takes them out and puts them in.
 */
/** What MSA-1 may say (HL7 table 0008). */
export declare const AckCode: {
    readonly AA: "AA";
    readonly AE: "AE";
    readonly AR: "AR";
    readonly CA: "CA";
    readonly CE: "CE";
    readonly CR: "CR";
};
export type AckCode = keyof typeof AckCode;
export interface Hl7AckOptions {
    /** What MSA-1 says; `AA` where it is not told. */
    ackCode?: AckCode;
    /** A segment ERR to add. */
    errSegment?: Hl7Segment;
}
/** The separators of a message. */
export declare class Hl7Context {
    readonly segmentSeparator: string;
    readonly fieldSeparator: string;
    readonly componentSeparator: string;
    readonly repetitionSeparator: string;
    readonly escapeCharacter: string;
    readonly subcomponentSeparator: string;
    constructor(segmentSeparator?: string, fieldSeparator?: string, componentSeparator?: string, repetitionSeparator?: string, escapeCharacter?: string, subcomponentSeparator?: string);
    /** MSH-1. */
    getMsh1(): string;
    /** MSH-2. */
    getMsh2(): string;
}
/** The text of a message whose segments end with one CR each: it need not be looked through. */
export declare class WholeText {
    readonly text: string;
    constructor(text: string);
}
/** An HL7 v2 message. */
export declare class Hl7Message {
    #private;
    readonly context: Hl7Context;
    constructor(segments: Hl7Segment[], context?: Hl7Context);
    /** Reads a message. Segments may end with CR, LF or both. */
    static parse(text: string): Hl7Message;
    /** Its segments, in order. */
    get segments(): Hl7Segment[];
    /** The segment MSH. */
    get header(): Hl7Segment;
    /** @deprecated Use `getSegment`. */
    get(index: number | string): Hl7Segment | undefined;
    /** @deprecated Use `getAllSegments`. */
    getAll(name: string): Hl7Segment[];
    /** The first segment of this name, or the one at this place, counted from 0. */
    getSegment(index: number | string): Hl7Segment | undefined;
    /** All segments of this name. */
    getAllSegments(name: string): Hl7Segment[];
    /**
     * Puts a segment in the place of the first of this name, or of the one at this place. Behind the last it is added.
     * Only MSH stands first, and nowhere else: otherwise nothing is done, and the answer is `false`.
     */
    setSegment(index: number | string, segment: Hl7Segment): boolean;
    /**
     * An acknowledgment: sender and receiver change places, the trigger event and version stay, MSA-2 is the control id
     * (HL7 v2.5.1 §2.9.2).
     */
    buildAck(options?: Hl7AckOptions): Hl7Message;
    private ackMessageType;
    /** The message as ER7. */
    toString(): string;
    toJSON(): unknown;
}
/** A segment. */
export declare class Hl7Segment {
    #private;
    readonly context: Hl7Context;
    readonly name: string;
    /** `fields` begins with the segment's name. For MSH the field separator is left out: `['MSH', '^~\\&', …]`. */
    constructor(fields: Hl7Field[] | string[], context?: Hl7Context);
    /** Reads a segment. */
    static parse(text: string, context?: Hl7Context): Hl7Segment;
    private split;
    /** The fields; the first is the segment's name. In MSH the second is MSH-2. */
    get fields(): Hl7Field[];
    private opened;
    /** @deprecated Use `getField`, whose numbers are the standard's also in MSH. */
    get(index: number): Hl7Field;
    /**
     * A field by its number in the standard, from 1: `getField(3)` of PID is PID-3. Number 0 is the segment's name.
     * Where there is none it is `undefined`.
     */
    getField(index: number): Hl7Field;
    /** MSH-2 as it stands. */
    private encodingCharacters;
    /**
     * A component's text; empty where there is none. Fields and components count from 1; subcomponents and repetitions
     * from 0, as their names in Medplum have it.
     */
    getComponent(fieldIndex: number, component: number, subcomponent?: number, repetition?: number): string;
    /** Puts a field at its number in the standard. MSH-1 and MSH-2 stay: the answer is `false`. */
    setField(index: number, field: Hl7Field | string): boolean;
    /** Sets a component of a field that is there; otherwise the answer is `false`. Counts as `getComponent` does. */
    setComponent(fieldIndex: number, component: number, value: string, subcomponent?: number, repetition?: number): boolean;
    toString(): string;
    toJSON(): unknown;
}
/** A field with its repetitions. */
export declare class Hl7Field {
    #private;
    readonly context: Hl7Context;
    /** `components` are the components of each repetition. */
    constructor(components: string[][], context?: Hl7Context);
    /** Reads a field. */
    static parse(text: string, context?: Hl7Context): Hl7Field;
    /** The components of each repetition. */
    get components(): string[][];
    /** @deprecated Use `getComponent`, which counts components from 1 as the standard does; this counts from 0. */
    get(component: number, subcomponent?: number, repetition?: number): string;
    /** A component's text, counted from 1; empty where there is none. Subcomponents and repetitions count from 0. */
    getComponent(component: number, subcomponent?: number, repetition?: number): string;
    /** Sets a component, and adds what is missing before it. Counts as `getComponent` does. */
    setComponent(component: number, value: string, subcomponent?: number, repetition?: number): boolean;
    toString(): string;
    toJSON(): unknown;
}
