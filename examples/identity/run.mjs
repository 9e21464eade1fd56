#!/usr/bin/env node
// Patients from two registrations: created, united, updated, merged, told twice and told late.
import { freeAddress, workflow } from "../workflow.mjs";

await workflow(import.meta.url, async (stage) => {
  const registration = await freeAddress();
  await stage.up({ PIPEHAT_LISTEN: registration });
  const send = async (...messages) => {
    const codes = await stage.sends(registration, ...messages);
    if (codes.some((code) => code !== "AA")) {
      const parked = await stage.api("messages/search", "POST", {});
      throw new Error(`answered with ${codes}: ${JSON.stringify(parked, null, 1)}`);
    }
  };
  const patients = (search) => stage.found(`Patient?${search}`);
  const north = (number) => patients(`identifier=urn:oid:1.2.36.1.1%7C${number}&active=true`);

  stage.says("The hospital admits a patient (A01).");
  await send(stage.message("admit"));
  const [created, ...others] = await patients("");
  stage.holds("there is one patient, who is called Sample", others.length === 0 && created.name[0].family === "Sample");
  const [visit] = await stage.found("Encounter?identifier=urn:oid:1.2.36.1.1%7CV0001");
  stage.holds("and a visit of hers is in progress", visit.status === "in-progress" && visit.subject.reference === `Patient/${created.id}`);

  stage.says("A clinic registers her by a number of its own and the hospital's (A04).");
  await send(stage.message("clinic"));
  const [united] = await north("10001");
  stage.holds("she is the same patient still", united.id === created.id && (await patients("")).length === 1);
  stage.holds("with both numbers", united.identifier.length === 2);
  stage.holds("the clinic's mobile number stands beside the hospital's", united.telecom.length === 2);
  stage.holds("the address that the clinic does not know is still there", united.address[0].city === "Vienna");

  const [outpatient] = await stage.found("Encounter?identifier=CV9");
  stage.holds("a time that the clinic tells without an offset is Vienna's", outpatient.period.start === "2026-01-06T08:30:00+01:00");

  stage.says("The hospital updates her name, address and room (A08).");
  await send(stage.message("update"));
  const [updated] = await north("10001");
  stage.holds("she is called Sample-Miller", updated.name[0].family === "Sample-Miller");
  stage.holds("the clinic's number and her telephones are still there", updated.identifier.length === 2 && updated.telecom.length === 2);

  stage.says("All of it is told once more, the oldest last (the same messages with control ids of their own).");
  await send(...["update", "clinic", "admit"].map((name) => stage.message(name, { "|N00": "|X00", "|C00": "|Y00" })));
  const [again] = await north("10001");
  stage.holds("nothing changed", again.meta.versionId === updated.meta.versionId);
  stage.holds("the visit neither", (await stage.found("Encounter?identifier=V0001"))[0].status === "in-progress");

  stage.says("The emergency room registers somebody under a new number (A28).");
  await send(stage.message("emergency"));
  const [second] = await north("10002");
  stage.holds("that is another patient", second.id !== created.id && (await patients("")).length === 2);

  stage.says("It was the same person: the two are merged (A40).");
  const hers = { reference: `Patient/${second.id}` };
  const known = [
    {
      resourceType: "AllergyIntolerance", patient: hers, code: { text: "Penicillin" },
      clinicalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", code: "active" }] },
    },
    { resourceType: "Immunization", patient: hers, status: "completed", vaccineCode: { text: "MMR" }, occurrenceDateTime: "2020-01-01" },
    { resourceType: "DocumentReference", subject: hers, status: "current", content: [{ attachment: { title: "Letter" } }] },
    { resourceType: "Coverage", beneficiary: hers, status: "active", payor: [{ display: "Insurance" }] },
  ];
  for (const one of known) {
    await stage.fhir(one.resourceType, "POST", one);
  }
  await send(stage.message("merge"));
  const [survivor] = await north("10001");
  const retired = await stage.fhir(`Patient/${second.id}`);
  const old = survivor.identifier.find(({ value }) => value === "10002");
  stage.holds("the retired number is the survivor's old one", survivor.id === created.id && old.use === "old");
  stage.holds("the other record's national number went along", survivor.identifier.some(({ value }) => value === "555"));
  stage.holds("the other record is not active, and leads to the survivor",
    retired.active === false && retired.link[0].type === "replaced-by" && retired.link[0].other.reference === `Patient/${survivor.id}`);
  const moved = await stage.found("Encounter?identifier=V0002");
  stage.holds("the visit to the emergency room is the survivor's", moved[0].subject.reference === `Patient/${survivor.id}`);
  for (const { resourceType } of known) {
    const [now] = await stage.found(resourceType);
    const whose = now.patient ?? now.subject ?? now.beneficiary;
    stage.holds(`so is what else was known: ${resourceType}`, whose.reference === `Patient/${survivor.id}`);
  }

  stage.says("Somebody goes on to use the retired number (A31).");
  await send(stage.message("after-merge"));
  const [current, ...more] = await north("10002");
  stage.holds("the survivor is found by it, and updated", current.id === survivor.id && more.length === 0
    && current.maritalStatus !== undefined);
  stage.holds("the number stays an old one", current.identifier.find(({ value }) => value === "10002").use === "old");

  stage.says("Her marital status turns out to be a mistake: it is taken away (A08 with PID-16 \"\").");
  await send(stage.message("correct"));
  const [corrected] = await north("10001");
  stage.holds("it is gone, and nothing else", corrected.maritalStatus === undefined && corrected.birthDate === "1980-02-29"
    && corrected.telecom.length === 2);

  stage.says("Somebody else is admitted. A message names the two as one, without a word of merging them.");
  await send(stage.message("admit", { N0001: "N0009", 10001: "30001", V0001: "V0003", Sample: "Stranger" }));
  const [refused] = await stage.sends(registration, stage.message("two-patients"));
  stage.holds("the sender is told that it was not done", refused === "AE");
  await stage.becomes("the message is set aside for a person", async () => (await stage.api("messages/search", "POST", {})).messages
    .some((message) => message.control_id === "N0008" && message.disposition === "parked"));

  stage.says("A message gives the visit of the first to the second.");
  const theirs = async () => JSON.stringify([await patients("_sort=_id"), await stage.found("Encounter?_sort=_id")]);
  const before = await theirs();
  await stage.refused(registration, stage.message("update", { N0002: "N0021", 10001: "30001", 20260107: "20260111" }),
    "the visit with its number is another patient's");

  stage.says("The merge is told the other way round.");
  await stage.refused(registration, stage.message("merge", { N0004: "N0022", "10002^": "10000^", "10001^": "10002^", 20260109: "20260111" })
    .replace("10000^", "10001^"), "the identifier that is to remain was retired before");
  stage.holds("nobody is another's for that", (await theirs()) === before);

  stage.says("The second is discharged, and the discharge taken back (A03, A13), by times without an offset.");
  const discharge = { N0001: "N0023", 10001: "30001", V0001: "V0003", Sample: "Stranger", A01: "A03", "20260105081500+0100": "20260105101500" };
  await send(stage.message("admit", discharge).replace(/\r$/, "|20260105100000\r"));
  const left = (await stage.found("Encounter?identifier=V0003"))[0];
  stage.holds("the visit ends at ten in Vienna", left.status === "finished" && left.period.end === "2026-01-05T10:00:00+01:00");
  stage.holds("and so it was told", JSON.stringify(left.extension).includes("2026-01-05T09:15:00.000Z"));
  await send(stage.message("admit", { ...discharge, N0001: "N0024", A01: "A13", "20260105081500+0100": "20260105111500" }));
  const back = (await stage.found("Encounter?identifier=V0003"))[0];
  stage.holds("it goes on, without an end", back.status === "in-progress" && back.period.end === undefined && back.period.start !== undefined);

  const visitNow = async (number = "V0003") => (await stage.found(`Encounter?identifier=${number}`))[0];
  const discharged = (control, changes = {}) => stage.message("admit", { ...discharge, N0001: control, ...changes }).replace(/\r$/, "|20260105100000\r");
  await send(
    // Anew (MSH-7), of the same event (EVN-2); of no event; and once more behind an update.
    discharged("N0025").replace("20260105101500", "20260105120000"),
    discharged("N0026").replace("20260105101500", "20260105123000").replace("EVN|A03|20260105101500", "EVN|A03"),
    stage.message("admit", { ...discharge, N0001: "N0027", A01: "A08", A03: "A08", "20260105081500+0100": "20260105130000" }),
    discharged("N0028").replace("20260105101500", "20260105131000"),
  );
  const still = await visitNow();
  stage.holds("the discharge that was taken back, told again, ends nothing", still.status === "in-progress" && still.period.end === undefined);
  await send(discharged("N0029", { "20260105081500+0100": "20260105140000" }));
  stage.holds("a new one does, at the same time", (await visitNow()).status === "finished" && (await visitNow()).period.end === back.period.start.replace("08:00", "10:00"));
  await send(stage.message("admit", { ...discharge, N0001: "N0030", A01: "A03", A03: "A01", "20260105081500+0100": "20260105150000" }));
  stage.holds("an admission of the same visit later has it go on", (await visitNow()).status === "in-progress" && (await visitNow()).period.end === undefined);

  stage.says("A discharge comes later than an update that was made after it.");
  const late = { N0001: "N0031", 10001: "30001", V0001: "V0005", Sample: "Stranger" };
  await send(
    stage.message("admit", late),
    stage.message("admit", { ...late, N0031: "N0032", N0001: "N0032", A01: "A08", "20260105081500+0100": "20260105120000" }),
    stage.message("admit", { ...late, N0001: "N0033", A01: "A03", "20260105081500+0100": "20260105110000" }).replace(/\r$/, "|20260105100000\r"),
  );
  stage.holds("the visit is over", (await visitNow("V0005")).status === "finished" && (await visitNow("V0005")).period.end === "2026-01-05T10:00:00+01:00");

  stage.says("An update comes before the message that takes that discharge back (A13), and was made after it.");
  await send(
    stage.message("admit", { ...late, N0001: "N0034", A01: "A08", "20260105081500+0100": "20260105140000" }),
    stage.message("admit", { ...late, N0001: "N0035", A01: "A13", "20260105081500+0100": "20260105130000" }),
  );
  const goesOn = await visitNow("V0005");
  stage.holds("the visit goes on, and the patient is in her place", goesOn.status === "in-progress" && goesOn.location[0].status === "active");
  await send(stage.message("admit", { ...late, N0001: "N0038", A01: "A08", "20260105081500+0100": "20260105150000" }));
  const updated5 = await visitNow("V0005");
  await send(
    stage.message("admit", { ...late, N0001: "N0036" }),
    stage.message("admit", { ...late, N0001: "N0037", A01: "A03", "20260105081500+0100": "20260105110000" }).replace(/\r$/, "|20260105100000\r"),
  );
  stage.holds("what is told again, late, makes no version of it", (await visitNow("V0005")).meta.versionId === updated5.meta.versionId);

  stage.says("The merge is told again, and a merge of two who are not known.");
  await send(stage.message("merge", { N0004: "X0004" }), stage.message("merge-unknown"));
  const [unchanged] = await north("10001");
  stage.holds("the first changes nothing", unchanged.meta.versionId === corrected.meta.versionId);
  const [unknown] = await north("20002");
  stage.holds("the second makes one patient, with both numbers", unknown.identifier.length === 2);
  stage.holds("there are three persons and one retired record", (await patients("active=true")).length === 3 && (await patients("")).length === 4);

  stage.says("Numbers that lead to nobody: an insurance's, a made up one in PID-19, and one that tells no kind.");
  const about = (control, pid) => stage.message("correct", { N0007: control, "10001^^^NORTH^MR": pid, "Sample-Miller^Anna^B": "Kin^One" });
  const numbers = (number, name) => about(`N${number}`, `${number}^^^NORTH^MR~F1^^^INSURER^HC~F2^^^INSURER`)
    .replace("|Kin^One|", `|Kin^${name}|`).replace(/""\r$/, "|||999-99-9999\r");
  await send(numbers("50001", "Father"), numbers("50002", "Son"), about("N50003", "50003^^^NORTH"));
  const kin = await patients("name=kin");
  stage.holds("father and son are two, and a third has the kind of NORTH's numbers",
    kin.length === 3 && kin.every(({ identifier }) => identifier.filter(({ type }) => type?.coding?.[0].code === "MR").length === 1));
  const settled = await theirs();
  const nobody = "no number finds the patient";
  await stage.refused(registration, about("N50004", "50004"), nobody);
  await stage.refused(registration, about("N50005", "50005^^^UNKNOWN^MR"), nobody);
  await stage.refused(registration, about("N50006", "F1^^^INSURER^HC"), nobody);
  await stage.refused(registration, about("N50007", "999999999^^^NATIONAL^SS"), nobody);
  await stage.refused(registration, about("N50008", "").replace(/PID.*\r/, ""), "there is no PID");
  await stage.refused(registration, stage.message("merge", { N0004: "N50009", "10002^": "10001^" }), "the identifier to be retired (MRG-1) is the one that is to remain");
  const noTime = stage.message("correct", { N0007: "N50010", "20260110140000+0100": "" });
  await stage.refused(registration, noTime, "neither EVN-2 nor MSH-7 says when this was");
  await stage.refused(registration, stage.message("admit", { N0001: "N50011", 19800229: "19510101", "|F|": "|M|", "Sample^Anna^B": "Stranger^Otto", 20260105: "20260112" }),
    "the patient with this number has another name, birth date and sex");
  const telling = (control, person) => stage.message("correct", { N0007: control }).replace(/^(PID\|1\|\|[^|]*)\|.*$/m, `$1||${person}`);
  await stage.refused(registration, telling("N50012", "Stranger^Otto||19510101"), "the patient with this number has another name, birth date and sex");
  stage.holds("and nobody is changed by them", (await theirs()) === settled);

  stage.says("A name alone is corrected (A08), and corrected back.");
  await send(telling("N50013", "Braun^Eva").replaceAll("20260110140000", "20260111100000"));
  stage.holds("she is called Braun", (await north("10001"))[0].name[0].family === "Braun");
  await send(telling("N50014", "Sample-Miller^Anna^B").replaceAll("20260110140000", "20260111110000"));
  stage.holds("and Sample-Miller", (await north("10001"))[0].name[0].family === "Sample-Miller");

  stage.says("A child comes with the mother's national number; a second number of the hospital for the same person; an authority by its UUID.");
  const national = (control, number, person) =>
    about(control, `${number}^^^NORTH^MR~756.0000.0000.17^^^NATIONAL^SS`).replace(/\|Kin\^One\|.*$/m, `|${person}`).replace("Sample-Miller^Anna^B", person);
  await send(national("N51001", "51001", "Mother^Mara||19900101|F"));
  await stage.refused(registration, national("N51002", "51002", "Mother^Mia||20260101|F"), "the patient with this national number has another number of the same authority");
  await send(national("N51003", "51003", "Mother^Mara||1990|F"));
  stage.holds("mother and child are not one", (await patients("name=mother")).length === 1);
  stage.holds("and she has both of her numbers", (await north("51003"))[0].identifier.length === 3);
  await send(about("N51004", " 51004 ^^^&0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0&UUID^MR"));
  stage.holds("letters of a UUID and blanks around a number make no difference", (await patients("identifier=51004")).length === 1);

  stage.says("Visits whose numbers name no authority: the sending facility's (MSH-4), and one that nobody knows.");
  const visitOf = (control, number, facility) => stage.message("admit", { N0001: control, "V0001^^^NORTH^VN": number, "|ADT|NORTH|": `|ADT|${facility}|`, 10001: "60001", Sample: "Guest" });
  await send(visitOf("N60001", "V0060", "NORTH"));
  stage.holds("the first stands, as NORTH's", (await stage.found("Encounter?identifier=urn:oid:1.2.36.1.1%7CV0060")).length === 1);
  await stage.refused(registration, visitOf("N60002", "V0061", "ELSEWHERE"), "the visit's number is of no known authority");

  stage.says("One message merges two pairs.");
  const pair = (stays, goes) => `PID|1||${stays}^^^NORTH^MR||Pair^P\rMRG|${goes}^^^NORTH^MR\r`;
  await send(stage.message("merge", { N0004: "N60003" }).replace(/PID[^]*$/, "") + pair("70001", "70002") + pair("70003", "70004"));
  const pairs = await patients("name=pair");
  stage.holds("into two persons", pairs.length === 2 && pairs.every(({ identifier }) => identifier.length === 2));

  stage.says("Older senders merge by other events; what merges accounts or renames numbers waits for a person.");
  for (const [at, event] of ["A18", "A30", "A34", "A36", "A39"].entries()) {
    const merge = stage.message("merge", { N0004: `N6101${at}` }).replace(/PID[^]*$/, "").replaceAll("A40", event).replace(/\^ADT_A39\|/, "|");
    await send(merge + pair(`7101${at}`, `7102${at}`));
    const [one, ...more] = await patients(`identifier=7101${at},7102${at}&active:not=false`);
    stage.holds(`${event} makes one record of two numbers`, more.length === 0 && one.identifier.length === 2);
  }
  for (const [at, event] of ["A24", "A35", "A41", "A43", "A47"].entries()) {
    await stage.refused(registration, stage.message("merge", { N0004: `N6102${at}`, A40: event }), "it joins, moves, renames or links what this workflow does not");
  }

  for (const [at, event] of ["A23", "A29"].entries()) {
    await stage.refused(registration, stage.message("merge", { N0004: `N6103${at}`, A40: event }), "it deletes a visit or a person");
  }

  stage.says("A merge is told of two who are surely not one person, or of another than has the number; nothing would undo it.");
  const born = (control, number, name, birthDate, sex) => stage.message("emergency", {
    N0003: control, "10002^^^NORTH^MR~555^^^NATIONAL^NI||Sampel^Ana||1980|F": `${number}^^^NORTH^MR||${name}||${birthDate}|${sex}`,
  }).replace(/PV1.*\r/, "");
  await send(born("N64001", "64001", "Twin^Tom", "19900101", "M"), born("N64002", "64002", "Twin^Tina", "19900101", "F"),
    born("N64003", "64003", "Maiden^Mary", "19900101", "F"), born("N64004", "64004", "Wed^Mary", "19900101", "F"));
  const join = (control, stays, goes, named = "", before = (pid, mrg) => pid + mrg) => stage.message("merge", { N0004: control }).replace(/PID[^]*$/, "")
    + before(`PID|1||${stays}^^^NORTH^MR\r`, `MRG|${goes}^^^NORTH^MR||||||${named}\r`);
  await stage.refused(registration, join("N64011", "64001", "64002"), "differ in two of name, birth date and sex");
  await stage.refused(registration, join("N64012", "64003", "64004", "Other^Otto"), "has another name than the message tells of it (MRG-7)");
  await stage.refused(registration, join("N64013", "64003", "64004", "", (pid, mrg) => mrg + pid), "MRG stands before PID");
  await send(join("N64014", "64003", "64004", "Wed^Mary").replace("64003^^^NORTH^MR", "64003^^^NORTH^MR~64004^^^NORTH^MR"));
  const [mary, ...besides] = await patients("identifier=64003,64004&active:not=false");
  stage.holds("a maiden name is no other person, also where PID-3 has both numbers", besides.length === 0
    && mary.identifier.find(({ value }) => value === "64004").use === "old" && mary.identifier.find(({ value }) => value === "64003").use !== "old");

  stage.says("A visit stands before its patient (PV1 before PID).");
  const swapped = stage.message("admit", { N0001: "N64021", V0001: "V0064", 10001: "64021", Sample: "Swap" }).replace(/(PID.*\r)(PV1.*\r)/, "$2$1");
  await stage.refused(registration, swapped, "PV1 stands before PID");
  stage.holds("nobody is made of it", (await patients("identifier=64021")).length === 0);

  stage.says("An admission comes with a diagnosis and one who takes part (ROL); then its patient is merged into another.");
  const rich = stage.message("admit", { N0001: "N70001", V0001: "V0070", 10001: "61001", Sample: "Rich" }).trimEnd()
    + "\rROL|1|AD|AT^Attending^HL70443|1234^Busch^Berta^^^^^^NORTH&1.2.36.1.1&ISO|20260105080000+0100\r"
    + "DG1|1||J18.9^Pneumonia^I10||20260105080000+0100|A\r";
  await send(rich, stage.message("merge", { N0004: "N70002", "10001^": "61002^", "10002^": "61001^", "Sample-Miller": "Rich", "Sampel^Ana": "Rich^Anna" }));
  const [stay] = await stage.found("Encounter?identifier=V0070");
  const diagnosis = await stage.fhir(stay.diagnosis[0].condition.reference);
  const [remains] = await north("61002");
  stage.holds("the diagnosis is the visit's", diagnosis.code.coding[0].code === "J18.9");
  const [role] = await stage.found("PractitionerRole");
  stage.holds("the attending physician takes part",
    stay.participant.some(({ individual }) => individual.reference === `PractitionerRole/${role.id}`));
  stage.holds("all of it is the patient's who remains", [diagnosis, stay].every(({ subject }) =>
    subject.reference === `Patient/${remains.id}`));

  stage.says("A field's \"\" takes away what came from that field, and what comes from its neighbours stays.");
  const full = (control, day, fields, name = "Full^Fay~Maid^Fay^^^^^M") => {
    const pid = { 1: "1", 3: "62001^^^NORTH^MR", 5: name, ...fields };
    const line = Array.from({ length: 31 }, (_, at) => (at === 0 ? "PID" : pid[at] ?? "")).join("|");
    return stage.message("correct", { N0007: control, 20260110140000: `202602${day}140000` }).replace(/PID.*/, line.replace(/\|+$/, ""));
  };
  const nulled = async (control, day, fields, name = "") => {
    await send(full(control, day, fields, name));
    return (await north("62001"))[0];
  };
  const phones = ({ telecom }) => (telecom ?? []).map(({ value }) => value).sort().join();
  const names = ({ name }) => (name ?? []).map(({ family }) => family).sort().join();
  const urls = ({ extension }) => extension.map(({ url }) => url).filter((url) => !url.startsWith("urn:")).map((url) => url.split("-").at(-1)).sort().join();
  await send(full("N90001", "01", {
    6: "Mum^M", 7: "198002290815+0100", 8: "F", 9: "Alias^Al", 11: "1 Main^^Vienna^^1010^AUT^H~2 Work^^Linz^^4020^AUT^O", 12: "C1",
    13: "^PRN^PH^^^^111~^PRS^CP^^^^222~^NET^Internet^home@x.example", 14: "^WPN^PH^^^^333~^NET^Internet^work@x.example", 15: "de", 16: "M",
    17: "CAT", 19: "999887766", 20: "DL1^AT", 23: "Graz", 24: "Y", 26: "AT", 28: "AT", 29: "20260101",
  }) + "NK1|1|Kin^Ken|FTH\r");
  let fay = await nulled("N90002", "02", { 14: '""' });
  stage.holds('PID-14 "": the work telephone and e-mail are gone', phones(fay) === "111,222,home@x.example");
  fay = await nulled("N90003", "03", { 14: "^WPN^PH^^^^333~^NET^Internet^work@x.example" });
  stage.holds("and there again, when they are told again", phones(fay) === "111,222,333,home@x.example,work@x.example");
  fay = await nulled("N90004", "04", { 13: '""' });
  stage.holds('PID-13 "": those at home and the mobile one are gone, and the work ones are there', phones(fay) === "333,work@x.example");
  fay = await nulled("N90005", "05", { 13: "^PRN^PH^^^^444", 14: '""' });
  stage.holds('PID-14 "" beside a new PID-13: the new one is there alone', phones(fay) === "444");
  stage.holds("nothing else went", names(fay) === "Alias,Full,Maid" && fay.address.length === 3 && fay.contact.length === 1
    && fay.communication.length === 1 && fay.identifier.length === 3 && urls(fay) === "birthPlace,citizenship,mothersMaidenName,nationality,religion");
  fay = await nulled("N90006", "06", {}, "Fuller^Fay");
  stage.holds("a name that is told (PID-5) takes the place of those of PID-5, and not of the alias (PID-9)", names(fay) === "Alias,Fuller");
  fay = await nulled("N90007", "07", { 9: '""', 12: '""' });
  stage.holds('PID-9 "", PID-12 "": the alias and the county are gone', names(fay) === "Fuller" && fay.address.map(({ city }) => city).sort().join() === "Linz,Vienna");
  fay = await nulled("N90008", "08", { 6: '""', 17: '""', 26: '""', 19: '""' });
  stage.holds('PID-6, PID-17, PID-26, PID-19 "": they are gone, and their neighbours are there', urls(fay) === "birthPlace,nationality"
    && fay.identifier.map(({ value }) => value).sort().join() === "62001,DL1");
  stage.holds("a date of birth without a time is one", fay._birthDate !== undefined && (await nulled("N90009", "09", { 7: "19800229" }))._birthDate === undefined);
  fay = await nulled("N90010", "10", { 11: '""', 15: '""', 16: '""', 20: '""', 24: '""', 29: '""', 7: '""', 8: '""' });
  stage.holds('all else that is "" is gone, too', ["address", "communication", "maritalStatus", "multipleBirthBoolean", "deceasedDateTime", "birthDate", "gender"]
    .every((element) => fay[element] === undefined) && fay.identifier.length === 1 && names(fay) === "Fuller" && phones(fay) === "444");
  await send(full("N90011", "11", {}, "") + 'NK1|1|""\r');
  stage.holds('NK1-2 "": and who is to be told', (await north("62001"))[0].contact === undefined);
  await send(full("N90012", "05", { 13: '""' }, ""));
  stage.holds("a late one takes nothing away", phones((await north("62001"))[0]) === "444");

  await send(full("N90013", "13", { 3: "62003^^^NORTH^MR", 16: "S", 17: "CAT", 20: "DL9^AT" }, "Full^Fay"),
    full("N90014", "14", { 16: '""' }, "").replaceAll("ADT^A08^ADT_A01", "ADT^A40^ADT_A39").replace("EVN|A08", "EVN|A40") + "MRG|62003^^^NORTH^MR\r");
  stage.holds('what is "" in a merge the record that goes doesn\'t bring along', (await north("62003"))[0].maritalStatus === undefined
    && (await north("62003"))[0].identifier.some(({ value }) => value === "DL9"));
  stage.holds("and what only that one knew it does (PID-17)", urls((await north("62003"))[0]).includes("religion"));

  stage.says('Admission and discharge are taken back, and their times "".');
  const stayed = (control, event, day, pv1 = {}) => {
    const fields = { 1: "1", 2: "I", 3: "2W^201^A^NORTH", 19: "V0090^^^NORTH^VN", ...pv1 };
    const line = Array.from({ length: 46 }, (_, at) => (at === 0 ? "PV1" : fields[at] ?? "")).join("|").replace(/\|+$/, "");
    return stage.message("admit", { N0001: control, A01: event, "20260105081500": `202603${day}081500`, 10001: "62002", Sample: "Stay" }).replace(/PV1.*/, line);
  };
  const seen = async (...message) => {
    await send(stayed(...message));
    return (await stage.found("Encounter?identifier=V0090"))[0];
  };
  const gone = { 36: "20^Expired", 45: "20260302100000+0100" };
  await send(stayed("N91001", "A01", "01", { 7: "1^Att", 14: "7", 17: "2^Adm", 44: "20260301080000+0100" }));
  let held = await seen("N91002", "A03", "02", gone);
  stage.holds("she is discharged", held.status === "finished" && held.hospitalization.dischargeDisposition !== undefined);
  stage.holds("what the discharge didn't speak of is there: who takes part, where she came from", held.participant.length === 2 && held.hospitalization.admitSource !== undefined);
  held = await seen("N91003", "A08", "03", { 45: '""' });
  stage.holds('PV1-45 "" of an update: it is over, and when isn\'t known', held.status === "finished" && held.period.start !== undefined && held.period.end === undefined);
  held = await seen("N91004", "A08", "04", { 44: '""', 17: '""', 36: '""' });
  stage.holds('PV1-44, PV1-17, PV1-36 "": they are gone, and the attending physician is there', held.period === undefined && held.participant.length === 1
    && held.hospitalization.dischargeDisposition === undefined && held.hospitalization.admitSource !== undefined && held.status === "finished");
  for (const [at, [event, status]] of [["A13", "in-progress"], ["A11", "cancelled"], ["A01", "in-progress"]].entries()) {
    await seen(`N9101${at}`, "A03", `1${2 * at}`, gone);
    held = await seen(`N9102${at}`, event, `1${2 * at + 1}`);
    stage.holds(`${event} takes a discharge back with all that it said`, held.status === status && held.period?.end === undefined
      && held.hospitalization.dischargeDisposition === undefined && held.hospitalization.admitSource !== undefined);
  }
  held = await seen("N91031", "A08", "21", { 45: "20260320100000+0100", 44: "20260301080000+0100" });
  stage.holds("an update tells that it is over (PV1-45)", held.status === "finished" && held.location[0].status === "completed");
  held = await seen("N91032", "A08", "22", { 45: '""' });
  stage.holds('and another (PV1-45 "") that it isn\'t', held.status === "in-progress" && held.period.end === undefined && held.location[0].status === "active");
  held = await seen("N91033", "A08", "20", { 45: "20260320100000+0100" });
  stage.holds("the first, told late, changes nothing", held.status === "in-progress");

  await seen("N91041", "A02", "25", { 3: "3E^301^B^NORTH", 6: "2W^201^A^NORTH" });
  held = await seen("N91042", "A08", "26", { 3: "3E^301^B^NORTH" });
  stage.holds("a place that she left is known behind an update that doesn't tell it", held.location.map(({ status }) => status).sort().join() === "active,completed");

  stage.says("A visit goes on by other events: from outpatient to inpatient (A06) and back (A07), a transfer that is taken back (A12), on leave (A21, A22); another is not to be (A38).");
  const visit91 = async (control, event, day, pv1) => {
    await send(stayed(control, event, day, { 19: "V0091^^^NORTH^VN", ...pv1 }).replaceAll("202603", "202604"));
    return visitNow("V0091");
  };
  await visit91("N92001", "A04", "01", { 2: "O", 3: "OPD^1^^NORTH" });
  for (const [at, [event, pv1, status, code]] of [
    ["A06", { 2: "I" }, "in-progress", "IMP"], ["A07", { 2: "O" }, "in-progress", "AMB"], ["A06", { 2: "I" }, "in-progress", "IMP"],
    ["A21", {}, "onleave", "IMP"], ["A22", {}, "in-progress", "IMP"], ["A21", {}, "onleave", "IMP"], ["A52", {}, "in-progress", "IMP"],
  ].entries()) {
    const now = await visit91(`N9201${at}`, event, `${at + 10}`, pv1);
    stage.holds(`by ${event} it is ${status}, ${code}`, now.status === status && now.class.code === code);
  }
  await visit91("N92021", "A02", "21", { 3: "3E^301^B^NORTH", 6: "2W^201^A^NORTH" });
  const bedOf = async ({ location }) => JSON.stringify((await stage.fhir(location.find(({ status }) => status === "active").location.reference)).identifier[0].value);
  const there = await bedOf(await visitNow("V0091"));
  const back12 = await bedOf(await visit91("N92022", "A12", "22", { 3: "2W^201^A^NORTH" }));
  stage.holds("by A12 she is where she was", there.includes("B") && back12.includes("A"));
  const expected = await visit91("N92023", "A05", "23", { 2: "P", 19: "V0092^^^NORTH^VN" }) && await visitNow("V0092");
  await visit91("N92024", "A38", "24", { 2: "P", 19: "V0092^^^NORTH^VN" });
  stage.holds("by A38 a visit that was planned is cancelled", expected.status === "planned" && (await visitNow("V0092")).status === "cancelled");

  stage.says("What only an older message told comes behind a newer one.");
  const bare = (control, day, fields = {}) => full(control, day, { 3: "63001^^^NORTH^MR", ...fields }, "Late^Eva");
  const rest = { 9: "Alias^Al", 11: "1 Main^^Vienna^^1010^AUT^H", 13: "^PRN^PH^^^^111", 14: "^WPN^PH^^^^333", 16: "M", 17: "CAT", 24: "Y" };
  const late63 = async () => (await north("63001"))[0];
  await send(bare("N93001", "20", { 14: '""', 16: '""' }), bare("N93002", "15", { 13: "^PRS^CP^^^^222", 25: "2" }), bare("N93003", "10", rest) + "NK1|1|Kin^Ken|FTH\r");
  let eva = await late63();
  stage.holds("what stands nowhere is added: address, telephones, alias, religion, contact", eva.address?.[0].city === "Vienna" && phones(eva) === "111,222"
    && names(eva) === "Alias,Late" && urls(eva) === "religion" && eva.contact?.length === 1);
  stage.holds('what the newer one took away ("") does not come back', eva.maritalStatus === undefined);
  stage.holds("nor another form of what it told", eva.multipleBirthInteger === 2 && eva.multipleBirthBoolean === undefined);
  const hasLogged = async (code) => {
    const { runs: [{ run }] } = await stage.api("bots/runs?bot=identity&limit=1");
    return JSON.stringify((await stage.api(`bots/runs/${run}`)).log).includes(code);
  };
  await stage.becomes("the run's log says so", () => hasLogged("told.late"));
  await send(bare("N93004", "10", rest) + "NK1|1|Kin^Ken|FTH\r");
  stage.holds("told again it changes nothing", (await late63()).meta.versionId === eva.meta.versionId);
  await stage.becomes("and what it brought back is named", () => hasLogged("stays so: telecom, maritalStatus, multipleBirthBoolean\""));
  await send(bare("N93005", "18", { 11: "2 Other^^Linz^^4020^AUT^H", 13: "^PRN^PH^^^^111" }));
  stage.holds("an address that stands is not changed by a late one: nobody knows which of the two is newer", (await late63()).address.map(({ city }) => city).join() === "Vienna");
  await stage.becomes("but the run's log has it, without a value", () => hasLogged("stays so: address\""));

  stage.says("A visit's place and the doctor who referred are taken away; its admission comes late, after an update that tells of more.");
  const stay66 = (control, event, day, fields, more) => {
    const pv1 = { 1: "1", 2: "I", 19: "V0066^^^NORTH^VN", ...fields };
    const line = Array.from({ length: 48 }, (_, at) => (at === 0 ? "PV1" : pv1[at] ?? "")).join("|").replace(/\|+$/, "");
    return stage.message("admit", { N0001: control, A01: event, "20260105081500": `202601${day}081500`, 10001: "66001", Sample: "Place" }).replace(/PV1.*/, line)
      .replace(/\r$/, `${more ?? ""}\r`);
  };
  await send(
    stay66("N96001", "A08", "12", { 3: '""', 8: '""' }),
    stay66("N96002", "A08", "13", {}, "\rPV2|||||||||20260120"),
    stay66("N96003", "A01", "10", { 3: "2W^201^A^NORTH", 7: "1^Att", 8: "2^Ref", 14: "7" }),
  );
  const place66 = await visitNow("V0066");
  stage.holds("what was taken away does not come back; who attends, and where she came from, is added", place66.location === undefined
    && place66.participant?.length === 1 && place66.hospitalization?.admitSource !== undefined && place66.status === "in-progress");

  stage.says("A sender's clock is a year ahead, and an EVN-2 means the time that is planned.");
  const at = (days) => new Date(Date.now() + days * 86_400_000).toISOString().replace(/\D/g, "").slice(0, 14) + "+0000";
  const ahead = (control, made, event, family) => stage.message("correct", { N0007: control, "10001^^^NORTH": "64001^^^NORTH", "Sample-Miller^Anna^B": `${family}^Fay` })
    .replace("|20260110140000+0100|", `|${at(made)}|`).replace(/EVN.*/, `EVN|A08|${at(event)}`);
  const fay64 = async () => (await north("64001"))[0].name[0].family;
  await send(ahead("N94001", 365, 365, "Ahead"));
  await stage.becomes("the run's log says that it is", () => hasLogged("told.ahead"));
  await send(ahead("N94002", 0, 0, "Now"));
  stage.holds("what is told next counts", (await fay64()) === "Now");
  await send(ahead("N94003", 0, 400, "Planned"));
  await send(ahead("N94004", 0, 0, "Next"));
  stage.holds("and so it does behind the planned time", (await fay64()) === "Next");
  await send(ahead("N94005", -1, -1, "Before"));
  stage.holds("an older one still does not", (await fay64()) === "Next");

  stage.says("A patient whom another channel made is registered, and an admission with its diagnosis is told again.");
  await stage.fhir("Patient", "POST", { resourceType: "Patient", identifier: [{ system: "urn:oid:1.2.36.1.1", value: "65001" }], name: [{ family: "Known" }] });
  const whole = (control) => stage.message("admit", { N0001: control, V0001: "V0065", 10001: "65001", Sample: "Known" }).trimEnd()
    + "\rDG1|1||J18.9^Pneumonia^I10||20260105080000+0100|A\r";
  await send(whole("N95001"));
  const first65 = [(await north("65001"))[0], await visitNow("V0065")];
  stage.holds("the patient is active", first65[0]?.active === true);
  await send(whole("N95002"));
  const again65 = [(await north("65001"))[0], await visitNow("V0065")];
  stage.holds("told again nothing becomes another version", again65.every(({ meta }, at) => meta.versionId === first65[at].meta.versionId));

  stage.says("An admission tells an allergy and an insurance (AL1, IN1), which this workflow does not keep.");
  await send(whole("N95003") + "AL1|1|DA|PEN^Penicillin^99A\rIN1|1|P1|4711|Sample Insurance\r");
  await stage.becomes("the run's log names them, without a value", () => hasLogged("not keep: AllergyIntolerance, Coverage\""));
  stage.holds("and none is stored of her", (await stage.found(`AllergyIntolerance?patient=Patient/${first65[0].id}`)).length === 0);

  stage.says("A message tells what has no place in FHIR (a segment of the sender's own).");
  await send(stage.message("correct", { N0007: "N80001" }) + "ZPI|something of her own\r");
  const { id } = await stage.becomes("it stands among the messages", async () => (await stage.api("messages/search", "POST", {})).messages
    .find(({ control_id: control }) => control === "N80001"));
  const kept = JSON.stringify(await stage.api(`messages/${id}`));
  stage.holds("with a finding of it, without the value", kept.includes("translate.not-mapped") && kept.includes("ZPI-1") && !kept.includes("of her own"));
});
