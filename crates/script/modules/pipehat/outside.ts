/** What a script may ask of the outside; what was not granted is refused, and says what to write into the configuration. */

import type { Bundle } from "@medplum/fhirtypes";
import { askNow, secret as granted, type Answer } from "pipehat:host";

import { readJson, writeJson } from "../json";
import { ContentType } from "../medplum/codes";
import { Hl7Message } from "../medplum/hl7";
import { askedBy, asker, askFor } from "./asking";
import { Message } from "./message";

/** A code table of the project. */
export interface Table {
  /** What a code maps to; `undefined` where it maps to nothing. */
  get(code: string): string | undefined;
}

/** A code table of the project by its name. */
export function table(name: string): Table {
  return {
    get: (code) => {
      const answer = askNow({ ask: "table", table: name, key: code });
      return answer.status === 404 ? undefined : answer.text;
    },
  };
}

type AnyMessage = string | Message | Hl7Message;

/** HL7 v2 and FHIR, by the tables of the project. */
export const translate: {
  /** A Bundle of a message. */
  toFhir(message: AnyMessage): Promise<Bundle>;
  /** A message (`ADT^A03`) of a Bundle, in a version of HL7. */
  toV2(bundle: Bundle, wanted: string, options?: { version?: string }): Promise<Message>;
} = {
  toFhir: async (message) => {
    const answer = await askFor({ ask: "toFhir", message: String(message) });
    return readJson(answer.text) as Bundle;
  },
  toV2: async (bundle, wanted, options) => {
    const version = options?.version ?? "2.5.1";
    const answer = await askFor({ ask: "toV2", bundle: writeJson(bundle) as string, wanted, version });
    return Message.parse(answer.text);
  },
};

/** What came of sending. */
export interface Sent {
  status: number;
  /** What was answered, where it was waited for. */
  text: string;
}

/** Sends to a destination of the channel, or to a channel by name. What is no message, text or bytes is sent as JSON. */
export async function send(
  destination: string,
  message: AnyMessage | Uint8Array | object,
  contentType?: string,
): Promise<Sent> {
  const [body, type] = asBody(message);
  const answer = await askFor({ ask: "send", destination, contentType: contentType ?? type, body });
  return { status: answer.status, text: answer.text };
}

function asBody(content: AnyMessage | Uint8Array | object): [string | Uint8Array, string] {
  if (content instanceof Message || content instanceof Hl7Message) {
    return [String(content), ContentType.HL7_V2];
  }
  if (typeof content === "string") {
    const isHl7 = /^(MSH|FHS|BHS)[^A-Za-z0-9\s]/.test(content);
    return [content, isHl7 ? ContentType.HL7_V2 : ContentType.TEXT];
  }
  if (content instanceof Uint8Array) {
    return [content, ContentType.OCTET_STREAM];
  }
  const isResource = typeof (content as { resourceType?: unknown }).resourceType === "string";
  return [writeJson(content) as string, isResource ? ContentType.FHIR_JSON : ContentType.JSON];
}

/**
 * Sets the message aside for a person to look at. The run goes on: `return` behind it. What the handler returns is then not
 * used, and what it sends to destinations of the channel does not go out; whatever else it does stands.
 */
export function park(reason: string): void {
  askNow({ ask: "park", reason });
}

/** A secret that was granted to the bot; throws where it was not. */
export function secret(name: string): string {
  const value = granted(name);
  if (value === undefined) {
    throw new Error(
      `the bot was given no secret ${name}: grant it under \`secrets\` in its configuration; \`pipehat bot run\` takes it by --secret, a case by \`secrets\` of its case.json`,
    );
  }
  return value;
}

/** Lines of the run's log. They may hold patient data: they are kept with the run, and not in the program's own log. */
export const log: Record<"debug" | "info" | "warn" | "error", (text: string, ...more: unknown[]) => void> = {
  debug: (...given) => console.debug(...given),
  info: (...given) => console.info(...given),
  warn: (...given) => console.warn(...given),
  error: (...given) => console.error(...given),
};

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
export class HttpError extends Error {
  readonly answer: HttpAnswer;

