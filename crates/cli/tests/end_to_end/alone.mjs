// A hospital that names no authority in PID-3, with the lines that docs/workflows.md has for it.
import { freeAddress, workflow } from "../workflow.mjs";

await workflow(import.meta.url, async (stage) => {
  const registration = await freeAddress();
  await stage.up({ PIPEHAT_LISTEN: registration });
  let count = 0;
  const told = (event, pid, more = "") => {
    count += 1;
    const time = `202601${String(count).padStart(2, "0")}081500+0100`;
    return `MSH|^~\\&|ADT|NORTH|PIPEHAT|NORTH|${time}||ADT^${event}|N${count}|P|2.3\rEVN|${event}|${time}\rPID|1||${pid}||Sample^Anna^B||19800229|F\r${more}`;
  };
  const codes = await stage.sends(
    registration, told("A28", "10001"), told("A01", "10002", "PV1|1|I|2W||||||||||||||||V1\r"), told("A08", "10001^^^^MR~10003^^^CLINIC~5^^^^AN"),
    told("A40", "10001", "MRG|10002\r"), told("A31", "10002"), told("A34", "10001^^^^PI", "MRG|10009\r"),
  );
  stage.holds(`all of it was done: ${codes}`, codes.every((code) => code === "AA"));
  const [one, ...more] = await stage.found("Patient?active=true");
  const numbers = one.identifier.map(({ system, value, use }) => [system?.replace("urn:oid:1.2.36.1.", ""), value, use].join(" ").trim()).sort();
  stage.holds(`there is one person, with the numbers ${numbers}`, more.length === 0 && numbers.join() === "1 10001,1 10002 old,1 10009 old,5,5 10003");
  stage.holds("the visit is hers", (await stage.found("Encounter"))[0].subject.reference === `Patient/${one.id}`);
  await stage.refused(registration, told("A28", "7^^^^AN"), "no number finds the patient");
});
