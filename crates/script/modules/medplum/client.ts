/**
 * `MedplumClient`: the FHIR datastore of this Pipehat, in the shape that bots for Medplum know.
 *
 * What it does is done with the bot's own identity and scopes, in this process. Nothing is kept between calls, so that every
 * read is what the datastore has. What there is none of here is refused (`absent.ts`); how it asks stands in `exchange.ts`.
 */

import type {
  Attachment,
  Binary,
  Bundle,
  Communication,
  DocumentReference,
  Identifier,
  Media,
  OperationOutcome,
  Reference,
  Resource,
  ResourceType,
  ValueSet,
} from "@medplum/fhirtypes";

import { askedBy, asker, askFor } from "../pipehat/asking";
import { forgetState, readState, writeState } from "../pipehat/state";
import { Absent } from "./absent";
import { ContentType } from "./codes";
import { getQueryString, type QueryTypes } from "./encoding";
import {
  BASE_URL,
  bodyOf,
  contentOf,
  exchange,
  failure,
  FHIR_PATH,
  headerOf,
  ownUrl,
  request,
  resourcesOf,
} from "./exchange";
import type {
  BinarySource,
  CreateBinaryOptions,
  CreateDocumentReferenceOptions,
  CreateMediaOptions,
  Downloaded,
  Found,
  MedplumKeyValueClient,
  MedplumRequestOptions,
  PatchOperation,
  ReadHistoryOptions,
  ResourceArray,
  ValueSetExpandParams,
} from "./interaction";
import { allOk, OperationOutcomeError } from "./outcome";
import { createReference, getReferenceString, type WithId } from "./reference";

export const DEFAULT_SEARCH_COUNT = 20;
export const DEFAULT_MAX_SEARCH_COUNT = 1000;

export class MedplumClient extends Absent {
  readonly #bot: string | undefined;

  /** A bot is given one. Another server is asked by `fetch`. */
  constructor(options?: { bot?: string } & Record<string, unknown>) {
    super();
    const other = Object.keys(options ?? {}).find((name) => name !== "bot");
    if (other !== undefined) {
      throw new Error(
        `MedplumClient is this Pipehat's own datastore and takes no option ${other}: ask another server by fetch()`,
      );
    }
    this.#bot = options?.bot;
  }

  // Interactions by URL.

  /** Reads from the datastore (`fhir/R4/Patient/1`), or from a host that was granted. */
  async get<T = any>(url: URL | string, options?: MedplumRequestOptions): Promise<T> {
    return request("GET", url, undefined, undefined, options);
  }

  async post(
    url: URL | string,
    body?: unknown,
    contentType?: string,
    options?: MedplumRequestOptions,
  ): Promise<any> {
    return request("POST", url, body, contentType, options);
  }

  async put(
    url: URL | string,
    body: unknown,
    contentType?: string,
    options?: MedplumRequestOptions,
  ): Promise<any> {
    return request("PUT", url, body, contentType, options);
  }

  async patch(
    url: URL | string,
    operations: PatchOperation[],
    options?: MedplumRequestOptions,
  ): Promise<any> {
    return request("PATCH", url, operations, ContentType.JSON_PATCH, options);
  }

  async delete(url: URL | string, options?: MedplumRequestOptions): Promise<any> {
    return (await request("DELETE", url, undefined, undefined, options)) ?? allOk;
  }

  /** The URL of a resource, for `get` and the like. */
  fhirUrl(...path: string[]): URL {
    return new URL([FHIR_PATH, ...path].join("/"), BASE_URL);
  }

  fhirSearchUrl(resourceType: ResourceType, query: QueryTypes): URL {
    const url = this.fhirUrl(resourceType);
    url.search = getQueryString(query);
    return url;
  }

  getBaseUrl(): string {
    return BASE_URL;
  }

  // Searches.

  async search<K extends ResourceType>(
    resourceType: K,
    query?: QueryTypes,
    options?: MedplumRequestOptions,
  ): Promise<Bundle<Found<K>>> {
    return this.get(this.fhirSearchUrl(resourceType, query), options);
  }

  /** The first that is found. */
  async searchOne<K extends ResourceType>(
    resourceType: K,
    query?: QueryTypes,
    options?: MedplumRequestOptions,
  ): Promise<Found<K> | undefined> {
    const url = this.fhirSearchUrl(resourceType, query);
    url.searchParams.set("_count", "1");
    return resourcesOf<Found<K>>(await this.get(url, options))[0];
  }

  /** The resources of one page; `bundle` is the page itself. */
  async searchResources<K extends ResourceType>(
    resourceType: K,
    query?: QueryTypes,
    options?: MedplumRequestOptions,
  ): Promise<ResourceArray<Found<K>>> {
    return resourcesOf(await this.search(resourceType, query, options));
  }