  constructor(method: string, host: string, answer: HttpAnswer) {
    super(`${method} to ${host} was answered with ${answer.status}`);
    this.answer = answer;
  }
}

type HttpBody = string | Uint8Array | object;

async function exchange(
  method: string,
  address: string | URL,
  body: HttpBody | undefined,
  options: HttpOptions | undefined,
): Promise<HttpAnswer> {
  const asked = asker();
  const url = new URL(String(address));
  for (const [name, value] of Object.entries(options?.query ?? {})) {
    if (value !== undefined) {
      url.searchParams.append(name, String(value));
    }
  }
  const headers = new Map(
    Object.entries(options?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const [sent, type] = body === undefined ? [undefined, undefined] : asBody(body);
  if (type !== undefined && !headers.has("content-type")) {
    headers.set("content-type", type);
  }
  const answer = answered(
    await askFor({
      ask: "fetch",
      method,
      url: url.toString(),
      headers: [...headers],
      ...(sent === undefined ? {} : { body: sent }),
    }),
  );
  if (answer.status >= 400 && !options?.anyStatus) {
    throw askedBy(new HttpError(method, url.host, answer), asked);
  }
  return answer;
}

function answered({ status, headers, text }: Answer): HttpAnswer {
  const named = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { status, headers: named, text, json: () => JSON.parse(text) };
}

/** HTTP to hosts that were granted. Answers of 400 and above are thrown as `HttpError`. */
export const http: {
  get(url: string | URL, options?: HttpOptions): Promise<HttpAnswer>;
  delete(url: string | URL, options?: HttpOptions): Promise<HttpAnswer>;
  post(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
  put(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
  patch(url: string | URL, body: HttpBody, options?: HttpOptions): Promise<HttpAnswer>;
} = {
  get: (url, options) => exchange("GET", url, undefined, options),
  delete: (url, options) => exchange("DELETE", url, undefined, options),
  post: (url, body, options) => exchange("POST", url, body, options),
  put: (url, body, options) => exchange("PUT", url, body, options),
  patch: (url, body, options) => exchange("PATCH", url, body, options),
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
export function sftp(server: string): Sftp {
  const entries = async (path = "") => {
    const answer = await askFor({ ask: "sftp", server, operation: "list", path });
    return entriesOf(answer.text);
  };
  return {
    entries,
    list: async (path) => (await entries(path)).map((entry) => entry.name),
    get: async (path) => {
      const answer = await askFor({ ask: "sftp", server, operation: "get", path }, "bytes");
      return answer.bytes ?? new Uint8Array();
    },
    text: async (path) => (await askFor({ ask: "sftp", server, operation: "get", path })).text,
    put: async (path, content) => {
      const body = content instanceof Uint8Array ? content : String(content);
      await askFor({ ask: "sftp", server, operation: "put", path, body });
    },
    rename: async (path, argument) => {
      await askFor({ ask: "sftp", server, operation: "rename", path, argument });
    },
    remove: async (path) => {
      await askFor({ ask: "sftp", server, operation: "remove", path });
    },
    renameWhenSent: async (path, argument) => {
      await askFor({ ask: "sftp", server, operation: "renameWhenSent", path, argument });
    },
    removeWhenSent: async (path) => {
      await askFor({ ask: "sftp", server, operation: "removeWhenSent", path });
    },
  };
}

/** A listing: JSON of a server; in cases also names alone, in JSON or one on a line. */
function entriesOf(text: string): SftpEntry[] {
  const listed: (string | SftpEntry)[] = text.startsWith("[")
    ? JSON.parse(text)
    : text.split("\n").filter((name) => name !== "");
  return listed.map((one) => (typeof one === "string" ? { name: one, kind: "file" } : one));
}
