/** Between the worker and a bot: what its handler is called with, and what it returned. */

import type { RawEvent, RawOutput } from "pipehat:run";

import { readJson, writeJson } from "./json";
import type { ProjectSetting } from "./medplum/bot";
import { MedplumClient } from "./medplum/client";
import { Hl7Message, WholeText } from "./medplum/hl7";
import { Message } from "./pipehat/message";

/** Makes what the handler is called with. */
export function begin(raw: RawEvent): [client: unknown, event: unknown] {
  const event = {
    bot: { reference: raw.bot },
    contentType: raw.contentType,
    input: inputOf(raw),
    secrets: settingsOf(raw.secrets),
    headers: raw.headers,
  };
  return [new MedplumClient({ bot: raw.bot }), event];
}

function inputOf(raw: RawEvent): unknown {
  switch (raw.kind) {
    case "hl7":
      // The worker sees to the ends of its segments.
      return Hl7Message.parse(new WholeText(raw.input as string) as unknown as string);
    case "json":
      return readJson(raw.input as string);
    default:
      return raw.input;
  }
}

/** Secrets as bots for Medplum read them: `event.secrets['KEY'].valueString`. */
function settingsOf(secrets: Record<string, string>): Record<string, ProjectSetting> {
  return Object.fromEntries(
    Object.entries(secrets).map(([name, valueString]) => [name, { name, valueString }]),
  );
}

/** Says what the handler returned. */
export function finish(value: unknown): RawOutput {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (value instanceof Message) {
    return { kind: "message", value: Message.numberOf(value) };
  }
  if (value instanceof Hl7Message) {
    return { kind: "hl7", value: String(value) };
  }
  if (typeof value === "string") {
    return { kind: "text", value };
  }
  if (value instanceof Uint8Array) {
    return { kind: "bytes", value };
  }
  const json = writeJson(value);
  if (json === undefined) {
    throw new TypeError(`a handler returned a ${typeof value}, which is no result`);
  }
  return { kind: "json", value: json };
}
