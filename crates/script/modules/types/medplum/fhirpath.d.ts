/** FHIRPath, by the datastore's own evaluator: what a Subscription's criteria mean there they mean here. */
/** A value with the name of its FHIR type. */
export interface TypedValue {
    readonly type: string;
    readonly value: any;
}
/** A value with the type that can be seen from it; of an object of which none can, `BackboneElement`. */
export declare function toTypedValue(value: unknown): TypedValue;
/** The values that an expression gives, evaluated on a resource, an element, or several of them in a list. */
export declare function evalFhirPath(expression: string, input: unknown): unknown[];
/** The same with types, and with variables: `%name` is `variables["%name"]`, also written without `%`. */
export declare function evalFhirPathTyped(expression: string, input: TypedValue[], variables?: Record<string, TypedValue>): TypedValue[];
