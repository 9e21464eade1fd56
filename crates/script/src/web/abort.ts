/** Events, and the signals that stop what is waited for. */

import { setTimeout } from "./timers";

export class Event {
  readonly type: string;
  target: unknown = null;
  currentTarget: unknown = null;
  defaultPrevented = false;
  #stopped = false;

  constructor(type: unknown, _options?: unknown) { this.type = String(type); }

  preventDefault(): void { this.defaultPrevented = true; }
  stopPropagation(): void {}
  stopImmediatePropagation(): void { this.#stopped = true; }
  static isStopped(event: Event): boolean { return event.#stopped; }
}

interface Listener {
  type: string;
  call: any;
  once: boolean;
}

export class EventTarget {
  #listeners: Listener[] = [];

  addEventListener(type: string, call: any, options?: any): void {
    if (call === null || call === undefined) return;
    if (this.#listeners.some((it) => it.type === type && it.call === call)) return;
    const listener = { type, call, once: typeof options === "object" && Boolean(options?.once) };
    this.#listeners.push(listener);
    options?.signal?.addEventListener?.("abort", () => this.removeEventListener(type, call));
  }

  removeEventListener(type: string, call: any): void {
    this.#listeners = this.#listeners.filter((it) => it.type !== type || it.call !== call);
  }

  dispatchEvent(event: Event): boolean {
    event.target = this;
    event.currentTarget = this;
    const handler = (this as any)[`on${event.type}`];
    if (typeof handler === "function") handler.call(this, event);
    for (const listener of [...this.#listeners]) {
      if (listener.type !== event.type || Event.isStopped(event)) continue;
      if (listener.once) this.removeEventListener(listener.type, listener.call);
      if (typeof listener.call === "function") listener.call.call(this, event);
      else listener.call.handleEvent(event);
    }
    return !event.defaultPrevented;
  }
}

const stop = Symbol("abort");

export class AbortSignal extends EventTarget {
  aborted = false;
  reason: unknown = undefined;
  onabort: unknown = null;

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  [stop](reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    this.dispatchEvent(new Event("abort"));
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal();
    signal[stop](reason);
    return signal;
  }

  static timeout(milliseconds: number): AbortSignal {
    const signal = new AbortSignal();
    setTimeout(() => signal[stop](new DOMException("The operation was aborted due to timeout", "TimeoutError")), milliseconds);
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const either = new AbortSignal();
    for (const signal of signals) {
      if (signal.aborted) {
        either[stop](signal.reason);
        break;
      }
      signal.addEventListener("abort", () => either[stop](signal.reason));
    }
    return either;
  }
}

export class AbortController {
  readonly signal = new AbortSignal();
  abort(reason?: unknown): void { this.signal[stop](reason); }
}

