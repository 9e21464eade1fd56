/**
 * `MedplumClient`: the FHIR datastore of this Pipehat, in the shape that bots for Medplum know.
 *
 * What it does is done with the bot's own identity and scopes, in this process. Nothing is kept between calls, so that every
 * read is what the datastore has. What there is none of here is refused (`absent.ts`); how it asks stands in `exchange.ts`.
 */
import type { Attachment, Binary, Bundle, Communication, DocumentReference, Identifier, Media, OperationOutcome, Reference, Resource, ResourceType, ValueSet } from "@medplum/fhirtypes";
import { Absent } from "./absent";
import { type QueryTypes } from "./encoding";
import type { BinarySource, CreateBinaryOptions, CreateDocumentReferenceOptions, CreateMediaOptions, Downloaded, Found, MedplumKeyValueClient, MedplumRequestOptions, PatchOperation, ReadHistoryOptions, ResourceArray, ValueSetExpandParams } from "./interaction";
import { type WithId } from "./reference";
export declare const DEFAULT_SEARCH_COUNT = 20;
export declare const DEFAULT_MAX_SEARCH_COUNT = 1000;
export declare class MedplumClient extends Absent {
    #private;
    /** A bot is given one. Another server is asked by `fetch`. */
    constructor(options?: {
        bot?: string;
    } & Record<string, unknown>);
    /** Reads from the datastore (`fhir/R4/Patient/1`), or from a host that was granted. */
    get<T = any>(url: URL | string, options?: MedplumRequestOptions): Promise<T>;
    post(url: URL | string, body?: unknown, contentType?: string, options?: MedplumRequestOptions): Promise<any>;
    put(url: URL | string, body: unknown, contentType?: string, options?: MedplumRequestOptions): Promise<any>;
    patch(url: URL | string, operations: PatchOperation[], options?: MedplumRequestOptions): Promise<any>;
    delete(url: URL | string, options?: MedplumRequestOptions): Promise<any>;
    /** The URL of a resource, for `get` and the like. */
    fhirUrl(...path: string[]): URL;
    fhirSearchUrl(resourceType: ResourceType, query: QueryTypes): URL;
    getBaseUrl(): string;
    search<K extends ResourceType>(resourceType: K, query?: QueryTypes, options?: MedplumRequestOptions): Promise<Bundle<Found<K>>>;
    /** The first that is found. */
    searchOne<K extends ResourceType>(resourceType: K, query?: QueryTypes, options?: MedplumRequestOptions): Promise<Found<K> | undefined>;
    /** The resources of one page; `bundle` is the page itself. */
    searchResources<K extends ResourceType>(resourceType: K, query?: QueryTypes, options?: MedplumRequestOptions): Promise<ResourceArray<Found<K>>>;
    /** Page after page. */
    searchResourcePages<K extends ResourceType>(resourceType: K, query?: QueryTypes, options?: MedplumRequestOptions): AsyncGenerator<ResourceArray<Found<K>>>;
    valueSetExpand(params: ValueSetExpandParams, options?: MedplumRequestOptions): Promise<ValueSet>;
    readResource<K extends ResourceType>(resourceType: K, id: string, options?: MedplumRequestOptions): Promise<Found<K>>;
    readReference<T extends Resource = Resource>(reference: Reference<T>, options?: MedplumRequestOptions): Promise<WithId<T>>;
    readHistory<K extends ResourceType>(resourceType: K, id: string, page?: ReadHistoryOptions, options?: MedplumRequestOptions): Promise<Bundle<Found<K>>>;
    readVersion<K extends ResourceType>(resourceType: K, id: string, version: string, options?: MedplumRequestOptions): Promise<Found<K>>;
    readPatientEverything(id: string, options?: MedplumRequestOptions): Promise<Bundle>;
    readPatientSummary(id: string, options?: MedplumRequestOptions): Promise<Bundle>;
    createResource<T extends Resource>(resource: T, options?: MedplumRequestOptions): Promise<WithId<T>>;
    /** Creates it unless the search finds one, which is then the answer. */
    createResourceIfNoneExist<T extends Resource>(resource: T, query: string, options?: MedplumRequestOptions): Promise<WithId<T>>;
    /** Updates the one that the search finds, or creates it. */
    upsertResource<T extends Resource>(resource: T, query: QueryTypes, options?: MedplumRequestOptions): Promise<WithId<T>>;
    updateResource<T extends Resource>(resource: T, options?: MedplumRequestOptions): Promise<WithId<T>>;
    patchResource<K extends ResourceType>(resourceType: K, id: string, operations: PatchOperation[], options?: MedplumRequestOptions): Promise<Found<K>>;
    deleteResource(resourceType: ResourceType, id: string, options?: MedplumRequestOptions): Promise<any>;
    /** A batch or a transaction. */
    executeBatch(bundle: Bundle, options?: MedplumRequestOptions): Promise<Bundle>;
    /** What the validator says; its findings are no error here. */
    validateResource<T extends Resource>(resource: T, options?: MedplumRequestOptions): Promise<OperationOutcome>;
    createBinary(options: CreateBinaryOptions, requestOptions?: MedplumRequestOptions): Promise<WithId<Binary>>;
    createBinary(data: BinarySource, filename: string | undefined, contentType: string, onProgress?: unknown, options?: MedplumRequestOptions): Promise<WithId<Binary>>;
    createAttachment(options: CreateBinaryOptions, requestOptions?: MedplumRequestOptions): Promise<Attachment>;
    createAttachment(data: BinarySource, filename: string | undefined, contentType: string, onProgress?: unknown, options?: MedplumRequestOptions): Promise<Attachment>;
    createMedia(asked: CreateMediaOptions, options?: MedplumRequestOptions): Promise<Media>;
    createDocumentReference(asked: CreateDocumentReferenceOptions, options?: MedplumRequestOptions): Promise<DocumentReference>;
    /** A remark about a resource, as a Communication. */
    createComment(resource: Resource, text: string, options?: MedplumRequestOptions): Promise<WithId<Communication>>;
    /** The bytes of a Binary, or of an address on a host that was granted. */
    download(url: URL | string, options?: MedplumRequestOptions): Promise<Downloaded>;
    /** Runs another bot, by its id or identifier. */
    executeBot(idOrIdentifier: string | Identifier, body: unknown, contentType?: string, _options?: MedplumRequestOptions): Promise<any>;
    /**
     * Sends to a destination of the channel, or to a channel. The destination is a name; of a Device it is the device's name or,
     * for a reference, what stands in `display`, else the id. The agent is not needed: Pipehat sends itself.
     */
    pushToAgent(_agent: Resource | Reference, destination: Resource | Reference | string, body: unknown, contentType?: string, waitForResponse?: boolean, _options?: MedplumRequestOptions): Promise<any>;
    /** Values that the bot keeps: the same as `state` of the module `pipehat`. */
    get keyValue(): MedplumKeyValueClient;
    /** Who the bot is. */
    getProfile(): (Resource & {
        id: string;
    }) | undefined;
    getProfileAsync(): Promise<(Resource & {
        id: string;
    }) | undefined>;
}
