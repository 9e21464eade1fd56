/**
 * What belongs to the run that goes on, for functions that a bot calls without it (`secret(name)`).
 *
 * `begin` sets it anew for every run and `finish` forgets it, so that nothing goes from one run to another.
 */
export declare function setSecrets(granted: Record<string, string>): void;
/** A secret that was granted to the bot; throws where it was not. */
export declare function secret(name: string): string;
