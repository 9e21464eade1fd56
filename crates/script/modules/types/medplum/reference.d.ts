/** References, identifiers and extensions, and what to call a resource. */
import type { Extension, Identifier, Reference, Resource } from "@medplum/fhirtypes";
/** A resource that has its id. */
export type WithId<T> = T & {
    id: string;
};
export declare function isResource<T extends Resource>(value: unknown, resourceType?: T["resourceType"]): value is T;
export declare function isResourceWithId<T extends Resource>(value: unknown, resourceType?: T["resourceType"]): value is WithId<T>;
/** Whether it is a reference, and to this type. */
export declare function isReference<T extends Resource = Resource>(value: unknown, resourceType?: T["resourceType"]): value is Reference<T> & {
    reference: string;
};
/** `Patient/1` of a resource or of a reference. */
export declare function getReferenceString(input: (Reference & {
    reference: string;
}) | WithId<Resource>): string;
export declare function getReferenceString(input: Reference | Resource | undefined): string | undefined;
/** A reference to a resource, with its name to show. */
export declare function createReference<T extends Resource>(resource: T): Reference<T> & {
    reference: string;
};
/** The type and the id of a relative reference; throws where it is none. */
export declare function parseReference<T extends Resource = Resource>(reference: Reference<T> | undefined): [T["resourceType"], string];
/** The id of a resource, or the one that a reference names. */
export declare function resolveId(input: Reference | Resource | undefined): string | undefined;
export declare function formatReferenceString(reference: Reference | undefined): string;
/** What to call a resource: its name, what it is of, else its reference. */
export declare function getDisplayString(resource: Resource): string;
/** The address of a resource's first picture. */
export declare function getImageSrc(resource: Resource): string | undefined;
/** A resource's identifier in a system. */
export declare function getIdentifier(resource: Resource, system: string): string | undefined;
/** Gives a resource its identifier in a system. */
export declare function setIdentifier(resource: Resource & {
    identifier?: Identifier[];
}, system: string, value: string): void;
/** The extension at the end of these URLs, each within the one before. */
export declare function getExtension(resource: unknown, ...urls: string[]): Extension | undefined;
/** Its `value[x]`. */
export declare function getExtensionValue(resource: unknown, ...urls: string[]): unknown;
export declare function addProfileToResource<T extends Resource>(resource: T, profileUrl: string): T;
export declare function removeProfileFromResource<T extends Resource>(resource: T, profileUrl: string): T;
/** Whether it is somebody who can sign in. */
export declare function isProfileResource(resource: Resource): boolean;
