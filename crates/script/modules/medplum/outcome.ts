/** OperationOutcomes: those that are often needed, what they mean, and errors that carry one. */

import type { OperationOutcome, OperationOutcomeIssue } from "@medplum/fhirtypes";

const UNKNOWN = "Unknown error";

type Severity = OperationOutcomeIssue["severity"];
type Code = OperationOutcomeIssue["code"];

function outcome(id: string | undefined, severity: Severity, code: Code, text: string): OperationOutcome {
  const issue: OperationOutcomeIssue[] = [{ severity, code, details: { text } }];
  return id === undefined
    ? { resourceType: "OperationOutcome", issue }
    : { resourceType: "OperationOutcome", id, issue };
}

const done = (id: string, text: string): OperationOutcome =>
  outcome(id, "information", "informational", text);
const failed = (id: string | undefined, code: Code, text: string): OperationOutcome =>
  outcome(id, "error", code, text);

export const allOk: OperationOutcome = done("ok", "All OK");
export const created: OperationOutcome = done("created", "Created");
export const notModified: OperationOutcome = done("not-modified", "Not Modified");
export const notFound: OperationOutcome = failed("not-found", "not-found", "Not found");
export const gone: OperationOutcome = failed("gone", "deleted", "Gone");
export const forbidden: OperationOutcome = failed("forbidden", "forbidden", "Forbidden");
export const unauthorized: OperationOutcome = failed("unauthorized", "login", "Unauthorized");
export const multipleMatches: OperationOutcome = failed(
  "multiple-matches",
  "multiple-matches",
  "Multiple resources found matching condition",
);
export const tooManyRequests: OperationOutcome = failed(
  "too-many-requests",
  "throttled",
  "Too Many Requests",
);
export const preconditionFailed: OperationOutcome = failed(
  "precondition-failed",
  "processing",
  "Precondition Failed",
);

/** What is asked for is being done; `location` is where to ask for the result. */
export function accepted(location: string): OperationOutcome {
  const answer = done("accepted", "Accepted");
  (answer.issue[0] as OperationOutcomeIssue).diagnostics = location;
  return answer;
}

/** What is asked for is wrong; `expression` names the element. */
export function badRequest(details: string, expression?: string): OperationOutcome {
  const answer = failed(undefined, "invalid", details);
  if (expression) {
    (answer.issue[0] as OperationOutcomeIssue).expression = [expression];
  }
  return answer;
}

export function validationError(details: string): OperationOutcome {
  return failed(undefined, "structure", details);
}

export function businessRule(key: string, message: string): OperationOutcome {
  const answer = failed("business-rule", "business-rule", message);
  (answer.issue[0] as OperationOutcomeIssue).details = { id: key, text: message };
  return answer;
}

export function conflict(details: string, code?: string): OperationOutcome {
  const answer = failed("conflict", "conflict", details);
  if (code) {
    (answer.issue[0] as OperationOutcomeIssue).details = { coding: [{ code }], text: details };
  }
  return answer;
}

export function redirect(url: URL | string): OperationOutcome {
  const answer = done("found", `Redirect to ${String(url)}`);
  const details = (answer.issue[0] as OperationOutcomeIssue).details ?? {};
  details.coding = [{ system: "urn:ietf:rfc:3986", code: String(url) }];
  return answer;
}

export function serverError(error: Error): OperationOutcome {
  const answer = failed(undefined, "exception", "Internal server error");
  (answer.issue[0] as OperationOutcomeIssue).diagnostics = String(error);
  return answer;
}

export function serverTimeout(message?: string): OperationOutcome {
  return failed("server-timeout", "timeout", message ?? "Server timeout");
}

/** The HTTP status of outcomes by their id. */
const STATUS_BY_ID: Record<string, number> = {
  ok: 200,
  created: 201,
  accepted: 202,
  found: 302,
  "not-modified": 304,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  gone: 410,
  "precondition-failed": 412,
  "multiple-matches": 412,
  "business-rule": 422,
  "too-many-requests": 429,
  "server-timeout": 504,
};

/** The HTTP status of an outcome. */
export function getStatus(of: OperationOutcome): number {
  const known = STATUS_BY_ID[of.id ?? ""];
  return known ?? (of.issue?.[0]?.code === "exception" ? 500 : 400);
}

const hasId =
  (...ids: string[]) =>
  (of: OperationOutcome): boolean =>
    ids.includes(of.id ?? "");

export const isOk: (of: OperationOutcome) => boolean = hasId("ok", "created", "not-modified", "accepted");
export const isCreated: (of: OperationOutcome) => boolean = hasId("created");
export const isAccepted: (of: OperationOutcome) => boolean = hasId("accepted");
export const isNotFound: (of: OperationOutcome) => boolean = hasId("not-found");
export const isGone: (of: OperationOutcome) => boolean = hasId("gone");
export const isConflict: (of: OperationOutcome) => boolean = hasId("conflict");
export const isRedirect: (of: OperationOutcome) => boolean = hasId("found");
export const isUnauthenticated: (of: OperationOutcome) => boolean = hasId("unauthorized");

export function isOperationOutcome(value: unknown): value is OperationOutcome {
  return (value as { resourceType?: unknown } | undefined | null)?.resourceType === "OperationOutcome";
}

/** One line about an issue: its text, what it adds, and the elements it is about. */
export function operationOutcomeIssueToString(issue: OperationOutcomeIssue): string {
  const text = issue.details?.text;
  let line =
    text && issue.diagnostics ? `${text} (${issue.diagnostics})` : text || issue.diagnostics || UNKNOWN;
  if (issue.expression?.length) {
    line += ` (${issue.expression.join(", ")})`;
  }
  return line;
}

/** One line about an outcome. */
export function operationOutcomeToString(of: OperationOutcome): string {
  return of.issue?.map(operationOutcomeIssueToString).join("; ") || UNKNOWN;
}

/** An error that carries an OperationOutcome. */
export class OperationOutcomeError extends Error {
  readonly outcome: OperationOutcome;

  constructor(carried: OperationOutcome, options?: ErrorOptions | unknown) {
    const cause = (options as ErrorOptions | undefined | null)?.cause;
    super(operationOutcomeToString(carried), cause === undefined ? undefined : { cause });
    this.outcome = carried;
  }
}

/** What to say about anything that was thrown. */
export function normalizeErrorString(error: unknown): string {
  if (!error) {
    return UNKNOWN;
  }
  if (typeof error === "string") {
    return error;
  }
  if (error instanceof Error) {
    return error.message;
  }
  if (isOperationOutcome(error)) {
    return operationOutcomeToString(error);
  }
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : (JSON.stringify(error) ?? UNKNOWN);
}

/** The outcome that anything that was thrown carries, or one that says it. */
export function normalizeOperationOutcome(error: unknown): OperationOutcome {
  if (error instanceof OperationOutcomeError) {
    return error.outcome;
  }
  return isOperationOutcome(error) ? error : badRequest(normalizeErrorString(error));
}

/** Throws what an outcome says, unless it is well and there is a resource. */
export function assertOk<T>(of: OperationOutcome, resource: T | undefined): asserts resource is T {
  if (!isOk(of) || resource === undefined) {
    throw new OperationOutcomeError(of);
  }
}

/** Throws unless something holds. */
export function assert(condition: unknown, message?: string): asserts condition {
  if (!condition) {
    throw new Error(message);
  }
}
