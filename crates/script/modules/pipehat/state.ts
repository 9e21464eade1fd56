/** Values that a channel or bot keeps from run to run. */

import { askFor } from "./asking";

/** The value under a name; `undefined` where there is none. */
export async function readState<T = unknown>(key: string): Promise<T | undefined> {
  const answer = await askFor({ ask: "stateGet", key });
  return answer.status === 404 ? undefined : (JSON.parse(answer.text) as T);
}

/** Keeps a value; anything that JSON can say. */
export async function writeState(key: string, value: unknown): Promise<void> {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) {
    throw new TypeError("state.set: this value can not be kept, for JSON has no word for it");
  }
  await askFor({ ask: "stateSet", key, value: text });
}

export async function forgetState(key: string): Promise<void> {
  await askFor({ ask: "stateSet", key });
}

/**
 * Adds to a number, and gives the sum: for counters. Nothing comes between, however many runs count at once; `get` and then
 * `set` would lose some. Where nothing is kept yet, it begins at 0.
 */
export async function addToState(key: string, by: number = 1): Promise<number> {
  if (!Number.isSafeInteger(by)) {
    throw new TypeError("state.add: it adds whole numbers");
  }
  const answer = await askFor({ ask: "stateAdd", key, by });
  return JSON.parse(answer.text) as number;
}

/** What is kept from run to run: of a channel's step per channel, of other bots per bot. */
export const state: {
  get<T = unknown>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  add(key: string, by?: number): Promise<number>;
  delete(key: string): Promise<void>;
} = { get: readState, set: writeState, add: addToState, delete: forgetState };
