/** What a script may ask of the outside; what was not granted is refused, and says what to write into the configuration. */
import type { Bundle } from "@medplum/fhirtypes";
import { Hl7Message } from "../medplum/hl7";
import { Message } from "./message";
/** A code table of the project. */
export interface Table {
    /** What a code maps to; `undefined` where it maps to nothing. */
    get(code: string): string | undefined;
}
/** A code table of the project by its name. */
export declare function table(name: string): Table;
type AnyMessage = string | Message | Hl7Message;
/** HL7 v2 and FHIR, by the tables of the project. */
export declare const translate: {
    /** A Bundle of a message. */
    toFhir(message: AnyMessage): Promise<Bundle>;
    /** A message (`ADT^A03`) of a Bundle, in a version of HL7. */
    toV2(bundle: Bundle, wanted: string, options?: {
        version?: string;
    }): Promise<Message>;
};
/** What came of sending. */
export interface Sent {
    status: number;
    /** What was answered, where it was waited for. */
    text: string;
}
/** Sends to a destination of the channel, or to a channel by name. What is no message, text or bytes is sent as JSON. */
export declare function send(destination: string, message: AnyMessage | Uint8Array | object, contentType?: string): Promise<Sent>;
/**
 * Sets the message aside for a person to look at. The run goes on: `return` behind it. What the handler returns is then not
 * used, and what it sends to destinations of the channel does not go out; whatever else it does stands.
 */
export declare function park(reason: string): void;
/** A secret that was granted to the bot; throws where it was not. */
export declare function secret(name: string): string;
/** Lines of the run's log. They may hold patient data: they are kept with the run, and not in the program's own log. */
export declare const log: Record<"debug" | "info" | "warn" | "error", (text: string, ...more: unknown[]) => void>;
/** The answer to an HTTP request. */
export interface HttpAnswer {
    status: number;
    /** By their names in small letters. */
    headers: Record<string, string>;
    text: string;
    json<T = any>(): T;
}
export interface HttpOptions {
    headers?: Record<string, string>;
    query?: Record<string, string | number | boolean | undefined>;
    /** Answers of 400 and above are given back, and not thrown. */
    anyStatus?: boolean;
}
/** An answer of 400 or above. */
export declare class HttpError extends Error {
    readonly answer: HttpAnswer;
    constructor(method: string, host: string, answer: HttpAnswer);
}
type HttpBody = string | Uint8Array | object;
/** HTTP to hosts that were granted. Answers of 400 and above are thrown as `HttpError`. */
export declare const http: {
    get(url: string | URL, options?: HttpOptions): Promise<HttpAnswer>;
    delete(url: string | URL, options?: HttpOptions): Promise<HttpAnswer>;
    post(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
    put(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
    patch(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
};
/** One thing in a folder of an SFTP server. */
export interface SftpEntry {
    name: string;
    kind: "file" | "folder" | "link" | "other";
    /** In bytes, where the server tells. */
    size?: number;
    /** `2026-03-31T08:15:00Z`, where the server tells. */
    modified?: string;
}
/** An SFTP server that was granted. Paths start from its `directory`, and have `/` between names. */
export interface Sftp {
    /** What is in a folder, in the order of the names; without a folder, in the server's `directory`. */
    entries(folder?: string): Promise<SftpEntry[]>;
    /** The names in a folder. */
    list(folder?: string): Promise<string[]>;
    get(path: string): Promise<Uint8Array>;
    /** A file as text in UTF-8. */
    text(path: string): Promise<string>;
    /** Puts a file there, in place of the one of this name; nobody sees a part of it under its name. */
    put(path: string, content: string | Uint8Array | Message | Hl7Message): Promise<void>;
    /** Renames a file, to a name that is free. */
    rename(from: string, to: string): Promise<void>;
    remove(path: string): Promise<void>;
    /** Renames a file once the run has succeeded and the channels have what it sent: so nothing is lost between. */
    renameWhenSent(from: string, to: string): Promise<void>;
    /** Removes a file once the run has succeeded and the channels have what it sent. */
    removeWhenSent(path: string): Promise<void>;
}
/** An SFTP server by the name that it was granted by. */
export declare function sftp(server: string): Sftp;
export {};
