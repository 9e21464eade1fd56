/** Appointments by their numbers: what comes late or again changes nothing that a newer message told. */
import type { Appointment, Bundle, BundleEntry, Patient } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, park, translate } from "pipehat";
import {
  byIdentifier, created, isNewer, perform, replaced, timeOf, told, token, united, untilNobodyWasQuicker, withReferenced,
} from "./feed";

/** What the event says of the appointment (HL7 v2.5.1 §10.3): it counts more than a status code of the sender's own. */
const STATUS: Record<string, Appointment["status"]> = { S15: "cancelled", S26: "noshow" };

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const message = Message.parse(event.input as string);
  const bundle: Bundle = await translate.toFhir(message);
  const entries = (bundle.entry ?? []).filter(({ resource }) => resource?.resourceType === "Appointment");
  const time = timeOf(message);
  for (const entry of bundle.entry ?? []) {
    if (entry.resource?.resourceType !== "Patient") {
      continue;
    }
    // The patient is the registration's: one is made where there is none, and none is changed.
    const identifiers = ((entry.resource as Patient).identifier ?? []).filter(({ system, value }) => system && value);
    if (identifiers.length === 0) {
      return park("the patient has no identifier of a known authority: see tables/authorities.csv");
    }
    const { id: _, ...patient } = entry.resource as Patient;
    entry.resource = patient as Patient;
    const ifNoneExist = `${byIdentifier(identifiers)}&active:not=false`;
    entry.request = { method: "POST", url: "Patient", ifNoneExist };
  }
  for (const { fullUrl, resource } of entries) {
    const news = resource as Appointment;
    const numbers = (news.identifier ?? []).filter(({ system, value }) => system && value);
    if (numbers.length === 0) {
      return park("the appointment has no number of a known authority: see tables/authorities.csv");
    }
    const status = STATUS[message.text("MSH-9.2")] ?? news.status ?? "booked";
    const next: Appointment = told({ ...news, status }, time);
    await untilNobodyWasQuicker(async () => {
      const found = await client.searchResources("Appointment", { identifier: numbers.map(token).join(",") });
      const [standing] = found;
      if (standing !== undefined && isNewer(standing, time)) {
        return true;
      }
      const { id: _, ...content } = next;
      const change: BundleEntry = standing === undefined
        ? created(fullUrl, content as Appointment, byIdentifier(numbers))
        : replaced(fullUrl, { ...standing, ...content, identifier: united(standing.identifier, next.identifier) } as Appointment, standing);
      return perform(client, withReferenced([change], bundle));
    });
  }
}
