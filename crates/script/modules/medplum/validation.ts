/** Whether resources are valid, by the datastore's own rules: what passes here it takes. */

import type { OperationOutcomeIssue, Resource, ResourceType, StructureDefinition } from "@medplum/fhirtypes";
import { fhir } from "pipehat:host";

import { badRequest, OperationOutcomeError } from "./outcome";

export interface ValidatorOptions {
  /** A profile to hold it against, beside FHIR R4 itself. Profiles and value sets that it names are not looked up. */
  profile?: StructureDefinition;
}

/** What there is to say of a resource; an `OperationOutcomeError` with all that is wrong where it is not valid. */
export function validateResource(resource: Resource, options?: ValidatorOptions): OperationOutcomeIssue[] {
  const profile = options?.profile === undefined ? undefined : JSON.stringify(options.profile);
  const issues = JSON.parse(fhir.validate(JSON.stringify(resource), profile)) as OperationOutcomeIssue[];
  if (issues.some(({ severity }) => severity === "error" || severity === "fatal")) {
    throw new OperationOutcomeError({ resourceType: "OperationOutcome", issue: issues });
  }
  return issues;
}

/** Whether FHIR R4 has a resource type of this name. */
export function isResourceType(resourceType: string): resourceType is ResourceType {
  return fhir.isResourceType(resourceType);
}

/** Throws where there is no such resource type. */
export function validateResourceType(resourceType: string): void {
  if (!resourceType) {
    throw new OperationOutcomeError(badRequest("Resource type is null"));
  }
  if (!isResourceType(resourceType)) {
    throw new OperationOutcomeError(badRequest("Unknown resource type"));
  }
}
