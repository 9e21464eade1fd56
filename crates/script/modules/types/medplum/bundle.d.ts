/** Bundles: what is in them, and making them into transactions. */
import type { Bundle, ExtractResource, Resource, ResourceType } from "@medplum/fhirtypes";
/** The resource of this type and id. */
export declare function findResourceInBundle<K extends ResourceType>(bundle: Bundle, resourceType: K, id: string): ExtractResource<K> | undefined;
/** The resources by their identifiers in a system. */
export declare function mapByIdentifier<T extends Resource = Resource>(bundle: Bundle<T>, system: string): Map<string, T>;
/** A transaction that creates what is in a Bundle, and keeps the references among it. */
export declare function convertToTransactionBundle(bundle: Bundle): Bundle;
/** A transaction that creates a resource and, each for itself, the resources contained in it. */
export declare function convertContainedResourcesToBundle(resource: Resource & {
    contained?: Resource[];
}): Bundle;
/** A copy whose entries stand behind those that they refer to, where no circle prevents it. */
export declare function reorderBundle(bundle: Bundle): Bundle;
