/** Base64, hexadecimal digits, and URLs. */
type Bytes = ArrayBufferLike | ArrayBufferView;
export declare function arrayBufferToBase64(bytes: Bytes): string;
export declare function arrayBufferToHex(bytes: Bytes): string;
/** A text's UTF-8 as base64. */
export declare function encodeBase64(text: string): string;
/** The text whose UTF-8 this is. */
export declare function decodeBase64(base64: string): string;
export declare function encodeBase64Url(text: string): string;
export declare function decodeBase64Url(base64: string): string;
/** The SHA-256 of a text's UTF-8. */
export declare function encryptSHA256(text: string): Promise<ArrayBuffer>;
export declare function ensureTrailingSlash(url: string): string;
export declare function ensureNoLeadingSlash(url: string): string;
/** A path below a base; an address of its own stays as it is. */
export declare function concatUrls(base: string | URL, path: string): string;
/** What a search may be given as. */
export type QueryTypes = URLSearchParams | string[][] | Record<string, string | number | boolean | undefined> | string | undefined;
/** The query of a URL. */
export declare function getQueryString(query: QueryTypes): string;
export {};
