import type { BotEvent, Hl7Message, MedplumClient } from '@medplum/core';
import { Message } from 'pipehat';

const genders: Record<string, string> = { '1': 'M', '2': 'F', '9': 'U', m: 'M', f: 'F' };

export function handler(_client: MedplumClient, event: BotEvent<Hl7Message>) {
  const message = Message.parse(event.input);
  message.set('MSH-5', 'RELAY');
  message.set('MSH-6', 'GENERAL');
  const gender = genders[message.get('PID-8') ?? ''];
  if (gender) message.set('PID-8', gender);
  // The patient's number, where the receiver looks for it. Messages without a PID pass as they are.
  const number = message.get('PID-3.1');
  if (number) message.set('PID-2.1', number);
  return message;
}
