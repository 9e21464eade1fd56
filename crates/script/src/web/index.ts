/** Puts the web's globals in place, and takes away what a sandbox must not have. Evaluated before everything else. */

import { AbortController, AbortSignal, Event, EventTarget } from "./abort";
import { atob, btoa } from "./base64";
import { structuredClone } from "./clone";
import { HostDate, performance } from "./clock";
import { console } from "./console";
import { Crypto, CryptoKey, SubtleCrypto, crypto, random } from "./crypto";
import { TextDecoder, TextEncoder } from "./encoding";
import { Headers, Request, Response, fetch } from "./fetch";
import { forbidCode } from "./forbidden";
import { installLocale } from "./locale";
import { clearTimer, setInterval, setTimeout } from "./timers";
import { URL, URLSearchParams } from "./url";

const globals: Record<string, unknown> = {
  AbortController,
  AbortSignal,
  Event,
  EventTarget,
  atob,
  btoa,
  structuredClone,
  Date: HostDate,
  performance,
  console,
  Crypto,
  CryptoKey,
  SubtleCrypto,
  crypto,
  TextDecoder,
  TextEncoder,
  Headers,
  Request,
  Response,
  fetch,
  clearInterval: clearTimer,
  clearTimeout: clearTimer,
  setInterval,
  setTimeout,
  URL,
  URLSearchParams,
  // By this name packages look for the global object (HTML §10.2.1.1).
  self: globalThis,
};

forbidCode();
installLocale();
for (const name of Object.keys(globals)) {
  Object.defineProperty(globalThis, name, {
    value: globals[name],
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
Object.defineProperty(Math, "random", { value: random, writable: true, enumerable: false, configurable: true });
