/** Names of code systems and content types, and codes in concepts. */

import type { CodeableConcept, Coding } from "@medplum/fhirtypes";

export const HTTP_HL7_ORG = "http://hl7.org";
export const HTTP_TERMINOLOGY_HL7_ORG = "http://terminology.hl7.org";
export const UCUM = "http://unitsofmeasure.org";
export const LOINC = "http://loinc.org";
export const SNOMED = "http://snomed.info/sct";
export const RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm";
export const CPT = "http://www.ama-assn.org/go/cpt";
export const ICD10 = "http://hl7.org/fhir/sid/icd-10";
export const NDC = "http://hl7.org/fhir/sid/ndc";

export const ContentType = {
  CDA_XML: "application/cda+xml",
  CSS: "text/css",
  DICOM: "application/dicom",
  FAVICON: "image/vnd.microsoft.icon",
  FHIR_JSON: "application/fhir+json",
  FORM_URL_ENCODED: "application/x-www-form-urlencoded",
  HL7_V2: "x-application/hl7-v2+er7",
  HTML: "text/html",
  JAVASCRIPT: "text/javascript",
  JSON: "application/json",
  JSON_PATCH: "application/json-patch+json",
  JWT: "application/jwt",
  MULTIPART_FORM_DATA: "multipart/form-data",
  OCTET_STREAM: "application/octet-stream",
  PING: "x-application/ping",
  PNG: "image/png",
  SCIM_JSON: "application/scim+json",
  SVG: "image/svg+xml",
  TEXT: "text/plain",
  TYPESCRIPT: "text/typescript",
  XML: "text/xml",
} as const;
export type ContentType = (typeof ContentType)[keyof typeof ContentType];

/** The code that a concept has in a system. */
export function getCodeBySystem(concept: CodeableConcept, system: string): string | undefined {
  return concept.coding?.find((coding) => coding.system === system)?.code;
}

/** The code in a system of the first concept that has one. */
export function findCodeBySystem(
  concepts: CodeableConcept[] | undefined,
  system: string,
): string | undefined {
  return concepts?.flatMap((concept) => concept.coding ?? []).find((coding) => coding.system === system)
    ?.code;
}

/** Gives a concept its code in a system. */
export function setCodeBySystem(concept: CodeableConcept, system: string, code: string): void {
  const codings: Coding[] = (concept.coding ??= []);
  const existing = codings.find((coding) => coding.system === system);
  if (existing) {
    existing.code = code;
  } else {
    codings.push({ system, code });
  }
}

/** The first resource whose `code` has this code in this system. */
export function findResourceByCode<T extends { code?: CodeableConcept }>(
  resources: T[],
  code: CodeableConcept | string,
  system: string,
): T | undefined {
  const wanted = typeof code === "string" ? code : getCodeBySystem(code, system);
  return resources.find((resource) => getCodeBySystem(resource.code ?? {}, system) === wanted);
}

export function isCoding(value: unknown): value is Coding & { code: string } {
  return typeof (value as Coding | undefined | null)?.code === "string";
}

export function isCodeableConcept(value: unknown): value is CodeableConcept & { coding: Coding[] } {
  const codings = (value as CodeableConcept | undefined | null)?.coding;
  return Array.isArray(codings) && codings.every(isCoding);
}
