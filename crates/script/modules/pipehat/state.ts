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

/** What is kept from run to run: of a channel's step per channel, of other bots per bot. */
export const state: {
  get<T = unknown>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
} = { get: readState, set: writeState, delete: forgetState };
