/** Puts `Buffer` among the globals: in the graph of a script only that names it, evaluated before its own modules. */

import { Buffer } from "./buffer";

Object.defineProperty(globalThis, "Buffer", {
  value: Buffer,
  writable: true,
  enumerable: false,
  configurable: true,
});
