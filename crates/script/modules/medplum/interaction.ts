/** What interactions of `MedplumClient` take and give. */

import type {
  Bundle,
  DocumentReference,
  ExtractResource,
  Media,
  Reference,
  Resource,
  ResourceType,
} from "@medplum/fhirtypes";

import type { WithId } from "./reference";

/** The resources that were found, with the Bundle they came in. */
export type ResourceArray<T extends Resource = Resource> = T[] & { bundle: Bundle<T> };

export interface MedplumRequestOptions {
  headers?: Record<string, string>;
}

export interface PatchOperation {
  op: "add" | "remove" | "replace" | "copy" | "move" | "test";
  path: string;
  from?: string;
  value?: unknown;
}

export type BinarySource = string | Uint8Array;

export interface CreateBinaryOptions {
  data: BinarySource;
  contentType: string;
  filename?: string;
  /** The resource whose readers may read it. */
  securityContext?: Reference;
}

export interface CreateMediaOptions extends CreateBinaryOptions {
  additionalFields?: Partial<Media>;
}

export interface CreateDocumentReferenceOptions extends CreateBinaryOptions {
  additionalFields?: Partial<DocumentReference>;
}

export interface ReadHistoryOptions {
  count?: number;
  offset?: number;
}

export interface ValueSetExpandParams {
  url?: string;
  filter?: string;
  date?: string;
  offset?: number;
  count?: number;
}

/** What `download` gives. */
export interface Downloaded {
  readonly type: string;
  readonly size: number;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
  text(): Promise<string>;
}

/** Values that are kept under names. */
export interface MedplumKeyValueClient {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}

/** A resource of a type, as the datastore has it. */
export type Found<K extends ResourceType> = WithId<ExtractResource<K>>;
