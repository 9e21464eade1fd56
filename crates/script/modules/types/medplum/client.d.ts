/**
 * `MedplumClient`: the FHIR datastore of this Pipehat, in the shape that bots for Medplum know.
 *
 * What it does is done with the bot's own identity and scopes, in this process. Nothing is kept between calls, so that every
 * read is what the datastore has. What there is none of here (signing in, mail, PDF) is refused, and says what to do instead.
 */
import type { Attachment, Binary, Bundle, Communication, DocumentReference, ExtractResource, Identifier, Media, OperationOutcome, Reference, Resource, ResourceType, ValueSet } from "@medplum/fhirtypes";
import { type QueryTypes } from "./encoding";
import { type WithId } from "./reference";
export declare const DEFAULT_SEARCH_COUNT = 20;
export declare const DEFAULT_MAX_SEARCH_COUNT = 1000;
/** The resources that were found, with the Bundle they came in. */
export type ResourceArray<T extends Resource = Resource> = T[] & {
    bundle: Bundle<T>;
};
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
/** A setting by its name: `event.secrets['KEY'].valueString`. */
export interface ProjectSetting {
    name: string;
    valueString?: string;
}
/** What a bot is run for. */
export interface BotEvent<T = unknown> {
    readonly bot: Reference;
    readonly contentType: string;
    readonly input: T;
    readonly secrets: Record<string, ProjectSetting>;
    readonly headers?: Record<string, string>;
    readonly traceId?: string;
    readonly requester?: Reference;
}
/** The handler of a bot. */
export type BotHandler<T = unknown> = (medplum: MedplumClient, event: BotEvent<T>) => Promise<unknown> | unknown;
/** Values that are kept under names. */
export interface MedplumKeyValueClient {
    get(key: string): Promise<string | undefined>;
    set(key: string, value: string): Promise<void>;
    delete(key: string): Promise<void>;
}
type Found<K extends ResourceType> = WithId<ExtractResource<K>>;
export declare class MedplumClient {
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
    /** Nothing is kept between calls: there is nothing to forget. */
    invalidateUrl(_url: URL | string): void;
    invalidateAll(): void;
    invalidateSearches(_resourceType: ResourceType): void;
    getCached(_resourceType: ResourceType, _id: string): undefined;
    getCachedReference(_reference: Reference): undefined;
    isAuthenticated(): boolean;
    isLoading(): boolean;
    sendEmail(_email: unknown): Promise<OperationOutcome>;
    createPdf(_options: unknown): Promise<WithId<Binary>>;
    graphql(_query: string): Promise<any>;
    readResourceGraph(_resourceType: ResourceType, _id: string, _graphName: string): Promise<Bundle>;
    bulkExport(): Promise<any>;
    startAsyncRequest(_url: string): Promise<any>;
    startClientLogin(_clientId: string, _clientSecret: string): Promise<any>;
    setBasicAuth(_clientId: string, _clientSecret: string): never;
    setAccessToken(_token: string): never;
    getAccessToken(): undefined;
    getProject(): undefined;
    subscribeToCriteria(_criteria: string): never;
    invite(): Promise<any>;
    private request;
    private exchange;
    /** The URL of a page, which the datastore writes by the address it is served at, as this client has it. */
    private ownUrl;
}
export {};
