/** Bundles: what is in them, and making them into transactions. */

import type { Bundle, BundleEntry, ExtractResource, Resource, ResourceType } from "@medplum/fhirtypes";

import { getIdentifier, getReferenceString, isResource } from "./reference";
import { generateId } from "./values";

/** Values within values deeper than this are refused. */
const DEPTH_MAX = 100;

/** The resource of this type and id. */
export function findResourceInBundle<K extends ResourceType>(
  bundle: Bundle,
  resourceType: K,
  id: string,
): ExtractResource<K> | undefined {
  const found = bundle.entry?.find(
    ({ resource }) => resource?.resourceType === resourceType && resource?.id === id,
  );
  return found?.resource as ExtractResource<K> | undefined;
}

/** The resources by their identifiers in a system. */
export function mapByIdentifier<T extends Resource = Resource>(
  bundle: Bundle<T>,
  system: string,
): Map<string, T> {
  const resources = new Map<string, T>();
  for (const { resource } of bundle.entry ?? []) {
    const identifier = resource && getIdentifier(resource, system);
    if (identifier) {
      resources.set(identifier, resource);
    }
  }
  return resources;
}

/** A copy in which references have other targets. */
function withReferences<T>(
  value: T,
  target: (reference: string) => string | undefined,
  depth: number = 0,
): T {
  if (depth > DEPTH_MAX) {
    throw new RangeError(`a resource has values within values, more than ${DEPTH_MAX} deep`);
  }
  if (Array.isArray(value)) {
    return value.map((one) => withReferences(one, target, depth + 1)) as T;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    copy[name] =
      name === "reference" && typeof member === "string"
        ? (target(member) ?? member)
        : withReferences(member, target, depth + 1);
  }
  return copy as T;
}

/** What is to be made anew: without its id, and without what the server writes by itself. */
function asNew(resource: Resource): Resource {
  const { id: _id, meta, ...rest } = resource;
  const {
    author: _author,
    lastUpdated: _lastUpdated,
    versionId: _versionId,
    ...kept
  } = (meta ?? {}) as Record<string, unknown>;
  return (Object.keys(kept).length > 0 ? { ...rest, meta: kept } : rest) as Resource;
}

function transaction(resources: { resource: Resource; names: string[]; fullUrl: string }[]): Bundle {
  const targets = new Map<string, string>();
  for (const { names, fullUrl } of resources) {
    names.forEach((name) => targets.set(name, fullUrl));
  }
  const entry = resources.map(({ resource, fullUrl }) => ({
    fullUrl,
    request: { method: "POST", url: resource.resourceType },
    resource: withReferences(asNew(resource), (reference) => targets.get(reference)),
  }));
  return { resourceType: "Bundle", type: "transaction", entry: entry as BundleEntry[] };
}

/** A transaction that creates what is in a Bundle, and keeps the references among it. */
export function convertToTransactionBundle(bundle: Bundle): Bundle {
  const resources = (bundle.entry ?? []).flatMap(({ resource, fullUrl }) => {
    if (!isResource(resource)) {
      return [];
    }
    const names = [getReferenceString(resource), fullUrl].filter((name) => name !== undefined);
    const own = fullUrl?.startsWith("urn:uuid:") ? fullUrl : `urn:uuid:${generateId()}`;
    return [{ resource, names, fullUrl: own }];
  });
  return reorderBundle(transaction(resources));
}

/** A transaction that creates a resource and, each for itself, the resources contained in it. */
export function convertContainedResourcesToBundle(resource: Resource & { contained?: Resource[] }): Bundle {
  const { contained, ...rest } = resource;
  const parts = (contained ?? []).map((one) => ({
    resource: one,
    names: [`#${one.id}`],
    fullUrl: `urn:uuid:${generateId()}`,
  }));
  return transaction([
    ...parts,
    { resource: rest as Resource, names: ["#"], fullUrl: `urn:uuid:${generateId()}` },
  ]);
}

/** A copy whose entries stand behind those that they refer to, where no circle prevents it. */
export function reorderBundle(bundle: Bundle): Bundle {
  const entries = bundle.entry ?? [];
  const byUrl = new Map(entries.map((entry) => [entry.fullUrl, entry]));
  const ordered = new Set<BundleEntry>();
  const visiting = new Set<BundleEntry>();
  const place = (entry: BundleEntry): void => {
    if (ordered.has(entry) || visiting.has(entry)) {
      return;
    }
    visiting.add(entry);
    withReferences(entry.resource, (reference) => {
      const target = byUrl.get(reference);
      if (target) {
        place(target);
      }
      return undefined;
    });
    ordered.add(entry);
  };
  entries.forEach(place);
  return { ...bundle, entry: [...ordered] };
}
