/** The system of control ids of messages to the laboratory: Tasks are found by them. */
export const CONTROL_ID = "urn:pipehat:control-id";
