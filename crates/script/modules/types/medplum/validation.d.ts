/** Whether resources are valid, by the datastore's own rules: what passes here it takes. */
import type { OperationOutcomeIssue, Resource, ResourceType, StructureDefinition } from "@medplum/fhirtypes";
export interface ValidatorOptions {
    /** A profile to hold it against, beside FHIR R4 itself. Profiles and value sets that it names are not looked up. */
    profile?: StructureDefinition;
}
/** What there is to say of a resource; an `OperationOutcomeError` with all that is wrong where it is not valid. */
export declare function validateResource(resource: Resource, options?: ValidatorOptions): OperationOutcomeIssue[];
/** Whether FHIR R4 has a resource type of this name. */
export declare function isResourceType(resourceType: string): resourceType is ResourceType;
/** Throws where there is no such resource type. */
export declare function validateResourceType(resourceType: string): void;
