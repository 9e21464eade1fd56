// What the module `pipehat` has: paths, tables, state, destinations.
import { type BotEvent, log, Message, park, secret, send, state, table } from 'pipehat';

export async function handler(_client: unknown, event: BotEvent): Promise<Message | undefined> {
  const message = Message.parse(String(event.input));
  const ward = table('wards').get(message.text('PV1-3.1'));
  if (ward === undefined) {
    park('the ward is not in the table');
    return undefined;
  }
  const count = ((await state.get<number>('count')) ?? 0) + 1;
  await state.set('count', count);
  message
    .set('PV1-3.1', ward)
    .set('ZPI(+1)-1', count)
    .set('ZPI-2', secret('KEY').length)
    .clear('PID-19');
  for (const obx of message.segments('OBX')) {
    const value = obx.number(5);
    if (value !== undefined && value > 7) {
      obx.set(8, 'H & H');
    }
  }
  log.info(`${message.repetitions('PID-3').length} identifiers, ${message.repetitions('PID-3', 1).join(' ')}`);
  const sent = await send('archive', message);
  log.debug('sent:', sent.status);
  return message;
}
