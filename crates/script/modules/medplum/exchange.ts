/** How `MedplumClient` asks, and what becomes of the answer. Bots don't see this module. */

import type { Bundle, Resource } from "@medplum/fhirtypes";
import type { Answer, Request } from "pipehat:host";

import { emptied, readJson, writeJson } from "../json";
import { askedBy, asker, askFor } from "../pipehat/asking";
import { ContentType } from "./codes";
import type { MedplumRequestOptions, ResourceArray } from "./interaction";
import { badRequest, isOperationOutcome, normalizeOperationOutcome, OperationOutcomeError } from "./outcome";

/** Where the datastore is, as URLs of the client have it: no address of any network. */
export const BASE_URL = "https://datastore.invalid/";
export const FHIR_PATH = "fhir/R4";

/** An interaction by its URL; an answer from 400 on is thrown. */
export async function request(
  method: string,
  url: URL | string,
  body: unknown,
  contentType: string | undefined,
  options: MedplumRequestOptions | undefined,
): Promise<any> {
  const asked = asker();
  const answer = await exchange(method, url, body, contentType, options);
  if (answer.status >= 400) {
    throw askedBy(failure(answer), asked);
  }
  return answer.status === 204 || answer.status === 304 ? undefined : contentOf(answer);
}

/** The same with the answer as it is. */
export async function exchange(
  method: string,
  url: URL | string,
  body: unknown,
  contentType: string | undefined,
  options: MedplumRequestOptions | undefined,
  wanted?: "text" | "bytes",
): Promise<Answer> {
  const headers: Record<string, string> = { Accept: ContentType.FHIR_JSON, ...options?.headers };
  const [sent, type] = body === undefined ? [undefined, undefined] : bodyOf(body, contentType);
  if (type) {
    headers["Content-Type"] = type;
  }
  const path = ownPath(url);
  const rest = { method, headers: Object.entries(headers), ...(sent === undefined ? {} : { body: sent }) };
  const request: Request =
    path === undefined ? { ask: "fetch", url: String(url), ...rest } : { ask: "datastore", path, ...rest };
  return askFor(request, wanted);
}

/** The URL of a page, which the datastore writes by the address it is served at, as the client has it. */
export function ownUrl(url: string): URL | string {
  const at = url.indexOf(`/${FHIR_PATH}`);
  return at < 0 ? url : new URL(url.slice(at + 1), BASE_URL);
}

/** What a URL names below the datastore's base; none where it is another server's. */
function ownPath(url: URL | string): string | undefined {
  let text = String(url);
  if (text.startsWith(BASE_URL)) {
    text = text.slice(BASE_URL.length);
  } else if (/^[a-z][a-z0-9+.-]*:/i.test(text)) {
    return undefined;
  }
  const path = text.replace(/^\/+/, "");
  const below = path.startsWith(FHIR_PATH) ? path.slice(FHIR_PATH.length) : path;
  return below.replace(/^\/+/, "");
}

/** The resources of a Bundle, in its order. */
export function resourcesOf<T extends Resource>(bundle: Bundle): ResourceArray<T> {
  const found = (bundle.entry ?? [])
    .filter(({ resource, search }) => resource !== undefined && search?.mode !== "outcome")
    .map(({ resource }) => resource as T);
  return Object.assign(found, { bundle: bundle as Bundle<T> });
}

/** What is sent of a body, and as what. */
export function bodyOf(
  body: unknown,
  contentType: string | undefined,
): [string | Uint8Array | undefined, string] {
  if (body instanceof Uint8Array) {
    return [body, contentType ?? ContentType.OCTET_STREAM];
  }
  if (typeof body === "string") {
    return [body, contentType ?? ContentType.TEXT];
  }
  // An `Hl7Message` and the like say themselves what they are as text.
  if (contentType === ContentType.HL7_V2) {
    return [String(body), contentType];
  }
  // FHIR has no empty values: fields that a message leaves empty are left out.
  return [body === undefined ? undefined : writeJson(body, emptied), contentType ?? ContentType.FHIR_JSON];
}

export function headerOf(answer: Answer, name: string): string | undefined {
  return answer.headers.find(([one]) => one.toLowerCase() === name)?.[1];
}

/** The content of an answer: a value where it is JSON, else a text; none where it is empty. */
export function contentOf(answer: Answer): unknown {
  if (answer.text === "") {
    return undefined;
  }
  const type = headerOf(answer, "content-type");
  if (type !== undefined && !/[/+]json\b/.test(type)) {
    return answer.text;
  }
  try {
    return readJson(answer.text);
  } catch (error) {
    if (type === undefined) {
      return answer.text;
    }
    throw new Error("the answer is said to be JSON, and is none", { cause: error });
  }
}

/** What outcomes are called by their status: what `isNotFound` and the like look at. */
const ID_BY_STATUS: Record<number, string> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  410: "gone",
  412: "precondition-failed",
  422: "unprocessable",
  429: "too-many-requests",
};

/** The error that an answer is. */
export function failure(answer: Answer): OperationOutcomeError {
  let content: unknown;
  try {
    content = contentOf(answer);
  } catch {
    content = undefined;
  }
  const outcome = isOperationOutcome(content)
    ? content
    : badRequest(`the answer is ${answer.status}, without an OperationOutcome`);
  const several = outcome.issue?.some((issue) => issue.code === "multiple-matches");
  const id = several ? "multiple-matches" : ID_BY_STATUS[answer.status];
  return new OperationOutcomeError(
    outcome.id === undefined && id !== undefined
      ? { ...normalizeOperationOutcome(outcome), id }
      : normalizeOperationOutcome(outcome),
  );
}
