/** Asking the outside, so that what goes wrong tells the line of the bot that asked. */

import { ask, type Answer, type Request } from "pipehat:host";

/** Marks where something was asked: call it before the first `await`, for behind that the engine forgets who called. */
export function asker(): Error {
  return new Error("asked");
}

/** The same error, with the lines that led to the asking. */
export function askedBy<E>(error: E, asked: Error): E {
  if (error instanceof Error) {
    const places = (asked.stack ?? "").replace("Error: asked\n", "");
    error.stack = `${error.stack ?? ""}${places}`;
  }
  return error;
}

/** Asks, and waits for the answer. */
export async function askFor(request: Request, wanted?: "text" | "bytes"): Promise<Answer> {
  const asked = asker();
  try {
    return await ask(request, wanted);
  } catch (error) {
    throw askedBy(error, asked);
  }
}
