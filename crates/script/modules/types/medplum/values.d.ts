/** Small things about values, lists and texts. */
export declare function isString(value: unknown): value is string;
export declare function isStringArray(values: unknown[]): values is string[];
export declare function isObject(value: unknown): value is Record<string, unknown>;
export declare function isError(value: unknown): value is Error;
/** Whether there is nothing: no value, an empty text, list or object. */
export declare function isEmpty(value: unknown): boolean;
/** Whether a text or list has something in it, or an object has members. */
export declare function isPopulated<T extends {
    length: number;
} | object>(value: T | undefined | null): value is T;
export declare function isUUID(text: string): boolean;
export declare function isLowerCase(character: string): boolean;
export declare function capitalize(word: string): string;
/**
 * Whether two values say the same. What the server writes by itself into the `meta` of resources (`versionId`,
 * `lastUpdated`, `author`) makes no difference.
 */
export declare function deepEquals(one: unknown, other: unknown, path?: string): boolean;
/** A copy of what JSON can say of a value. */
export declare function deepClone<T>(value: T): T;
/** Whether a value has all that the pattern has; each element of a pattern's list must meet one of the value's. */
export declare function deepIncludes(value: unknown, pattern: unknown): boolean;
/** The value as JSON without members that say nothing. */
export declare function stringify(value: unknown, pretty?: boolean): string;
/** Adds to a list; makes one where there is none. */
export declare function append<T>(list: T[] | undefined, value: T): T[];
export declare function arrayify<T>(value: T | T[] | undefined): T[] | undefined;
export declare function singularize<T>(value: T | T[] | undefined): T | undefined;
export declare function flatMapFilter<T, U>(list: T[] | undefined, take: (value: T, index: number) => U | U[] | undefined): U[];
export declare function trimTrailingEmptyElements<T>(list: T[] | undefined): T[] | undefined;
/** At most `most` parts; the last has the rest as it is. */
export declare function splitN(text: string, delimiter: string, most: number): string[];
/** The alternatives of a search value; `\,` is a comma within one. */
export declare function splitSearchOnComma(text: string): string[];
/** Sorts in place, by code points: the same everywhere. */
export declare function sortStringArray(list: string[]): string[];
/** Lines of whole words, where a word is not longer than a line. */
export declare function wordWrap(text: string, width: number): string[];
export declare function escapeHtml(text: string): string;
/** Does something once, when it is first asked for. */
export declare function lazy<T>(make: () => T): () => T;
export declare function sleep(milliseconds: number): Promise<void>;
/** A random UUID. */
export declare function generateId(): string;
/** 28 random bytes as hexadecimal digits. */
export declare function getRandomString(): string;
