/** `@medplum/fhirtypes` has types only: `pipehat types` writes them. */
export {};
