/** What bots import from `@medplum/core`. */
export * from "./bot";
export * from "./bundle";
export * from "./client";
export * from "./codes";
export * from "./encoding";
export * from "./fhirpath";
export * from "./format";
export { AckCode, Hl7Context, Hl7Field, Hl7Message, Hl7Segment, type Hl7AckOptions } from "./hl7";
export * from "./hl7-date-time";
export * from "./interaction";
export * from "./observation";
export * from "./outcome";
export * from "./questionnaire";
export * from "./reference";
export * from "./search";
export * from "./validation";
export * from "./values";
