/** FHIRPath, by the datastore's own evaluator: what a Subscription's criteria mean there they mean here. */

import { fhir } from "pipehat:host";

import { isCodeableConcept, isCoding } from "./codes";
import { isPeriod, isQuantity } from "./observation";
import { isReference, isResource } from "./reference";

/** A value with the name of its FHIR type. */
export interface TypedValue {
  readonly type: string;
  readonly value: any;
}

/** A value with the type that can be seen from it; of an object of which none can, `BackboneElement`. */
export function toTypedValue(value: unknown): TypedValue {
  switch (typeof value) {
    case "boolean":
      return { type: "boolean", value };
    case "number":
      return { type: Number.isInteger(value) ? "integer" : "decimal", value };
    case "string":
      return { type: "string", value };
    default:
      return { type: typeOfObject(value), value };
  }
}

function typeOfObject(value: unknown): string {
  if (isResource(value)) {
    return value.resourceType;
  }
  if (isCodeableConcept(value)) {
    return "CodeableConcept";
  }
  if (isCoding(value)) {
    return "Coding";
  }
  if (isQuantity(value)) {
    return "Quantity";
  }
  if (isPeriod(value)) {
    return "Period";
  }
  return isReference(value) ? "Reference" : "BackboneElement";
}

/** The values that an expression gives, evaluated on a resource, an element, or several of them in a list. */
export function evalFhirPath(expression: string, input: unknown): unknown[] {
  const items = Array.isArray(input) ? input : [input];
  return evalFhirPathTyped(expression, items.map(toTypedValue)).map((item) => item.value);
}

/** The same with types, and with variables: `%name` is `variables["%name"]`, also written without `%`. */
export function evalFhirPathTyped(
  expression: string,
  input: TypedValue[],
  variables?: Record<string, TypedValue>,
): TypedValue[] {
  const items = input.filter((item) => item.value !== undefined && item.value !== null);
  return JSON.parse(fhir.path(String(expression), JSON.stringify(items), JSON.stringify(variables ?? {})));
}
