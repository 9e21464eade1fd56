/** What `MedplumClient` has elsewhere and not here: each says what to do instead. */

import type { Binary, Bundle, OperationOutcome, Reference, ResourceType } from "@medplum/fhirtypes";

import type { WithId } from "./reference";

/** Caches that there are none of, and what is refused. */
export class Absent {
  /** Nothing is kept between calls: there is nothing to forget. */
  invalidateUrl(_url: URL | string): void {}
  invalidateAll(): void {}
  invalidateSearches(_resourceType: ResourceType): void {}
  getCached(_resourceType: ResourceType, _id: string): undefined {
    return undefined;
  }
  getCachedReference(_reference: Reference): undefined {
    return undefined;
  }
  isAuthenticated(): boolean {
    return true;
  }
  isLoading(): boolean {
    return false;
  }

  sendEmail(_email: unknown): Promise<OperationOutcome> {
    return refused("sendEmail", "send mail through a service of yours by fetch()");
  }
  createPdf(_options: unknown): Promise<WithId<Binary>> {
    return refused("createPdf", "have a service of yours make it by fetch(), and keep it with createBinary");
  }
  graphql(_query: string): Promise<any> {
    return refused("graphql", "use search with _include and _revinclude");
  }
  readResourceGraph(_resourceType: ResourceType, _id: string, _graphName: string): Promise<Bundle> {
    return refused("readResourceGraph", "use search with _include and _revinclude");
  }
  bulkExport(): Promise<any> {
    return refused("bulkExport", "use searchResourcePages, or `pipehat datastore export`");
  }
  startAsyncRequest(_url: string): Promise<any> {
    return refused("startAsyncRequest", "ask without waiting by fetch()");
  }
  startClientLogin(_clientId: string, _clientSecret: string): Promise<any> {
    return refused("startClientLogin", "a bot has its own identity, and the scopes that its file grants");
  }
  setBasicAuth(_clientId: string, _clientSecret: string): never {
    throw new Error(
      refusal("setBasicAuth", "a bot has its own identity, and the scopes that its file grants"),
    );
  }
  setAccessToken(_token: string): never {
    throw new Error(
      refusal("setAccessToken", "a bot has its own identity, and the scopes that its file grants"),
    );
  }
  getAccessToken(): undefined {
    return undefined;
  }
  getProject(): undefined {
    return undefined;
  }
  subscribeToCriteria(_criteria: string): never {
    throw new Error(
      refusal("subscribeToCriteria", "a Subscription whose channel.endpoint is the bot runs it"),
    );
  }
  invite(): Promise<any> {
    return refused("invite", "clients are made with `pipehat client`");
  }
}

function refusal(name: string, instead: string): string {
  return `MedplumClient.${name} is not available in Pipehat: ${instead}`;
}

async function refused(name: string, instead: string): Promise<never> {
  throw new Error(refusal(name, instead));
}
