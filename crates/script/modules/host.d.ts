/**
 * The native layer: `import { ask } from "pipehat:host"`. Only built-in modules can import it; a bot that tries gets
 * an error when it is loaded. Nothing here checks what TypeScript's types already say: it is not for bots.
 */
declare module "pipehat:host" {
  /** What may be asked of the outside; one for each `Ask` of the crate, with its fields. */
  export type Request =
    | { ask: "fetch"; method: string; url: string; headers?: [string, string][]; body?: string | Uint8Array }
    | { ask: "datastore"; method: string; path: string; headers?: [string, string][]; body?: string | Uint8Array }
    | { ask: "table"; table: string; key: string }
    | { ask: "stateGet"; key: string }
    | { ask: "stateSet"; key: string; value?: string }
    | { ask: "stateAdd"; key: string; by: number }
    | { ask: "send"; destination: string; contentType: string; body: string | Uint8Array }
    | { ask: "park"; reason: string }
    | { ask: "toFhir"; message: string | Uint8Array }
    | { ask: "toV2"; bundle: string; wanted: string; version: string }
    | {
        ask: "sftp";
        server: string;
        operation: "list" | "get" | "put" | "rename" | "remove" | "renameWhenSent" | "removeWhenSent";
        path: string;
        argument?: string;
        body?: string | Uint8Array;
      }
    | { ask: "executeBot"; bot: string; contentType: string; body: string | Uint8Array };

  export interface Answer {
    /** The HTTP status, where there is one; else 200, and 404 where a table or the state has nothing. */
    status: number;
    headers: [string, string][];
    /** The body as text (UTF-8; what is not becomes U+FFFD). Empty if bytes were wanted. */
    text: string;
    /** The body as bytes; only if `wanted` was `"bytes"`. */
    bytes?: Uint8Array;
  }

  /**
   * Asks, and waits for the answer in place. A refusal, a failure or the end of the run's time is thrown as an `Error`
   * whose `code` is `"refused"`, `"failed"` or `"timeout"`.
   */
  export function askNow(request: Request, wanted?: "text" | "bytes"): Answer;

  /**
   * The same as a promise. It is done when the script next waits, those of one turn in the order in which they were
   * asked. Timers go on while the host is at it.
   */
  export function ask(request: Request, wanted?: "text" | "bytes"): Promise<Answer>;

  /** The same, of what may be given up before it is answered. */
  export function begin(request: Request, wanted?: "text" | "bytes"): { answer: Promise<Answer>; number: number };

  /** Nothing waits for this answer any more: its promise is never settled. */
  export function giveUp(number: number): void;

  /** A line of the run's log. `console` uses it. */
  export function log(level: "debug" | "info" | "warn" | "error", text: string): void;

  /** A secret of the run's event; `undefined` where there is none of this name. */
  export function secret(name: string): string | undefined;

  /** The zone of date-times that tell none, in the channel that the run is a step of. */
  export function timeZone(): string | undefined;

  /**
   * HL7 v2 by path, lossless: what was not set keeps its bytes. A message is a number here, good for this run only.
   * Paths are the crate's: `PID-3[2].1`, `OBX(2)-5`, `OBX(*)-5`, `NTE(+1)-3`; a wrong one throws, and says where.
   */
  export const hl7: {
    parse(text: string): number;
    text(message: number): string;
    /** The value's text: unescaped. `undefined` where nothing stands; `""` where it is empty. */
    get(message: number, path: string): string | undefined;
    /**
     * The zone of the message's times that tell none: the channel's, or the offset of MSH-7 where it is not that zone's when
     * the message was made.
     */
    zone(message: number): string | undefined;
    /** As it stands in the message: with its delimiters and escape sequences. */
    raw(message: number, path: string): string | undefined;
    /** The text of every match of a path with `*`. */
    all(message: number, path: string): string[];
    /** The own paths of every match. */
    paths(message: number, path: string): string[];
    /** Puts text there; delimiters in it are escaped. */
    set(message: number, path: string, text: string): void;
    setRaw(message: number, path: string, raw: string): void;
    clear(message: number, path: string): void;
    /** Takes segments, repetitions … away. */
    remove(message: number, path: string): void;
    /** How many seconds a zone (`Europe/Vienna`) is ahead of UTC at a local time (`2024-02-03T04:05:06`); `undefined` where there is no such zone. */
    offset(zone: string, local: string): number | undefined;
    /** Whether a zone has a date-time of HL7 that tells no offset twice, or leaves it out; `false` where that can't be said. */
    isDoubtful(zone: string, text: string): boolean;
  };
}

/** The rest of the native layer that is about FHIR. */
declare module "pipehat:host" {
  /** FHIR R4 as the datastore knows it. Values are JSON; what can't be read or done throws. */
  export const fhir: {
    /**
     * FHIRPath on items as one collection: `items` is an array of `{ type, value }`, `variables` an object of them by name. The
     * result is an array of such; an element that has only extensions has no `value`.
     */
    path(expression: string, items: string, variables: string): string;
    /** Whether a resource meets a search of a type (`status=active&code=…`). */
    matches(resource: string, resourceType: string, query: string): boolean;
    /** What is wrong with a resource: the issues of an OperationOutcome. `profile` is a StructureDefinition. */
    validate(resource: string, profile?: string): string;
    /** Of a text of JSON the members whose numbers JavaScript would write otherwise: JSON of `[path, digits][]`, if there are any. */
    digits(text: string): string | undefined;
    /** Whether any were told in this run. */
    hasDigits(): boolean;
    /** Of which type a search parameter of the standard is. */
    parameterKind(resourceType: string, code: string): string | undefined;
    isResourceType(name: string): boolean;
  };
}

/** What the worker gives to `begin` of `entry.ts`, and gets from `finish`. */
declare module "pipehat:run" {
  export interface RawEvent {
    kind: "hl7" | "json" | "text" | "bytes";
    /** A string, and a `Uint8Array` for `"bytes"`. HL7 is decoded by its MSH-18. */
    input: string | Uint8Array;
    contentType: string;
    secrets: Record<string, string>;
    headers: Record<string, string>;
    bot: string;
  }
  /** `hl7` is encoded by its MSH-18. */
  export type RawOutput =
    | undefined
    | { kind: "hl7" | "text" | "json"; value: string }
    /** A message by its number: as `hl7` with its text. */
    | { kind: "message"; value: number }
    | { kind: "bytes"; value: Uint8Array };
}
