/** Names of code systems and content types, and codes in concepts. */
import type { CodeableConcept, Coding } from "@medplum/fhirtypes";
export declare const HTTP_HL7_ORG = "http://hl7.org";
export declare const HTTP_TERMINOLOGY_HL7_ORG = "http://terminology.hl7.org";
export declare const UCUM = "http://unitsofmeasure.org";
export declare const LOINC = "http://loinc.org";
export declare const SNOMED = "http://snomed.info/sct";
export declare const RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm";
export declare const CPT = "http://www.ama-assn.org/go/cpt";
export declare const ICD10 = "http://hl7.org/fhir/sid/icd-10";
export declare const NDC = "http://hl7.org/fhir/sid/ndc";
export declare const ContentType: {
    readonly CDA_XML: "application/cda+xml";
    readonly CSS: "text/css";
    readonly DICOM: "application/dicom";
    readonly FAVICON: "image/vnd.microsoft.icon";
    readonly FHIR_JSON: "application/fhir+json";
    readonly FORM_URL_ENCODED: "application/x-www-form-urlencoded";
    readonly HL7_V2: "x-application/hl7-v2+er7";
    readonly HTML: "text/html";
    readonly JAVASCRIPT: "text/javascript";
    readonly JSON: "application/json";
    readonly JSON_PATCH: "application/json-patch+json";
    readonly JWT: "application/jwt";
    readonly MULTIPART_FORM_DATA: "multipart/form-data";
    readonly OCTET_STREAM: "application/octet-stream";
    readonly PING: "x-application/ping";
    readonly PNG: "image/png";
    readonly SCIM_JSON: "application/scim+json";
    readonly SVG: "image/svg+xml";
    readonly TEXT: "text/plain";
    readonly TYPESCRIPT: "text/typescript";
    readonly XML: "text/xml";
};
export type ContentType = (typeof ContentType)[keyof typeof ContentType];
/** The code that a concept has in a system. */
export declare function getCodeBySystem(concept: CodeableConcept, system: string): string | undefined;
/** The code in a system of the first concept that has one. */
export declare function findCodeBySystem(concepts: CodeableConcept[] | undefined, system: string): string | undefined;
/** Gives a concept its code in a system. */
export declare function setCodeBySystem(concept: CodeableConcept, system: string, code: string): void;
/** The first resource whose `code` has this code in this system. */
export declare function findResourceByCode<T extends {
    code?: CodeableConcept;
}>(resources: T[], code: CodeableConcept | string, system: string): T | undefined;
export declare function isCoding(value: unknown): value is Coding & {
    code: string;
};
export declare function isCodeableConcept(value: unknown): value is CodeableConcept & {
    coding: Coding[];
};
