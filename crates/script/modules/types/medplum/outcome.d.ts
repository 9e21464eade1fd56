/** OperationOutcomes: those that are often needed, what they mean, and errors that carry one. */
import type { OperationOutcome, OperationOutcomeIssue } from "@medplum/fhirtypes";
export declare const allOk: OperationOutcome;
export declare const created: OperationOutcome;
export declare const notModified: OperationOutcome;
export declare const notFound: OperationOutcome;
export declare const gone: OperationOutcome;
export declare const forbidden: OperationOutcome;
export declare const unauthorized: OperationOutcome;
export declare const multipleMatches: OperationOutcome;
export declare const tooManyRequests: OperationOutcome;
export declare const preconditionFailed: OperationOutcome;
/** What is asked for is being done; `location` is where to ask for the result. */
export declare function accepted(location: string): OperationOutcome;
/** What is asked for is wrong; `expression` names the element. */
export declare function badRequest(details: string, expression?: string): OperationOutcome;
export declare function validationError(details: string): OperationOutcome;
export declare function businessRule(key: string, message: string): OperationOutcome;
export declare function conflict(details: string, code?: string): OperationOutcome;
export declare function redirect(url: URL | string): OperationOutcome;
export declare function serverError(error: Error): OperationOutcome;
export declare function serverTimeout(message?: string): OperationOutcome;
/** The HTTP status of an outcome. */
export declare function getStatus(of: OperationOutcome): number;
export declare const isOk: (of: OperationOutcome) => boolean;
export declare const isCreated: (of: OperationOutcome) => boolean;
export declare const isAccepted: (of: OperationOutcome) => boolean;
export declare const isNotFound: (of: OperationOutcome) => boolean;
export declare const isGone: (of: OperationOutcome) => boolean;
export declare const isConflict: (of: OperationOutcome) => boolean;
export declare const isRedirect: (of: OperationOutcome) => boolean;
export declare const isUnauthenticated: (of: OperationOutcome) => boolean;
export declare function isOperationOutcome(value: unknown): value is OperationOutcome;
/** One line about an issue: its text, what it adds, and the elements it is about. */
export declare function operationOutcomeIssueToString(issue: OperationOutcomeIssue): string;
/** One line about an outcome. */
export declare function operationOutcomeToString(of: OperationOutcome): string;
/** An error that carries an OperationOutcome. */
export declare class OperationOutcomeError extends Error {
    readonly outcome: OperationOutcome;
    constructor(carried: OperationOutcome, options?: ErrorOptions | unknown);
}
/** What to say about anything that was thrown. */
export declare function normalizeErrorString(error: unknown): string;
/** The outcome that anything that was thrown carries, or one that says it. */
export declare function normalizeOperationOutcome(error: unknown): OperationOutcome;
/** Throws what an outcome says, unless it is well and there is a resource. */
export declare function assertOk<T>(of: OperationOutcome, resource: T | undefined): asserts resource is T;
/** Throws unless something holds. */
export declare function assert(condition: unknown, message?: string): asserts condition;
