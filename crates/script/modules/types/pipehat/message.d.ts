/**
 * HL7 v2 messages by path, lossless: what is not set keeps its bytes.
 *
 * Paths are HL7's own and count from 1: `PID-3[2].1`, `OBX(2)-5`, `OBX(*)-3.1`. Values are plain text: escape sequences are
 * taken out when they are read and put in when they are set. `raw` and `setRaw` have them as they stand.
 */
/** Where something stands: `PID-3[2].1`. */
export type Path = string;
/** A message. */
export declare class Message {
    #private;
    /** By which number the worker knows a message: what a handler returns is taken from there. Of no use to bots. */
    static numberOf(message: Message): number;
    private constructor();
    /** Reads a message: a text, or an `Hl7Message`. */
    static parse(message: string | {
        toString(): string;
    }): Message;
    /** The text of the first that the path names; `undefined` where nothing stands, `""` where it is empty. */
    get(path: Path): string | undefined;
    /** The text, or the other one where nothing stands or it is empty. */
    text(path: Path, otherwise?: string): string;
    /** The number that stands there (NM); `undefined` where none does. Digits and precision are the text's: see `get`. */
    number(path: Path): number | undefined;
    /**
     * The date-time that stands there, as FHIR's instant. One that tells no offset is of `zone` (`Europe/Vienna`, `+01:00`);
     * without it, of the channel's `time_zone`, unless MSH-7 has an offset that is not that zone's then: of that offset, as in
     * `translate.toFhir`. It is of UTC where there is neither. One without a time of day is FHIR's date, with the precision it
     * has (`1980-01-31`, `1980-01`, `1980`): no zone makes another day of it. So is one without an offset that its zone has twice
     * (the hour in autumn) or leaves out (in spring): which instant that is nobody says, and the day remains (`2026-10-25`).
     */
    dateTime(path: Path, zone?: string): string | undefined;
    /** Whether something stands there. */
    has(path: Path): boolean;
    /** The texts of all that a path with `*` names. */
    all(path: Path): string[];
    /** Where all stand that a path with `*` names. */
    paths(path: Path): Path[];
    /** The repetitions of a field: their texts, or those of a component of each (`repetitions("PID-3", "1")`). */
    repetitions(field: Path, component?: string | number): string[];
    /** All segments of this name, in order. */
    segments(name: string): Segment[];
    /** The first segment of this name. */
    segment(name: string): Segment | undefined;
    /** As it stands in the message, with delimiters and escape sequences. */
    raw(path: Path): string | undefined;
    /** Puts a text there; what is a delimiter in it is escaped. */
    set(path: Path, text: string | number): this;
    /** Puts something there as it is. */
    setRaw(path: Path, raw: string): this;
    /** Empties it. */
    clear(path: Path): this;
    /** Takes it away: segments, repetitions. */
    remove(path: Path): this;
    /** The message as ER7. */
    toString(): string;
}
/** A segment of a message: paths within it begin with the field's number, `5.1`. */
export declare class Segment {
    #private;
    /** Which it is: `OBX(2)`. */
    readonly path: Path;
    /** Made by `Message`. */
    constructor(message: Message, path: Path);
    get name(): string;
    get(field: string | number): string | undefined;
    text(field: string | number, otherwise?: string): string;
    number(field: string | number): number | undefined;
    dateTime(field: string | number, zone?: string): string | undefined;
    repetitions(field: string | number, component?: string | number): string[];
    set(field: string | number, text: string | number): this;
    clear(field: string | number): this;
    /** As it stands in the message. */
    toString(): string;
}
