/** Timers. They are the run's: what is not due when the handler has ended, and what it asked is done, never is. */

import { platform } from "pipehat:host";

function timer(callback: unknown, after: unknown, given: unknown[], repeat: boolean): number {
  if (typeof callback !== "function") throw new TypeError("a timer needs a function");
  return platform.setTimer(() => callback(...given), Number(after ?? 0) || 0, repeat);
}

export function setTimeout(callback: unknown, after?: unknown, ...given: unknown[]): number {
  return timer(callback, after, given, false);
}

export function setInterval(callback: unknown, after?: unknown, ...given: unknown[]): number {
  return timer(callback, after, given, true);
}

export function clearTimer(number?: unknown): void {
  if (typeof number === "number" && number >= 0 && number <= 4_294_967_295) platform.clearTimer(number);
}
