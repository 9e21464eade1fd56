/** What a bot is run for, and what its handler is. */

import type { Reference } from "@medplum/fhirtypes";

import type { MedplumClient } from "./client";

/** A setting by its name: `event.secrets['KEY'].valueString`. */
export interface ProjectSetting {
  name: string;
  valueString?: string;
}

/** What a bot is run for. */
export interface BotEvent<T = unknown> {
  readonly bot: Reference;
  readonly contentType: string;
  readonly input: T;
  readonly secrets: Record<string, ProjectSetting>;
  readonly headers?: Record<string, string>;
  readonly traceId?: string;
  readonly requester?: Reference;
}

/** The handler of a bot. */
export type BotHandler<T = unknown> = (
  medplum: MedplumClient,
  event: BotEvent<T>,
) => Promise<unknown> | unknown;
