/** What `MedplumClient` has elsewhere and not here: each says what to do instead. */
import type { Binary, Bundle, OperationOutcome, Reference, ResourceType } from "@medplum/fhirtypes";
import type { WithId } from "./reference";
/** Caches that there are none of, and what is refused. */
export declare class Absent {
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
}
