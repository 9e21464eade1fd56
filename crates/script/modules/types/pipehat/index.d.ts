/** What bots import from `pipehat`. */
import { MedplumClient } from "../medplum/client";
export { Message, Segment, type Path } from "./message";
export { http, HttpError, log, park, secret, send, sftp, table, translate, type HttpAnswer, type HttpOptions, type Sent, type Sftp, type SftpEntry, type Table, } from "./outside";
export { state } from "./state";
export type { BotEvent, BotHandler } from "../medplum/bot";
/** The FHIR datastore of this Pipehat. */
export declare const datastore: MedplumClient;
