/** References, identifiers and extensions, and what to call a resource. */

import type {
  CodeableConcept,
  Extension,
  HumanName,
  Identifier,
  Reference,
  Resource,
} from "@medplum/fhirtypes";

import { formatCodeableConcept, formatHumanName } from "./format";

/** A resource that has its id. */
export type WithId<T> = T & { id: string };

/** Members that some type of resource has. */
interface Members {
  [member: string]: unknown;
}

const membersOf = (resource: object): Members => resource as unknown as Members;

export function isResource<T extends Resource>(value: unknown, resourceType?: T["resourceType"]): value is T {
  const type = (value as { resourceType?: unknown } | undefined | null)?.resourceType;
  return typeof type === "string" && (resourceType === undefined || type === resourceType);
}

export function isResourceWithId<T extends Resource>(
  value: unknown,
  resourceType?: T["resourceType"],
): value is WithId<T> {
  return isResource<T>(value, resourceType) && typeof (value as { id?: unknown }).id === "string";
}

/** Whether it is a reference, and to this type. */
export function isReference<T extends Resource = Resource>(
  value: unknown,
  resourceType?: T["resourceType"],
): value is Reference<T> & { reference: string } {
  const reference = (value as Reference | undefined | null)?.reference;
  return (
    typeof reference === "string" && (resourceType === undefined || reference.startsWith(`${resourceType}/`))
  );
}

/** `Patient/1` of a resource or of a reference. */
export function getReferenceString(input: (Reference & { reference: string }) | WithId<Resource>): string;
export function getReferenceString(input: Reference | Resource | undefined): string | undefined;
export function getReferenceString(input: Reference | Resource | undefined): string | undefined {
  if (input === undefined || input === null) {
    return undefined;
  }
  const { reference } = input as Reference;
  if (reference) {
    return reference;
  }
  return isResourceWithId(input) ? `${input.resourceType}/${input.id}` : undefined;
}

/** A reference to a resource, with its name to show. */
export function createReference<T extends Resource>(resource: T): Reference<T> & { reference: string } {
  const reference = getReferenceString(resource);
  if (reference === undefined) {
    throw new Error("createReference: the resource has no resourceType or no id; it must be stored first");
  }
  const display = getDisplayString(resource);
  return display === reference ? { reference } : { reference, display };
}

const RELATIVE = /^([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;

/** The type and the id of a relative reference; throws where it is none. */
export function parseReference<T extends Resource = Resource>(
  reference: Reference<T> | undefined,
): [T["resourceType"], string] {
  if (!reference?.reference) {
    throw new Error("Reference missing reference property.");
  }
  const match = RELATIVE.exec(reference.reference);
  if (!match) {
    throw new Error("Unable to parse reference string.");
  }
  return [match[1] as T["resourceType"], match[2] as string];
}

/** The id of a resource, or the one that a reference names. */
export function resolveId(input: Reference | Resource | undefined): string | undefined {
  if (isResource(input)) {
    return input.id;
  }
  const reference = (input as Reference | undefined)?.reference;
  return RELATIVE.exec(reference ?? "")?.[2];
}

export function formatReferenceString(reference: Reference | undefined): string {
  return reference?.display ?? reference?.reference ?? "";
}

/** What to call a resource: its name, what it is of, else its reference. */
export function getDisplayString(resource: Resource): string {
  return nameOf(resource) || (getReferenceString(resource) ?? "");
}

function nameOf(resource: Resource): string | undefined {
  const members = membersOf(resource);
  const { name } = members;
  if (Array.isArray(name)) {
    return formatHumanName(name[0] as HumanName | undefined);
  }
  if (typeof name === "string") {
    return name;
  }
  const deviceName = (members.deviceName as { name?: string }[] | undefined)?.[0]?.name;
  const medication = members.medicationCodeableConcept ?? members.code;
  const concept = (Array.isArray(medication) ? medication[0] : medication) as CodeableConcept | undefined;
  const text =
    deviceName ?? (resource.resourceType === "Subscription" ? members.criteria : undefined) ?? members.email;
  return typeof text === "string"
    ? text
    : formatCodeableConcept(typeof concept === "object" ? concept : undefined);
}

/** The address of a resource's first picture. */
export function getImageSrc(resource: Resource): string | undefined {
  const { photo } = membersOf(resource);
  const pictures = (Array.isArray(photo) ? photo : photo ? [photo] : []) as {
    url?: string;
    contentType?: string;
  }[];
  return pictures.find((picture) => picture.url && picture.contentType?.startsWith("image/"))?.url;
}

function identifiersOf(resource: Resource): Identifier[] {
  const { identifier } = membersOf(resource);
  return (Array.isArray(identifier) ? identifier : identifier ? [identifier] : []) as Identifier[];
}

/** A resource's identifier in a system. */
export function getIdentifier(resource: Resource, system: string): string | undefined {
  return identifiersOf(resource).find((identifier) => identifier.system === system)?.value;
}

/** Gives a resource its identifier in a system. */
export function setIdentifier(
  resource: Resource & { identifier?: Identifier[] },
  system: string,
  value: string,
): void {
  const identifiers: Identifier[] = (resource.identifier ??= []);
  const existing = identifiers.find((identifier) => identifier.system === system);
  if (existing) {
    existing.value = value;
  } else {
    identifiers.push({ system, value });
  }
}

/** The extension at the end of these URLs, each within the one before. */
export function getExtension(resource: unknown, ...urls: string[]): Extension | undefined {
  let current: unknown = resource;
  for (const url of urls) {
    current = (current as { extension?: Extension[] } | undefined | null)?.extension?.find(
      (extension) => extension.url === url,
    );
  }
  return current as Extension | undefined;
}

/** Its `value[x]`. */
export function getExtensionValue(resource: unknown, ...urls: string[]): unknown {
  const extension = getExtension(resource, ...urls);
  const member = Object.keys(extension ?? {}).find((name) => name.startsWith("value"));
  return member === undefined ? undefined : membersOf(extension as object)[member];
}

export function addProfileToResource<T extends Resource>(resource: T, profileUrl: string): T {
  const meta: { profile?: string[] } = (resource.meta ??= {});
  const profiles = (meta.profile ??= []);
  if (!profiles.includes(profileUrl)) {
    profiles.push(profileUrl);
  }
  return resource;
}

export function removeProfileFromResource<T extends Resource>(resource: T, profileUrl: string): T {
  const profiles = resource.meta?.profile;
  const at = profiles?.indexOf(profileUrl) ?? -1;
  if (at >= 0) {
    profiles?.splice(at, 1);
  }
  return resource;
}

const PROFILES: readonly string[] = ["Patient", "Practitioner", "RelatedPerson"];

/** Whether it is somebody who can sign in. */
export function isProfileResource(resource: Resource): boolean {
  return PROFILES.includes(resource.resourceType);
}
