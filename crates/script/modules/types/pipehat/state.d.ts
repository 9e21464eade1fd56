/** Values that a channel or bot keeps from run to run. */
/** The value under a name; `undefined` where there is none. */
export declare function readState<T = unknown>(key: string): Promise<T | undefined>;
/** Keeps a value; anything that JSON can say. */
export declare function writeState(key: string, value: unknown): Promise<void>;
export declare function forgetState(key: string): Promise<void>;
/**
 * Adds to a number, and gives the sum: for counters. Nothing comes between, however many runs count at once; `get` and then
 * `set` would lose some. Where nothing is kept yet, it begins at 0.
 */
export declare function addToState(key: string, by?: number): Promise<number>;
/** What is kept from run to run: of a channel's step per channel, of other bots per bot. */
export declare const state: {
    get<T = unknown>(key: string): Promise<T | undefined>;
    set(key: string, value: unknown): Promise<void>;
    add(key: string, by?: number): Promise<number>;
    delete(key: string): Promise<void>;
};
