/** Searches as objects: read, written, and held against a resource that is at hand. */

import type { Resource } from "@medplum/fhirtypes";
import { fhir } from "pipehat:host";

/** What a value is compared by: prefixes and modifiers of searches (FHIR R4 §3.1.1.4). */
export const Operator = {
  EQUALS: "eq",
  NOT_EQUALS: "ne",
  GREATER_THAN: "gt",
  LESS_THAN: "lt",
  GREATER_THAN_OR_EQUALS: "ge",
  LESS_THAN_OR_EQUALS: "le",
  STARTS_AFTER: "sa",
  ENDS_BEFORE: "eb",
  APPROXIMATELY: "ap",
  CONTAINS: "contains",
  STARTS_WITH: "sw",
  EXACT: "exact",
  TEXT: "text",
  NOT: "not",
  ABOVE: "above",
  BELOW: "below",
  IN: "in",
  NOT_IN: "not-in",
  OF_TYPE: "of-type",
  MISSING: "missing",
  PRESENT: "present",
  IDENTIFIER: "identifier",
  ITERATE: "iterate",
} as const;
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

const PREFIXES: readonly string[] = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];
const MODIFIERS: readonly string[] = [
  "contains",
  "exact",
  "text",
  "not",
  "above",
  "below",
  "in",
  "not-in",
  "of-type",
  "missing",
  "identifier",
  "iterate",
];
/** The types of parameters whose values may begin with a prefix. */
const COMPARED: readonly (string | undefined)[] = ["date", "number", "quantity"];

/** Reads a search: `Patient?name=…`, a URL that ends so, or a type with the parameters beside it. */
export function parseSearchRequest<T extends Resource = Resource>(
  url: T["resourceType"] | URL | string,
  query?: Record<string, string[] | string | undefined>,
): SearchRequest<T> {
  const [path = "", text = ""] = String(url)
    .split("#", 1)
    .join()
    .split(/\?(.*)/s);
  const resourceType = path.split("/").filter(Boolean).at(-1) ?? "";
  const request: SearchRequest = { resourceType: resourceType as Resource["resourceType"] };
  for (const [name, value] of new URLSearchParams(text)) {
    read(request, name, value);
  }
  for (const [name, values] of Object.entries(query ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (value !== undefined) {
        read(request, name, value);
      }
    }
  }
  return request as SearchRequest<T>;
}

/** @deprecated Use `parseSearchRequest`. */
export function parseCriteriaAsSearchRequest<T extends Resource = Resource>(
  criteria: string,
): SearchRequest<T> {
  return parseSearchRequest<T>(criteria);
}

function read(request: SearchRequest, name: string, value: string): void {
  const [code = "", modifier] = name.split(":", 2);
  switch (code) {
    case "_sort":
      request.sortRules = value.split(",").map((rule) => {
        return rule.startsWith("-") ? { code: rule.slice(1), descending: true } : { code: rule };
      });
      return;
    case "_count":
      request.count = Number.parseInt(value, 10);
      return;
    case "_offset":
      request.offset = Number.parseInt(value, 10);
      return;
    case "_cursor":
      request.cursor = value;
      return;
    case "_total":
      request.total = value as NonNullable<SearchRequest["total"]>;
      return;
    case "_summary":
      request.summary = value as NonNullable<SearchRequest["summary"]>;
      return;
    case "_fields":
    case "_elements":
      request.fields = value.split(",");
      return;
    case "_type":
      request.types = value.split(",") as Resource["resourceType"][];
      return;
    case "_format":
      request.format = value;
      return;
    case "_pretty":
      request.pretty = value === "true";
      return;
    case "_include":
      (request.include ??= []).push(includeOf(value, modifier));
      return;
    case "_revinclude":
      (request.revInclude ??= []).push(includeOf(value, modifier));
      return;
    default:
      (request.filters ??= []).push(filterOf(request.resourceType, name, value));
  }
}

function includeOf(value: string, modifier: string | undefined): IncludeTarget {
  const [resourceType = "", searchParam = "", targetType] = value.split(":");
  return {
    resourceType,
    searchParam,
    ...(targetType ? { targetType } : {}),
    ...(modifier === Operator.ITERATE ? { modifier } : {}),
  };
}

function filterOf(resourceType: string, name: string, value: string): Filter {
  const at = name.lastIndexOf(":");
  const modifier = name.slice(at + 1);
  if (at > 0 && MODIFIERS.includes(modifier)) {
    return { code: name.slice(0, at), operator: modifier as Operator, value };
  }
  const prefix = value.slice(0, 2);
  const comparable = name === "_lastUpdated" || COMPARED.includes(fhir.parameterKind(resourceType, name));
  return comparable && PREFIXES.includes(prefix)
    ? { code: name, operator: prefix as Operator, value: value.slice(2) }
    : { code: name, operator: Operator.EQUALS, value };
}

/** The query of a search, with `?` before it; empty where it asks for nothing. */
export function formatSearchQuery(request: SearchRequest): string {
  const query = queryOf(request);
  return query === "" ? "" : `?${query}`;
}

function queryOf(request: SearchRequest): string {
  const query = new URLSearchParams();
  for (const filter of request.filters ?? []) {
    query.append(...pairOf(filter));
  }
  const put = (name: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined && value !== "") {
      query.append(name, String(value));
    }
  };
  put("_sort", request.sortRules?.map((rule) => (rule.descending ? "-" : "") + rule.code).join());
  put("_fields", request.fields?.join());
  put("_type", request.types?.join());
  put("_count", request.count);
  put("_offset", request.offset);
  put("_cursor", request.cursor);
  put("_total", request.total);
  put("_summary", request.summary);
  put("_format", request.format);
  put("_pretty", request.pretty);
  for (const [name, targets] of [
    ["_include", request.include],
    ["_revinclude", request.revInclude],
  ] as const) {
    for (const { resourceType, searchParam, targetType, modifier } of targets ?? []) {
      const value = [resourceType, searchParam, ...(targetType ? [targetType] : [])].join(":");
      query.append(modifier ? `${name}:${modifier}` : name, value);
    }
  }
  return query.toString();
}

function pairOf({ code, operator, value }: Filter): [string, string] {
  if (operator === Operator.PRESENT) {
    return [`${code}:missing`, value === "false" ? "true" : "false"];
  }
  if (MODIFIERS.includes(operator)) {
    return [`${code}:${operator}`, value];
  }
  // A text is found by its beginning; without a prefix values are equal.
  const plain = operator === Operator.STARTS_WITH || operator === Operator.EQUALS;
  return [code, plain ? value : operator + value];
}

/**
 * Whether a resource meets a search, by the search parameters of the standard; its order and pages do not count. What
 * depends on other resources (chains, `_has`), and a parameter that there is not, throws.
 */
export function matchesSearchRequest(resource: Resource, searchRequest: SearchRequest): boolean {
  if (resource.resourceType !== searchRequest.resourceType) {
    return false;
  }
  const query = new URLSearchParams((searchRequest.filters ?? []).map(pairOf));
  return fhir.matches(JSON.stringify(resource), searchRequest.resourceType, query.toString());
}
