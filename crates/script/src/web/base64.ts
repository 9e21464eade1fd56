/** `atob` and `btoa`: bytes as the characters U+0000 to U+00FF, and as Base64. */

export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

export function btoa(given: unknown): string {
  const text = String(given);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 255) throw new DOMException("a character is beyond U+00FF", "InvalidCharacterError");
    bytes[at] = code;
  }
  return (bytes as any).toBase64();
}

export function atob(given: unknown): string {
  try {
    return latin1((Uint8Array as any).fromBase64(String(given)));
  } catch {
    throw new DOMException("it is not Base64", "InvalidCharacterError");
  }
}