  /** Page after page. */
  async *searchResourcePages<K extends ResourceType>(
    resourceType: K,
    query?: QueryTypes,
    options?: MedplumRequestOptions,
  ): AsyncGenerator<ResourceArray<Found<K>>> {
    let url: URL | string | undefined = this.fhirSearchUrl(resourceType, query);
    if (!url.searchParams.has("_count")) {
      url.searchParams.set("_count", String(DEFAULT_MAX_SEARCH_COUNT));
    }
    while (url !== undefined) {
      const bundle: Bundle = await this.get(url, options);
      yield resourcesOf<Found<K>>(bundle);
      const next: string | undefined = bundle.link?.find((link) => link.relation === "next")?.url;
      url = next === undefined ? undefined : ownUrl(next);
    }
  }

  async valueSetExpand(params: ValueSetExpandParams, options?: MedplumRequestOptions): Promise<ValueSet> {
    const url = this.fhirUrl("ValueSet", "$expand");
    url.search = getQueryString({ ...params });
    return this.get(url, options);
  }

  // Reads.

  async readResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    options?: MedplumRequestOptions,
  ): Promise<Found<K>> {
    if (!id) {
      throw new Error('The "id" parameter cannot be null, undefined, or an empty string.');
    }
    return this.get(this.fhirUrl(resourceType, id), options);
  }

  async readReference<T extends Resource = Resource>(
    reference: Reference<T>,
    options?: MedplumRequestOptions,
  ): Promise<WithId<T>> {
    const text = reference.reference;
    if (!text) {
      throw new Error("Missing reference");
    }
    const [resourceType, id, ...rest] = text.split("/");
    const isPlain = Boolean(resourceType && id) && (rest.length === 0 || rest[0] === "_history");
    if (!isPlain) {
      throw new Error("Invalid reference");
    }
    return this.get(this.fhirUrl(resourceType as string, id as string), options);
  }

  async readHistory<K extends ResourceType>(
    resourceType: K,
    id: string,
    page?: ReadHistoryOptions,
    options?: MedplumRequestOptions,
  ): Promise<Bundle<Found<K>>> {
    const url = this.fhirUrl(resourceType, id, "_history");
    url.search = getQueryString({ _count: page?.count, _offset: page?.offset });
    return this.get(url, options);
  }

  async readVersion<K extends ResourceType>(
    resourceType: K,
    id: string,
    version: string,
    options?: MedplumRequestOptions,
  ): Promise<Found<K>> {
    return this.get(this.fhirUrl(resourceType, id, "_history", version), options);
  }

  async readPatientEverything(id: string, options?: MedplumRequestOptions): Promise<Bundle> {
    return this.get(this.fhirUrl("Patient", id, "$everything"), options);
  }

  async readPatientSummary(id: string, options?: MedplumRequestOptions): Promise<Bundle> {
    return this.get(this.fhirUrl("Patient", id, "$summary"), options);
  }

  // Writes.

  async createResource<T extends Resource>(resource: T, options?: MedplumRequestOptions): Promise<WithId<T>> {
    return this.post(this.fhirUrl(typeOf(resource)), resource, undefined, options);
  }

  /** Creates it unless the search finds one, which is then the answer. */
  async createResourceIfNoneExist<T extends Resource>(
    resource: T,
    query: string,
    options?: MedplumRequestOptions,
  ): Promise<WithId<T>> {
    const headers = { ...options?.headers, "If-None-Exist": getQueryString(query) };
    return this.createResource(resource, { ...options, headers });
  }

  /** Updates the one that the search finds, or creates it. */
  async upsertResource<T extends Resource>(
    resource: T,
    query: QueryTypes,
    options?: MedplumRequestOptions,
  ): Promise<WithId<T>> {
    const url = this.fhirSearchUrl(typeOf(resource), query);
    return (await this.put(url, resource, undefined, options)) ?? resource;
  }

  async updateResource<T extends Resource>(resource: T, options?: MedplumRequestOptions): Promise<WithId<T>> {
    const type = typeOf(resource);
    if (!resource.id) {
      throw new Error("Missing id");
    }
    // Where nothing changes there may be no answer but "not modified".
    return (await this.put(this.fhirUrl(type, resource.id), resource, undefined, options)) ?? resource;
  }

  async patchResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    operations: PatchOperation[],
    options?: MedplumRequestOptions,
  ): Promise<Found<K>> {
    return this.patch(this.fhirUrl(resourceType, id), operations, options);
  }

  async deleteResource(
    resourceType: ResourceType,
    id: string,
    options?: MedplumRequestOptions,
  ): Promise<any> {
    return this.delete(this.fhirUrl(resourceType, id), options);
  }

  /** A batch or a transaction. */
  async executeBatch(bundle: Bundle, options?: MedplumRequestOptions): Promise<Bundle> {
    return this.post(this.fhirUrl(), bundle, undefined, options);
  }

  /** What the validator says; its findings are no error here. */
  async validateResource<T extends Resource>(
    resource: T,
    options?: MedplumRequestOptions,
  ): Promise<OperationOutcome> {
    try {
      return await this.post(this.fhirUrl(typeOf(resource), "$validate"), resource, undefined, options);
    } catch (error) {
      if (error instanceof OperationOutcomeError) {
        return error.outcome;
      }
      throw error;
    }
  }

  async createBinary(
    options: CreateBinaryOptions,
    requestOptions?: MedplumRequestOptions,
  ): Promise<WithId<Binary>>;
  async createBinary(
    data: BinarySource,
    filename: string | undefined,
    contentType: string,
    onProgress?: unknown,
    options?: MedplumRequestOptions,
  ): Promise<WithId<Binary>>;
  async createBinary(
    first: CreateBinaryOptions | BinarySource,
    second?: MedplumRequestOptions | string,
    contentType?: string,
    _onProgress?: unknown,
    last?: MedplumRequestOptions,
  ): Promise<WithId<Binary> & { url?: string }> {
    const { asked, options } = binaryAsked(first, second, contentType, last);
    const headers: Record<string, string> = { ...options?.headers };
    const context = asked.securityContext?.reference;
    if (context) {
      headers["X-Security-Context"] = context;
    }
    const binary = await this.post(this.fhirUrl("Binary"), asked.data, asked.contentType, {
      ...options,
      headers,
    });
    return { ...binary, url: binary.url ?? `Binary/${binary.id}` };
  }

  async createAttachment(
    options: CreateBinaryOptions,
    requestOptions?: MedplumRequestOptions,
  ): Promise<Attachment>;
  async createAttachment(
    data: BinarySource,
    filename: string | undefined,
    contentType: string,
    onProgress?: unknown,
    options?: MedplumRequestOptions,
  ): Promise<Attachment>;
  async createAttachment(
    first: CreateBinaryOptions | BinarySource,
    second?: MedplumRequestOptions | string,
    contentType?: string,
    _onProgress?: unknown,
    last?: MedplumRequestOptions,
  ): Promise<Attachment> {
    const { asked, options } = binaryAsked(first, second, contentType, last);
    const binary: Binary & { url?: string } = await this.createBinary(asked, options);
    const attachment: Attachment = { contentType: asked.contentType, url: binary.url };
    return asked.filename === undefined ? attachment : { ...attachment, title: asked.filename };
  }

  async createMedia(asked: CreateMediaOptions, options?: MedplumRequestOptions): Promise<Media> {
    const { additionalFields, ...binary } = asked;
    const media = await this.createResource<Media>(
      {
        resourceType: "Media",
        status: "preparation",
        content: { contentType: asked.contentType },
        ...additionalFields,
      } as Media,
      options,
    );
    const securityContext = createReference(media);
    const content = await this.createAttachment({ ...binary, securityContext }, options);
    return this.updateResource<Media>({ ...media, status: "completed", content }, options);
  }

  async createDocumentReference(
    asked: CreateDocumentReferenceOptions,
    options?: MedplumRequestOptions,
  ): Promise<DocumentReference> {
    const { additionalFields, ...binary } = asked;
    const document = await this.createResource<DocumentReference>(
      {
        resourceType: "DocumentReference",
        status: "current",
        content: [{ attachment: { contentType: asked.contentType } }],
        ...additionalFields,
      } as DocumentReference,
      options,
    );
    const securityContext = createReference(document);
    const attachment = await this.createAttachment({ ...binary, securityContext }, options);
    return this.updateResource<DocumentReference>({ ...document, content: [{ attachment }] }, options);
  }

  /** A remark about a resource, as a Communication. */
  async createComment(
    resource: Resource,
    text: string,
    options?: MedplumRequestOptions,
  ): Promise<WithId<Communication>> {
    const about = createReference(resource);
    const isRequest = resource.resourceType === "ServiceRequest";
    const { subject } = resource as { subject?: Reference };
    const subjectOfComment = resource.resourceType === "Patient" ? about : subject;
    return this.createResource<Communication>(
      {
        resourceType: "Communication",
        status: "completed",
        ...(isRequest ? { basedOn: [about] } : { about: [about] }),
        ...(subjectOfComment ? { subject: subjectOfComment } : {}),
        sent: new Date().toISOString(),
        payload: [{ contentString: text }],
      } as Communication,
      options,
    );
  }

  /** The bytes of a Binary, or of an address on a host that was granted. */
  async download(url: URL | string, options?: MedplumRequestOptions): Promise<Downloaded> {
    const text = String(url);
    const binary = /^(?:urn:oid:)?Binary\/[^/]+$/.test(text) ? this.fhirUrl(text) : url;
    const headers = { Accept: "*/*", ...options?.headers };
    const asked = asker();
    const answer = await exchange("GET", binary, undefined, undefined, { ...options, headers }, "bytes");
    const bytes = answer.bytes ?? new Uint8Array();
    if (answer.status >= 400) {
      throw askedBy(failure({ ...answer, text: new TextDecoder().decode(bytes) }), asked);
    }
    return {
      type: headerOf(answer, "content-type") ?? ContentType.OCTET_STREAM,
      size: bytes.length,
      bytes: async () => bytes,
      arrayBuffer: async () => bytes.slice().buffer as ArrayBuffer,
      text: async () => new TextDecoder().decode(bytes),
    };
  }

  // What else a bot may ask for.

  /** Runs another bot, by its id or identifier. */
  async executeBot(
    idOrIdentifier: string | Identifier,
    body: unknown,
    contentType?: string,
    _options?: MedplumRequestOptions,
  ): Promise<any> {
    const bot =
      typeof idOrIdentifier === "string"
        ? idOrIdentifier
        : `${idOrIdentifier.system ?? ""}|${idOrIdentifier.value ?? ""}`;
    const [sent, type] = bodyOf(body, contentType);
    const answer = await askFor({ ask: "executeBot", bot, contentType: type, body: sent ?? "" });
    return contentOf(answer);
  }

  /**
   * Sends to a destination of the channel, or to a channel. The destination is a name; of a Device it is the device's name or,
   * for a reference, what stands in `display`, else the id. The agent is not needed: Pipehat sends itself.
   */
  async pushToAgent(
    _agent: Resource | Reference,
    destination: Resource | Reference | string,
    body: unknown,
    contentType?: string,
    waitForResponse?: boolean,
    _options?: MedplumRequestOptions,
  ): Promise<any> {
    const [sent, type] = bodyOf(body, contentType ?? ContentType.HL7_V2);
    const answer = await askFor({
      ask: "send",
      destination: destinationName(destination),
      contentType: type,
      body: sent ?? "",
    });
    return waitForResponse && answer.text ? contentOf(answer) : allOk;
  }

  /** Values that the bot keeps: the same as `state` of the module `pipehat`. */
  get keyValue(): MedplumKeyValueClient {
    return {
      get: async (key) => {
        const value = await readState(key);
        return typeof value === "string" || value === undefined ? value : JSON.stringify(value);
      },
      set: (key, value) => writeState(key, value),
      delete: forgetState,
    };
  }

  /** Who the bot is. */
  getProfile(): (Resource & { id: string }) | undefined {
    const id = this.#bot?.split("/")[1];
    return id === undefined
      ? undefined
      : ({ resourceType: "Bot", id } as unknown as Resource & { id: string });
  }

  async getProfileAsync(): Promise<(Resource & { id: string }) | undefined> {
    return this.getProfile();
  }
}

function typeOf(resource: Resource): ResourceType {
  if (!resource?.resourceType) {
    throw new Error("Missing resourceType");
  }
  return resource.resourceType as ResourceType;
}

function binaryAsked(
  first: CreateBinaryOptions | BinarySource,
  second: MedplumRequestOptions | string | undefined,
  contentType: string | undefined,
  last: MedplumRequestOptions | undefined,
): { asked: CreateBinaryOptions; options: MedplumRequestOptions | undefined } {
  if (typeof first === "string" || first instanceof Uint8Array) {
    const asked: CreateBinaryOptions = { data: first, contentType: contentType ?? ContentType.OCTET_STREAM };
    if (typeof second === "string") {
      asked.filename = second;
    }
    return { asked, options: last };
  }
  return { asked: first, options: second as MedplumRequestOptions | undefined };
}

function destinationName(destination: Resource | Reference | string): string {
  if (typeof destination === "string") {
    return destination;
  }
  const names = destination as { deviceName?: { name?: string }[]; display?: string };
  const name = names.deviceName?.[0]?.name ?? names.display ?? getReferenceString(destination)?.split("/")[1];
  if (!name) {
    throw new Error("pushToAgent: the destination has no name");
  }
  return name;
}
