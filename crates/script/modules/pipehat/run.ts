/**
 * What belongs to the run that goes on, for functions that a bot calls without it (`secret(name)`).
 *
 * `begin` sets it anew for every run and `finish` forgets it, so that nothing goes from one run to another.
 */

/** The secrets that were granted, by name. */
let secrets: Readonly<Record<string, string>> = {};

export function setSecrets(granted: Record<string, string>): void {
  secrets = granted;
}

/** A secret that was granted to the bot; throws where it was not. */
export function secret(name: string): string {
  const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  if (value === undefined) {
    throw new Error(
      `the secret ${name} is not granted to this bot: name it under \`secrets\` in its configuration`,
    );
  }
  return value;
}
