export async function handler(client, event) { return event.input; }
