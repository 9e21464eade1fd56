import type { RawEvent, RawOutput } from "pipehat:run";

/** Makes what the handler is called with. */
export function begin(raw: RawEvent): [unknown, unknown] {
  const input = raw.kind === "json" ? JSON.parse(raw.input as string) : raw.input;
  const { contentType, secrets, headers, bot } = raw;
  return [{}, { input, contentType, secrets, headers, bot: { reference: bot } }];
}

/** Says what the handler returned. */
export function finish(value: unknown): RawOutput {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return { kind: "text", value };
  if (value instanceof Uint8Array) return { kind: "bytes", value };
  return { kind: "json", value: JSON.stringify(value) };
}
