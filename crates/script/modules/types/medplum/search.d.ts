/** Searches as objects: read, written, and held against a resource that is at hand. */
import type { Resource } from "@medplum/fhirtypes";
/** What a value is compared by: prefixes and modifiers of searches (FHIR R4 §3.1.1.4). */
export declare const Operator: {
    readonly EQUALS: "eq";
    readonly NOT_EQUALS: "ne";
    readonly GREATER_THAN: "gt";
    readonly LESS_THAN: "lt";
    readonly GREATER_THAN_OR_EQUALS: "ge";
    readonly LESS_THAN_OR_EQUALS: "le";
    readonly STARTS_AFTER: "sa";
    readonly ENDS_BEFORE: "eb";
    readonly APPROXIMATELY: "ap";
    readonly CONTAINS: "contains";
    readonly STARTS_WITH: "sw";
    readonly EXACT: "exact";
    readonly TEXT: "text";
    readonly NOT: "not";
    readonly ABOVE: "above";
    readonly BELOW: "below";
    readonly IN: "in";
    readonly NOT_IN: "not-in";
    readonly OF_TYPE: "of-type";
    readonly MISSING: "missing";
    readonly PRESENT: "present";
    readonly IDENTIFIER: "identifier";
    readonly ITERATE: "iterate";
};
export type Operator = (typeof Operator)[keyof typeof Operator];
/** One condition. */
export interface Filter {
    code: string;
    operator: Operator;
    value: string;
}
export interface SortRule {
    code: string;
    descending?: boolean;
}
/** `_include`, `_revinclude`. */
export interface IncludeTarget {
    resourceType: string;
    searchParam: string;
    targetType?: string;
    modifier?: typeof Operator.ITERATE;
}
/** A search. */
export interface SearchRequest<T extends Resource = Resource> {
    readonly resourceType: T["resourceType"];
    filters?: Filter[];
    sortRules?: SortRule[];
    cursor?: string;
    offset?: number;
    count?: number;
    fields?: string[];
    name?: string;
    total?: "none" | "estimate" | "accurate";
    include?: IncludeTarget[];
    revInclude?: IncludeTarget[];
    summary?: "true" | "text" | "data";
    format?: string;
    pretty?: boolean;
    types?: T["resourceType"][];
}
/** Reads a search: `Patient?name=…`, a URL that ends so, or a type with the parameters beside it. */
export declare function parseSearchRequest<T extends Resource = Resource>(url: T["resourceType"] | URL | string, query?: Record<string, string[] | string | undefined>): SearchRequest<T>;
/** @deprecated Use `parseSearchRequest`. */
export declare function parseCriteriaAsSearchRequest<T extends Resource = Resource>(criteria: string): SearchRequest<T>;
/** The query of a search, with `?` before it; empty where it asks for nothing. */
export declare function formatSearchQuery(request: SearchRequest): string;
/**
 * Whether a resource meets a search, by the search parameters of the standard; its order and pages do not count. What
 * depends on other resources (chains, `_has`), and a parameter that there is not, throws.
 */
export declare function matchesSearchRequest(resource: Resource, searchRequest: SearchRequest): boolean;
