// A document in an OBX, read and written by Node's Buffer as bots for Medplum do it.
import { Buffer as Bytes } from 'node:buffer';
import { BotEvent, Hl7Message, MedplumClient } from '@medplum/core';

const PDF = '%PDF-';

export async function handler(medplum: MedplumClient, event: BotEvent<Hl7Message>): Promise<object> {
  const text = event.input.getSegment('OBX')?.getComponent(5, 5) ?? '';
  const data: Buffer = Buffer.from(text, 'base64');
  if (data.subarray(0, PDF.length).toString('latin1') !== PDF) {
    throw new Error('that is no PDF');
  }
  const binary = await medplum.createBinary(data, 'report.pdf', 'application/pdf');
  const whole = Bytes.concat([Bytes.from([0, data.length]), data]);
  return {
    id: binary.id,
    bytes: Buffer.byteLength(text, 'base64'),
    length: whole.readUInt16BE(0),
    hex: whole.toString('hex', 2, 6),
    again: data.equals(Buffer.from(data.toString('base64url'), 'base64url')),
    plain: Buffer.isBuffer(new Uint8Array(1)),
    json: JSON.parse(JSON.stringify(data.slice(0, 2))),
  };
}
