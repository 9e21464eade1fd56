// A webhook of a device's maker, signed with a shared secret: a reading becomes an Observation.
import { BotEvent, LOINC, MedplumClient, normalizeErrorString, UCUM } from '@medplum/core';
import { Observation } from '@medplum/fhirtypes';

interface Reading {
  patient: string;
  at: string;
  pulse: number;
  signature: string;
}

async function isSigned(reading: Reading, secret: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' } as const;
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  const text = `${reading.patient}|${reading.at}|${reading.pulse}`;
  const signature = await crypto.subtle.sign('HMAC', key, encoder.encode(text));
  const hex = Array.from(new Uint8Array(signature), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex === reading.signature;
}

export async function handler(medplum: MedplumClient, event: BotEvent<Reading>): Promise<unknown> {
  const reading = event.input;
  const secret = event.secrets['KEY'].valueString as string;
  if (!(await isSigned(reading, secret))) {
    return { ok: false, why: 'the signature is wrong' };
  }
  try {
    const observation = await medplum.createResource<Observation>({
      resourceType: 'Observation',
      status: 'final',
      code: { coding: [{ system: LOINC, code: '8867-4', display: 'Heart rate' }] },
      subject: { reference: reading.patient },
      effectiveDateTime: reading.at,
      valueQuantity: { value: reading.pulse, unit: 'beats/minute', system: UCUM, code: '/min' },
    });
    return { ok: true, id: observation.id };
  } catch (error) {
    return { ok: false, why: normalizeErrorString(error) };
  }
}
