#!/usr/bin/env node
// Results of a laboratory: preliminary, final, corrected, cancelled, told late, with a document, with and without an order.
import { freeAddress, workflow } from "../workflow.mjs";

await workflow(import.meta.url, async (stage) => {
  const laboratory = await freeAddress();
  await stage.up({ PIPEHAT_LISTEN: laboratory });
  const send = async (...messages) => {
    const codes = await stage.sends(laboratory, ...messages);
    stage.holds(`the laboratory was told ${codes.join(", ")}`, codes.every((code) => code === "AA"));
  };
  const one = async (search) => {
    const found = await stage.found(search);
    stage.holds(`there is one ${search.split("?")[0]}`, found.length === 1);
    return found[0];
  };
  const potassium = async () => (await stage.found("Observation?code=2823-3"))[0];

  stage.says("The registration knows the patient, and a doctor ordered a panel.");
  const patient = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    active: true,
    identifier: [{ system: "urn:oid:1.2.36.1.1", value: "10001" }],
    name: [{ family: "Sample", given: ["Anna", "B"] }],
    birthDate: "1980-02-29",
    gender: "female",
    address: [{ city: "Vienna" }],
  });
  const order = await stage.fhir("ServiceRequest", "POST", {
    resourceType: "ServiceRequest",
    status: "active",
    intent: "order",
    identifier: [{ system: "urn:oid:1.2.36.1.2", value: "P100" }],
    code: { coding: [{ system: "http://loinc.org", code: "24323-8" }] },
    subject: { reference: `Patient/${patient.id}` },
  });

  stage.says("The laboratory sends a preliminary result.");
  await send(stage.message("preliminary"));
  let report = await one("DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7CF100");
  stage.holds("the report is preliminary", report.status === "preliminary");
  stage.holds("it is the patient's, and belongs to the order",
    report.subject.reference === `Patient/${patient.id}` && report.basedOn[0].reference === `ServiceRequest/${order.id}`);
  stage.holds("it has two results and a specimen", report.result.length === 2 && report.specimen.length === 1);
  const known = await one("Patient?identifier=10001");
  stage.holds("what the registration knows of the patient stands untouched", known.meta.versionId === "1");

  stage.says("It sends the final result, with a document.");
  const final = stage.message("final");
  await send(final);
  report = await one("DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7CF100");
  stage.holds("the report is final", report.status === "final" && report.result.length === 2);
  const [document] = report.presentedForm;
  const first = await stage.fhir(document.url);
  stage.holds("the document is a PDF", document.contentType === "application/pdf" && first.startsWith("%PDF") && first.includes("first edition"));
  stage.holds("the order is completed, and known by the laboratory's number",
    (await one("ServiceRequest?identifier=F100")).status === "completed");

  stage.says("It corrects the potassium and the document, and nothing else.");
  await send(stage.message("corrected"));
  report = await one("DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7CF100");
  const corrected = await potassium();
  stage.holds("the report is corrected, with the glucose of before", report.status === "corrected" && report.result.length === 2);
  stage.holds("the potassium is 4.1, corrected, in the place of the wrong one",
    corrected.valueQuantity.value === 4.1 && corrected.status === "corrected" && corrected.meta.versionId === "3");
  stage.holds("the new document took the old one's place",
    report.presentedForm.length === 1 && (await stage.fhir(document.url)).includes("corrected"));

  stage.says("The older messages come once more.");
  await send(stage.message("final", { L0002: "X0002" }), stage.message("preliminary", { L0001: "X0001" }));
  const after = await one("DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7CF100");
  stage.holds("nothing changed", after.meta.versionId === report.meta.versionId
    && (await potassium()).meta.versionId === corrected.meta.versionId);

  stage.says("The preliminary one is sent anew, as if it were of the time of the correction (OBR-22), in a newer message (MSH-7).");
  await send(stage.message("preliminary", { L0001: "X0003", 20260105101000: "20260106081000", 20260105101500: "20260108081500" }));
  stage.holds("what is corrected stays so", (await one("DiagnosticReport?identifier=F100")).status === "corrected"
    && (await potassium()).status === "corrected");

  stage.says("A test is cancelled (OBR-25 and OBX-11 X).");
  await send(stage.message("cancelled"));
  const cancelled = await one("DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7CF101");
  stage.holds("the report says so", cancelled.status === "cancelled");
  stage.holds("and its result", (await one("Observation?code=718-7")).status === "cancelled");

  stage.says("The laboratory tries something out (MSH-11 T).");
  await send(stage.message("corrected", { L0003: "L0020", "|P|2.5.1": "|T|2.5.1", "|4.1|": "|1.4|", 2026010608: "2026010808" }));
  stage.holds("nothing of it stands", (await potassium()).valueQuantity.value === 4.1);

  stage.says("A result is told, and then the whole test cancelled: without a word of the result, or with the result once more.");
  const cancelling = [
    ["2951-2", (message) => message.replace(/OBX.*\r/, "")],
    ["17861-6", (message) => message.replace("||||||||X|", "||13|g/dL|||||")],
    ["2075-0", (message) => message.replace("||||||||X|", "||13|g/dL||||F|")],
  ];
  for (const [at, [code, made]] of cancelling.entries()) {
    const number = `F15${at}`;
    await send(stage.message("unknown-patient", { L0005: `L015${at}`, F102: number, 30001: "10001", "Newcomer^Nora": "Sample", "718-7": code }));
    await send(made(stage.message("cancelled", { L0004: `L016${at}`, F101: number, "718-7": code, 20260107091000: "20260108091000" })));
    stage.holds(`the result goes with its report (${code})`, (await one(`DiagnosticReport?identifier=${number}`)).status === "cancelled"
      && (await one(`Observation?code=${code}`)).status === "cancelled");
  }

  stage.says("A result comes for somebody whom the registration has not told yet.");
  await send(stage.message("unknown-patient"));
  const newcomer = await one("Patient?identifier=30001");
  stage.holds("there is a patient now, with the result", (await stage.found(`Observation?subject=Patient/${newcomer.id}`)).length === 1);

  stage.says("That result is corrected an hour later by a message that tells its times in UTC, the first having none.");
  await send(
    stage.message("unknown-patient", { L0005: "L0006", F102: "F103", "+0100": "", 20260107101000: "20260107120000" }),
    stage.message("unknown-patient", { L0005: "L0007", F102: "F103", "+0100": "+0000", 20260107101000: "20260107113000", "|13.1|": "|12.1|", "HM|F": "HM|C", "N|||F": "N|||C" }),
  );
  stage.holds("11:30 in London is later than 12:00 in Vienna",
    (await stage.found(`Observation?subject=Patient/${newcomer.id}&status=corrected`))[0]?.valueQuantity.value === 12.1);

  stage.says("Numbers of one patient come with another: a report's (later, and earlier), an order's, a specimen's and a visit's.");
  const stands = async () => JSON.stringify([
    await stage.found("DiagnosticReport?_sort=_id"), await stage.found("Observation?_sort=_id"), await stage.found("ServiceRequest"),
    await stage.found("Patient?_sort=_id"),
  ]);
  await stage.fhir("Encounter", "POST", {
    resourceType: "Encounter", status: "in-progress", class: { code: "IMP" }, subject: { reference: `Patient/${patient.id}` },
    identifier: [{ system: "urn:oid:1.2.36.1.1", value: "V0001" }],
  });
  await stage.fhir("ServiceRequest", "POST", { ...order, id: undefined, identifier: [{ system: "urn:oid:1.2.36.1.2", value: "P300" }] });
  const before = await stands();
  const other = { 10001: "30001", "||Sample": "||Newcomer", "V0001^^^NORTH^VN": "" };
  await stage.refused(laboratory, stage.message("corrected", { ...other, L0003: "L0011", 20260106081000: "20260109081000" }), "a report with its placer or filler number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { ...other, L0001: "L0012" }), "a report with its placer or filler number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { ...other, L0001: "L0013", 30001: "40001" }), "a report with its placer or filler number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { ...other, L0001: "L0017", "24323-8": "718-7" }), "a report with its placer or filler number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { L0001: "L0018", P100: "P998" }), "a report of the same test with its filler number (OBR-3) is another order's (OBR-2)");
  await stage.refused(laboratory, stage.message("preliminary", { ...other, L0001: "L0014", F100: "F104", P100: "P300" }), "the order with its placer or filler number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { ...other, L0001: "L0015", F100: "F104", P100: "P104" }), "the specimen with its number is another patient's");
  await stage.refused(laboratory, stage.message("preliminary", { 10001: "30001", "||Sample": "||Newcomer", L0001: "L0016", F100: "F104", P100: "P104", S200: "S204" }), "the visit with its number is another patient's");
  stage.holds("nothing changed, and nothing was made", (await stands()) === before);

  stage.says("A family shares an insurance's number, and has the same made up one in PID-19: each has a report of his own.");
  const kin = (number, more = {}) => stage.message("unknown-patient", { L0005: `L${number}`, F102: `F${number}`, "30001^^^NORTH^MR": `${number}^^^NORTH^MR~F1^^^INSURER^HC`, ...more })
    .replace(/^(PID.*)$/m, (pid) => { const fields = pid.split("|"); fields[19] = "999-99-9999"; return [...fields].map((field) => field ?? "").join("|"); });
  await send(kin("50001"), kin("50002"));
  for (const number of ["50001", "50002"]) {
    const [member] = await stage.found(`Patient?identifier=urn:oid:1.2.36.1.1%7C${number}`);
    const [own] = await stage.found(`DiagnosticReport?identifier=F${number}`);
    stage.holds(`${number} has a record and a report`, own.subject.reference === `Patient/${member.id}`);
  }

  stage.says("Reports of two patients come in one message.");
  const second = stage.message("unknown-patient", { L0005: "L0031", F102: "F31", 30001: "50003" });
  const third = stage.message("unknown-patient", { F102: "F32", 30001: "50004" }).replace(/^MSH.*\r/, "");
  await send(second + third);
  for (const [number, report] of [["50003", "F31"], ["50004", "F32"]]) {
    const [member] = await stage.found(`Patient?identifier=${number}`);
    stage.holds(`${report} is ${number}'s`, (await stage.found(`DiagnosticReport?identifier=${report}`))[0].subject.reference === `Patient/${member.id}`);
  }

  stage.says("Messages that say not whose they are, or what.");
  const found = await stands();
  const about = (control, pid, changes = {}) => stage.message("unknown-patient", { L0005: control, F102: control, "30001^^^NORTH^MR": pid, ...changes });
  const nobody = "no number finds the patient";
  await stage.refused(laboratory, about("L0041", "50005"), nobody);
  await stage.refused(laboratory, about("L0042", "50005^^^UNKNOWN^MR"), nobody);
  await stage.refused(laboratory, about("L0043", "F1^^^INSURER^HC"), nobody);
  await stage.refused(laboratory, about("L0044", "").replace(/PID.*\r/, ""), "there is no PID");
  await stage.refused(laboratory, second.replaceAll("L0031", "L0045").replaceAll("F31", "F45") + third.replace("50004^^^NORTH^MR", "50006").replaceAll("F32", "F46"), nobody);
  await stage.refused(laboratory, second.replaceAll("L0031", "L0046").replaceAll("F31", "F47") + third.replaceAll("F32", "F47"), "two patients of the message have the same number");
  await stage.refused(laboratory, about("L0047", "10001^^^NORTH^MR").replace(/^PID.*$/m, "PID|1||10001^^^NORTH^MR||Else^Otto||19510101|M"), "another name, birth date and sex");
  stage.holds("nothing changed, and nothing was made", (await stands()) === found);

  stage.says("Another host of the laboratory (MSH-3) corrects a result of the first.");
  const number = (host, control, changes) => stage.message("unknown-patient", { "|LAB|": `|${host}|`, L0005: control, F102: "F60", ...changes });
  await send(number("LAB", "L0051", {}), number("LAB2", "L0052", { 20260107101000: "20260107121000", "|13.1|": "|11.1|", "HM|F": "HM|C", "N|||F": "N|||C" }));
  const [report60, ...others60] = await stage.found("DiagnosticReport?identifier=F60");
  stage.holds("there is one report, and it is corrected", others60.length === 0 && report60.status === "corrected");
  await stage.refused(laboratory, number("LAB2", "L0053", { "^LAB": "" }), "a report has no number of a known authority");

  stage.says("A laboratory tells no times of its results (OBR-22): final, the preliminary one anew, corrected, the final one anew.");
  const timeless = (control, made, status, value) => about(control, "50008^^^NORTH^MR", { [control]: "F70" })
    .replace("|F70|P|2.5.1", `|${control}|P|2.5.1`).replace("20260107101500", made).replace("20260107101000+0100", "")
    .replace("HM|F", `HM|${status}`).replace("N|||F", `N|||${status}`).replace("|13.1|", `|${value}|`);
  const at = async (number = "F70") => {
    const [report] = await stage.found(`DiagnosticReport?identifier=${number}`);
    const result = await stage.fhir(report.result[0].reference);
    return `${report.status} ${result.status} ${result.valueQuantity.value}`;
  };
  await send(timeless("L0071", "20260107120000", "F", "6.9"), timeless("L0072", "20260107130000", "P", "5.1"));
  stage.holds("what is final stays so", await at() === "final final 6.9");
  await send(timeless("L0073", "20260107123000", "C", "6.1"), timeless("L0074", "20260107140000", "F", "6.9"));
  stage.holds("and so does what is corrected", await at() === "corrected corrected 6.1");

  stage.says("A laboratory releases a correction in the future (OBR-22), and corrects it.");
  const inAYear = new Date(Date.now() + 365 * 86_400_000).toISOString().slice(0, 10).replace(/-/g, "");
  const ahead = (control, made, released, value) => timeless(control, made, "C", value).replace(/F70/g, "F71").replace("50008^", "50018^")
    .replace("||HM|C", `${released}||HM|C`);
  await send(ahead("L0171", "20260107120000", `${inAYear}101000+0100`, "6.9"), ahead("L0172", "20260107130000", "20260107130000+0100", "6.1"));
  stage.holds("the newer correction counts", (await at("F71")) === "corrected corrected 6.1");

  stage.says("A final result is told again without a value, a message as preliminary, and without any status, all of them later.");
  const later = (control, made, status, changes = {}) =>
    about(control, "50009^^^NORTH^MR", { [control]: "F75", 20260107101000: made, "HM|F": `HM|${status}`, "N|||F": `N|||${status}`, ...changes })
      .replace("|F75|P|2.5.1", `|${control}|P|2.5.1`);
  const shown = async (number) => {
    const [report] = await stage.found(`DiagnosticReport?identifier=${number}`);
    const results = await Promise.all(report.result.map(({ reference }) => stage.fhir(reference)));
    return `${report.status}: ${results.map((result) => `${result.status} ${result.valueQuantity?.value}`).sort().join(", ")}`;
  };
  await send(later("L0075", "20260107120000", "F"), later("L0076", "20260107130000", "I", { "|13.1|": "||" }),
    later("L0077", "20260107140000", "P", { "|13.1|": "|5.1|" }));
  await stage.refused(laboratory, later("L0078", "20260107150000", "", { "|13.1|": "|5.1|" }), "neither OBX-11 nor OBR-25 says of a result");
  stage.holds("only a correction changes what is final", await shown("F75") === "final: final 13.1");

  stage.says("The wrong value is taken back and the right one told, under one code; and then all of it by the order alone (ORC-1 OC).");
  const right = "OBX|2|NM|718-7^Hemoglobin^LN||12.2|g/dL^g/dL^UCUM|12-16|N|||C\r";
  await send(later("L0079", "20260107160000", "C").replace("N|||C", "N|||W") + right);
  stage.holds("the wrong one stands no more", await shown("F75") === "corrected: corrected 12.2, entered-in-error 13.1");
  await send(later("L0106", "20260107163000", "C", { "|13.1|": "|12.3|" }));
  stage.holds("one that comes alone is the right one", await shown("F75") === "corrected: corrected 12.3, entered-in-error 13.1");
  await send(later("L0080", "20260107170000", "").replace("ORC|RE", "ORC|OC").replace(/OBX.*\r/, ""));
  stage.holds("it is cancelled with its results", (await shown("F75")).startsWith("cancelled: cancelled 12.3"));

  stage.says("A preliminary result comes first, of a later time (OBR-22) than the final one and its correction.");
  const of76 = (control, made, status, value) => later(control, made, status, { "|13.1|": `|${value}|` }).replaceAll("F75", "F76");
  await send(of76("L0101", "20260107123000", "P", "13.1"), of76("L0102", "20260107110000", "F", "12.9"));
  stage.holds("the final one stands", await shown("F76") === "final: final 12.9");
  await send(of76("L0103", "20260107113000", "C", "12.8"), of76("L0104", "20260107130000", "P", "13.2"));
  stage.holds("and then its correction", await shown("F76") === "corrected: corrected 12.8");

  stage.says("Statements about one result come in all orders, and once more each: there is one outcome.");
  const orders = (all) => all.length < 2 ? [all] : all.flatMap((one, at) => orders(all.toSpliced(at, 1)).map((rest) => [one, ...rest]));
  let reports = 0;
  /** `told`: OBR-22 (or `made`: MSH-7 alone), the status of the report, the status of the result (or none of it), its value. */
  const comeTo = async (outcome, ...statements) => {
    const seen = new Set();
    for (const order of orders(statements)) {
      const number = `G${reports += 1}`;
      const messages = (round) => order.map(({ told = "", made = told, report, result, value = "", several = [value] }, at) =>
        about(`${number}.${round}${at}`, "50010^^^NORTH^MR", { 20260107101500: `20260107${made}00` })
          .replaceAll(`||${number}.${round}${at}^`, `||${number}^`).replace("20260107101000+0100", told && `20260107${told}00+0100`)
          .replace("HM|F", `HM|${report}`).replace(/OBX.*\r/, (line) =>
            several.map((value) => result === undefined ? "" : line.replace("|13.1|", `|${value}|`).replace("N|||F", `N|||${result}`)).join("")));
      for (const round of [1, 2]) {
        const codes = await stage.sends(laboratory, ...messages(round));
        seen.add(codes.every((code) => code === "AA") ? await shown(number) : codes.join());
      }
    }
    stage.holds(`${statements.map(({ told = "without OBR-22", report, result = "none", several = [] }) => [told, `${report}/${result}`, ...several].join(" ")).join(", ")}: ${[...seen].join(" or ")}`,
      seen.size === 1 && seen.has(outcome));
  };
  const of = (told, status, value, result = status) => ({ told, report: status, result, value });
  await comeTo("cancelled: cancelled undefined", of("1100", "F", "1"), of("1200", "X"), of("1230", "P", "2"));
  await comeTo("corrected: entered-in-error 1", of("1100", "F", "1"), of("1200", "C", "1", "W"), of("1230", "P", "2"));
  await comeTo("cancelled: cancelled 1", of("1100", "F", "1"), { told: "1200", report: "X" }, of("1230", "P", "2"));
  await comeTo("final: final 2", of("1100", "F", "1"), of("1200", "X"), of("1300", "F", "2"));
  await comeTo("final: final 3", of("1200", "C", "1"), { made: "1400", report: "F", result: "F", value: "2" }, of("1300", "F", "3"));
  await comeTo("corrected: corrected 2", of("1100", "F", "1"), of("1100", "C", "2"), of("1230", "P", "3"));
  await comeTo("final: final 1", of("1100", "P", "1"), of("1200", "F", "", "U"));
  await comeTo("final: final 1", of("1100", "P", "1"), of("1200", "F"));
  await comeTo("final: final 2", of("1100", "P", "1"), of("1130", "F", "2"), of("1200", "F", "", "U"));
  await comeTo("final: final undefined", of("1100", "P", "1"), of("1200", "F", '""'));
  await comeTo("corrected: corrected undefined", of("1100", "F", "1"), of("1200", "C", "1", "W"), of("1300", "C"));
  await comeTo("final: final undefined", of("1000", "X"), of("1100", "F", "", "U"), of("1200", "P", "2"));
  await comeTo("final: final 1", of("1000", "P", "1"), of("1100", "F", "", "U"), of("1200", "P", "2"));
  await comeTo("final: cancelled 1", of("1100", "F", "1"), { told: "1200", report: "X" }, { told: "1300", report: "F" });

  stage.says("So do those of several results under one code and without OBX-4, of which one was told alone.");
  const several = (told, status, ...values) => ({ told, report: status, result: status, several: values });
  await comeTo("corrected: corrected 4.1, corrected 4.2", several("1100", "F", "6.9"), several("1200", "C", "4.1", "4.2"));
  await comeTo("final: final 4.1, final 4.2", several("1100", "P", "6.9"), several("1200", "F", "4.1", "4.2"));
  await comeTo("final: final 4.1, final 6.9", several("1100", "F", "6.9"), several("1200", "F", "4.1", "6.9"));
  await comeTo("final: final 4.1, final 4.2, final 6.9", several("1100", "F", "6.9"), several("1200", "F", "4.1", "4.2"));
  await comeTo("corrected: corrected 4.3, final 4.1, final 4.2", several("1100", "F", "4.1", "4.2"), several("1200", "C", "4.3"));
  await comeTo("corrected: corrected 3, final 2.1, final 2.2", several("1000", "P", "1"), several("1100", "F", "2.1", "2.2"), several("1200", "C", "3"));

  stage.says("Results have no status of their own (OBX-11): each counts as its report does (OBR-25).");
  const bare = (told, report, value) => ({ told, report, result: "", value });
  await comeTo("corrected: unknown 4.1", of("1100", "F", "6.9"), bare("1200", "C", "4.1"));
  await comeTo("final: unknown 4.1", of("1100", "P", "6.9"), bare("1200", "F", "4.1"));
  await comeTo("final: unknown 4.1", bare("1100", "P", "6.9"), bare("1200", "F", "4.1"));
  await comeTo("corrected: corrected 4.1", bare("1100", "C", "6.9"), of("1200", "C", "4.1"));
  await comeTo("corrected: corrected 6.9", of("1200", "C", "6.9"), bare("1100", "C", "4.1"));
  await comeTo("final: final 6.9", of("1100", "F", "6.9"), bare("1200", "P", "4.1"));
  await comeTo("final: final 4.1", bare("1100", "P", "4.1"), of("1200", "F", "", "U"));
  await comeTo("final: unknown undefined", of("1100", "P", "1"), bare("1200", "F", '""'));
  await comeTo("cancelled: cancelled 4.1", bare("1100", "F", "4.1"), { told: "1200", report: "X" });
  await comeTo("corrected: unknown 4.1", of("1100", "F", "6.9"), bare("1200", "C", "4.1"), of("1230", "P", "5"));

  stage.says("A corrected document and one of several results have none, either.");
  const silent = stage.message("corrected", { F100: "F161", P100: "P161", S200: "S161", L0003: "L0161" })
    .replace(/OBX\|2.*\r/, "OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|||||C\rOBX|2|NM|2345-7^Glucose^LN||95|mg/dL||||||\r")
    .replace(/OBX\|3.*\r/, (obx) => obx.replace(/\|C(\|*)\r/, "|$1\r"));
  await send(stage.message("final", { F100: "F161", P100: "P161", S200: "S161", L0002: "L0160" }), silent);
  const [partly] = await stage.found("DiagnosticReport?identifier=F161");
  const its = await Promise.all(partly.result.map(({ reference }) => stage.fhir(reference)));
  stage.holds("the newest of each stands", its.map(({ status, valueQuantity }) => `${status} ${valueQuantity.value}`).sort().join() === "corrected 4.1,unknown 95"
    && partly.presentedForm.length === 1 && (await stage.fhir(partly.presentedForm[0].url)).includes("corrected"));
  const logged = await stage.api("bots/runs?bot=results&limit=1");
  stage.holds("and the run's log says it", JSON.stringify((await stage.api(`bots/runs/${logged.runs[0].run}`)).log).includes("told.statusless"));

  stage.says("A status is no code that anybody knows.");
  for (const [at, status] of ["CORR", "c", "f", "Z"].entries()) {
    await stage.refused(laboratory, about(`L017${at}`, "50012^^^NORTH^MR").replace("N|||F", `N|||${status}`), "OBX-11 is no code of HL7 table 0085");
  }
  await stage.refused(laboratory, about("L0175", "50012^^^NORTH^MR").replace("HM|F", "HM|CORR"), "OBR-25 is no code of HL7 table 0123");

  stage.says("ORC and OBR name different orders.");
  const twice = (control, field) => about(control, "50012^^^NORTH^MR").replace(/ORC.*\r/, field === 2 ? "ORC|RE|P998^CPOE|\r" : "ORC|RE||F998^LAB\r");
  await stage.refused(laboratory, twice("L0181", 3), "ORC-3 and OBR-3 are different numbers");
  await stage.refused(laboratory, twice("L0182", 2).replace("OBR|1|", "OBR|1|P999^CPOE"), "ORC-2 and OBR-2 are different numbers");
  stage.holds("nothing was made", (await stage.found("DiagnosticReport?identifier=L0181,L0182,F998,P998,P999")).length === 0);

  stage.says("A document is taken back (OBX-11 W); the message that told it comes late.");
  const numbers = { F100: "F131", P100: "P131", S200: "S131" };
  const gone = stage.message("corrected", { ...numbers, L0003: "L0131" }).replace(/OBX\|3.*\r/, "OBX|3|ED|11502-2^Laboratory report^LN||||||||W\r");
  await send(stage.message("final", { ...numbers, L0002: "L0132" }), gone, stage.message("final", { ...numbers, L0002: "L0133" }));
  const [without] = await stage.found("DiagnosticReport?identifier=F131");
  stage.holds("it is in the report no more", without.status === "corrected" && without.presentedForm === undefined);

  stage.says("What was told as a document is corrected as a text, and the other way round, in each order.");
  const report14 = (number, made, status, obx) => stage.message("final", { ...numbers, F100: number, P100: number, S200: number, L0002: `L${number}${made}` })
    .replace(/OBR\|.*\r/, (obr) => obr.replace(/2026\d{10}\+0100\|\|CH\|F/, `20260106${made}00+0100||CH|${status}`))
    .replace(/OBX\|1.*\r/, "").replace(/OBX\|2.*\r/, "").replace(/OBX\|3.*\r/, `OBX|3|${obx}||||||${status}\r`);
  const [asDocument, asText] = ["ED|11502-2^Report^LN|1|^application^pdf^Base64^JVBERi0=", "TX|11502-2^Report^LN|1|text now"];
  const told14 = {
    F132: [["1200", "F", asDocument], ["1300", "C", asText]], F133: [["1200", "F", asText], ["1300", "C", asDocument]],
    F134: [["1300", "C", asText], ["1200", "F", asDocument]], F135: [["1300", "C", asDocument], ["1200", "F", asText]],
  };
  for (const [number, told] of Object.entries(told14)) {
    await send(...told.map((one) => report14(number, ...one)));
    const [{ result = [], presentedForm = [] }] = await stage.found(`DiagnosticReport?identifier=${number}`);
    const texts = await Promise.all(result.map(({ reference }) => stage.fhir(reference)));
    const isText = told.find(([, status]) => status === "C")[2] === asText;
    stage.holds(`${number} has the ${isText ? "text" : "document"} of 13:00 and nothing else`,
      presentedForm.length === (isText ? 0 : 1) && texts.map(({ valueString }) => valueString).join() === (isText ? "text now" : ""));
  }

  stage.says("A text and a document have one code and OBX-4: each is corrected alone, whichever comes first.");
  const [textOf, documentOf] = [(text, status) => `OBX|1|TX|11502-2^Report^LN|1|${text}||||||${status}\r`,
    (data, status) => `OBX|2|ED|11502-2^Report^LN|1|^application^pdf^Base64^${data}||||||${status}\r`];
  const report15 = (number, made, status, ...results) => stage.message("final", { ...numbers, F100: number, P100: number, S200: number, L0002: `M${number}${made}` })
    .replace(/OBR\|.*\r/, (obr) => obr.replace(/2026\d{10}\+0100\|\|CH\|F/, `20260106${made}00+0100||CH|${status}`)).replace(/OBX\|[12].*\r/g, "")
    .replace(/OBX\|3.*\r/, results.join(""));
  const pair = (number) => [report15(number, "1000", "F", textOf("one", "F"), documentOf("UERGMQ==", "F")),
    report15(number, "1100", "C", textOf("two", "C")), report15(number, "1200", "C", documentOf("UERGMg==", "C"))];
  const pairOf = async (number) => {
    const [{ result = [], presentedForm = [] }] = await stage.found(`DiagnosticReport?identifier=${number}`);
    const all = [...result.map(({ reference }) => reference), ...presentedForm.map(({ url }) => url)];
    return (await Promise.all(all.map((one) => stage.fhir(one)))).map((one) => one.valueString ?? one).join(", ");
  };
  for (const [at, order] of orders([0, 1, 2]).entries()) {
    await send(...order.map((one) => pair(`F15${at}0`)[one]));
    stage.holds(`both stand, corrected (${order.join(", ")})`, await pairOf(`F15${at}0`) === "two, PDF2");
  }
  await send(report15("F1500", "1300", "C", documentOf("UERGMw==", "C"), textOf("three", "C")));
  stage.holds("told together again, in another order, they are the same two", await pairOf("F1500") === "three, PDF3");
  await stage.refused(laboratory, report15("F1500", "1400", "C", "OBX|2|ED|11502-2^Report^LN|1|||||||W\r"), "one of them is taken back");
  await send(report15("F1500", "1500", "C", "OBX|1|TX|11502-2^Report^LN|1|||||||W\r"));
  stage.holds("a text that is taken back leaves the document", (await pairOf("F1500")).endsWith("PDF3"));

  stage.says("A laboratory's clock is a year ahead, and of two corrections one has no OBR-22.");
  const hasLogged = async (code) => {
    const { runs: [{ run }] } = await stage.api("bots/runs?bot=results&limit=1");
    return JSON.stringify((await stage.api(`bots/runs/${run}`)).log).includes(code);
  };
  const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString().replace(/\D/g, "").slice(0, 14) + "+0000";
  const glucose = (number, control, made, at, status, value) =>
    stage.message("final", { ...numbers, F100: number, P100: number, S200: number, L0002: control })
      .replace("20260105121500+0100", inDays(made)).replace("20260105121000+0100||CH|F", `${at === undefined ? "" : inDays(at)}||CH|${status}`)
      .replace(/OBX\|1.*\r/, `OBX|1|NM|2345-7^Glucose^LN||${value}||||||${status}\r`).replace(/OBX\|[23].*\r/g, "");
  const glucoseOf = async (number) => {
    const [{ result: [{ reference }] }] = await stage.found(`DiagnosticReport?identifier=${number}`);
    return (await stage.fhir(reference)).valueQuantity.value;
  };
  for (const [number, made, at] of [["F136", -2, 365], ["F137", 365, 365], ["F138", 365, undefined]]) {
    await send(glucose(number, `${number}1`, made, at, "C", "1"));
    await stage.becomes("the run's log says that it is", () => hasLogged("told.ahead"));
    await send(glucose(number, `${number}2`, 0, 0, "C", "2"));
    stage.holds("what is told next counts", (await glucoseOf(number)) === 2);
  }
  await send(glucose("F146", "F1461", -2, 365, "F", "1"), glucose("F146", "F1462", -1, -1, "C", "2"), glucose("F146", "F1463", 0, 365, "F", "1"));
  stage.holds("its repetition undoes no correction", (await glucoseOf("F146")) === 2);
  await send(glucose("F139", "F1391", -1, -3, "C", "1"), glucose("F139", "F1392", -2, undefined, "C", "2"));
  await stage.becomes("the run's log says that MSH-7 says otherwise", () => hasLogged("told.undated"));

  stage.says("Two tests of one order come, the second preliminary first.");
  const panelOrder = await stage.fhir("ServiceRequest", "POST", {
    resourceType: "ServiceRequest", status: "active", intent: "order", subject: { reference: `Patient/${patient.id}` },
    identifier: [{ system: "urn:oid:1.2.36.1.2", value: "P140" }], code: { coding: [{ system: "http://loinc.org", code: "24323-8" }] },
  });
  const test = (control, made, status) => stage.message("final", { L0002: control, P100: "P140", F100: "F140", S200: "S140" })
    .replace(/SPM.*\r/, `OBR|2|P140^CPOE|F141^LAB|718-7^Hemoglobin^LN|||20260105090000+0100|||||||||||||||${made}||HM|${status}\rOBX|1|NM|718-7^Hemoglobin^LN||13.1|||||||${status}\r`);
  await send(test("L0141", "20260105121000+0100", "P"));
  stage.holds("the order waits for it", (await stage.fhir(`ServiceRequest/${panelOrder.id}`)).status === "active");
  await send(test("L0142", "20260105131000+0100", "F"));
  const complete = await stage.fhir(`ServiceRequest/${panelOrder.id}`);
  stage.holds("and is completed, known by both of the laboratory's numbers", complete.status === "completed"
    && ["F140", "F141"].every((number) => complete.identifier.some(({ value }) => value === number)));

  const asked = (number, system, code) => stage.fhir("ServiceRequest", "POST", {
    resourceType: "ServiceRequest", status: "active", intent: "order", subject: { reference: `Patient/${patient.id}` },
    identifier: [{ system: "urn:oid:1.2.36.1.2", value: number }], code: { coding: [{ system, code }] },
  });
  const statuses = async (...orders) => (await Promise.all(orders.map(({ id }) => stage.fhir(`ServiceRequest/${id}`)))).map(({ status }) => status).join();
  const basis = async (number, code) => (await one(`DiagnosticReport?identifier=${number}&code=${code}`)).basedOn
    .map(({ reference, identifier }) => reference ?? identifier.value).join();
  const answer = (control, placer, filler, code, status = "F") => stage.message("final", { L0002: control, P100: placer, F100: filler, S200: `S${control}`, "24323-8": code })
    .replace(/OBX[^]*$/, `OBX|1|NM|${code}||5.4||||||${status}\r`).replace(/\|CH\|F/, `|CH|${status}`);

  stage.says("Two tests were ordered under one number, by codes of the hospital's own: the laboratory reports one of them, and a third, in LOINC.");
  const [oneOfTwo, otherOfTwo] = [await asked("P170", "urn:hospital", "GLU"), await asked("P170", "urn:hospital", "KAL")];
  await send(answer("L0170", "P170", "F170", "2345-7"), answer("L0171", "P170", "F171", "718-7"));
  stage.holds("which of them it is nobody knows: neither is completed", (await statuses(oneOfTwo, otherOfTwo)) === "active,active");
  stage.holds("the report names their number", (await basis("F170", "2345-7")) === "P170" && (await basis("F171", "718-7")) === "P170");

  stage.says("The laboratory gives one number of its own to the tests of two orders.");
  const [sugar, salt, blood] = [await asked("P172", "urn:hospital", "GLU"), await asked("P173", "urn:hospital", "KAL"), await asked("P174", "urn:hospital", "HB")];
  await send(answer("L0172", "P172", "F172", "2345-7"), answer("L0173", "P173", "F172", "2823-3", "P"));
  stage.holds("each report is its order's", (await basis("F172", "2345-7")) === `ServiceRequest/${sugar.id}`
    && (await basis("F172", "2823-3")) === `ServiceRequest/${salt.id}`);
  stage.holds("and one alone is completed", (await statuses(sugar, salt)) === "completed,active");
  await stage.fhir(`ServiceRequest/${salt.id}`, "PUT", { ...salt, identifier: [...salt.identifier, { system: "urn:oid:1.2.36.1.3", value: "F172" }] });
  await send(answer("L0174", "P174", "F172", "718-7"), answer("L0175", "P175", "F172", "2951-2"));
  stage.holds("nor does a third complete another's, or one that nobody ordered here", (await statuses(sugar, salt, blood)) === "completed,active,completed"
    && (await basis("F172", "718-7")) === `ServiceRequest/${blood.id}` && (await basis("F172", "2951-2")) === "P175");

  stage.says("A susceptibility is corrected alone: it stays its organism's (OBR-26, OBR-29).");
  const panel = (control, made, status, value) => `OBR|2||${control}S^LAB|50545-3^Susceptibility^LN|||20260107090000+0100|||||||||||||||${made}||MB|${status}|600-7&Bacteria&LN^1.1^E. coli|||^${control}&LAB\rOBX|1|ST|28-1^Ampicillin^LN||${value}||||||${status}\r`;
  const culture = about("M90", "50011^^^NORTH^MR").replace(/OBX.*\r/, "OBX|1|ST|600-7^Bacteria^LN|1.1|E. coli||||||F\r");
  await send(culture + panel("M90", "20260107110000+0100", "F", "R"),
    about("M91", "50011^^^NORTH^MR").replace(/ORC.*\r/, "").replace(/OBR[^]*$/, panel("M90", "20260107120000+0100", "C", "S")));
  const [organism] = await stage.found("Observation?code=600-7");
  const ampicillin = await one("Observation?code=28-1");
  stage.holds("it is corrected, and derived from it", ampicillin.status === "corrected" && ampicillin.valueString === "S"
    && ampicillin.derivedFrom[0].reference === `Observation/${organism.id}`);

  stage.says("Panels of two cultures have one number, and differ by OBR-29 alone: one is corrected, and a value of one deleted.");
  const ofCulture = (culture, made, status, value) => panel("M95", made, status, value).replace(/\|600-7&[^|]*\|/, "||").replace("^M95&LAB", `^${culture}&LAB`);
  const cultures = (control, ...panels) => about(control, "50013^^^NORTH^MR").replace(/ORC.*\r/, "").replace(/OBR[^]*$/, panels.join(""));
  await send(cultures("M95", ofCulture("M951", "20260107110000+0100", "F", "R"), ofCulture("M952", "20260107110000+0100", "F", "R")),
    cultures("M96", ofCulture("M951", "20260107120000+0100", "C", "S")));
  const panels = async () => {
    const results = (await stage.found("DiagnosticReport?identifier=M95S")).map(async ({ status, result }) => {
      const [own, ...others] = await Promise.all(result.map(({ reference }) => stage.fhir(reference)));
      return [status, own.status, own.valueString, ...others.map(() => "another")].join(" ");
    });
    return (await Promise.all(results)).sort().join(", ");
  };
  stage.holds("the correction reaches the one that it is of", await panels() === "corrected corrected S, final final R");
  await send(cultures("M97", ofCulture("M951", "20260107130000+0100", "C", ""), ofCulture("M952", "20260107130000+0100", "C", '""')));
  stage.holds("and so does the deletion", await panels() === "corrected corrected , corrected corrected S");
  await send(cultures("M98", `ORC|OC||M95S^LAB\r${ofCulture("M951", "20260107140000+0100", "", "").replace(/OBX.*\r/, "")}`,
    `ORC|RE||M95S^LAB\r${ofCulture("M952", "20260107140000+0100", "C", "I")}`));
  stage.holds("and so does a cancellation by its own ORC", await panels() === "cancelled cancelled S, corrected corrected I");

  stage.says("A mistyped number finds somebody altogether different, of whom the laboratory tells not all.");
  for (const [control, person] of [["L0091", "Else^Otto"], ["L0092", "Else^Otto||19510101"], ["L0093", "Else^Otto|||M"], ["L0094", "Else^Otto||19510101|U"]]) {
    await stage.refused(laboratory, about(control, "10001^^^NORTH^MR").replace(/^PID.*$/m, `PID|1||10001^^^NORTH^MR||${person}`), "another name, birth date and sex");
  }

  stage.says("Documents as laboratories write them, and one that was cut off on the way.");
  const written = "JVBERi0xLjQKJSBTeW50aGV0aWMgcmVwb3J0LCBmaXJzdCBlZGl0aW9uCg==";
  const document80 = (control, data) => stage.message("final", { L0002: control, F100: control, P100: control, S200: control, [written]: data });
  await send(document80("L0081", written.replace(/.{20}/g, "$&\\.br\\")), document80("L0082", written.replace("==", "")));
  for (const number of ["L0081", "L0082"]) {
    const [{ presentedForm }] = await stage.found(`DiagnosticReport?identifier=urn:oid:1.2.36.1.3%7C${number}`);
    stage.holds(`${number} has its document`, (await stage.fhir(presentedForm[0].url)).includes("first edition"));
  }
  await stage.refused(laboratory, document80("L0083", written.slice(0, -3)), "a document (OBX-5.5) can't be decoded");
  stage.holds("and nothing of it stands", (await stage.found("DiagnosticReport?identifier=L0083")).length === 0);

  stage.says("A result names who answers for it (OBX-16).");
  await send(about("L0101", "50010^^^NORTH^MR").replace(/(OBX.*)\r/, (_, line) => {
    const fields = [...line.split("|"), ...Array(17).fill("")].slice(0, 17);
    fields[16] = "9^Tester^Tess";
    return `${fields.join("|")}\r`;
  }));
  const [tested] = await stage.found("DiagnosticReport?identifier=L0101");
  const { performer } = await stage.fhir(tested.result[0].reference);
  const role = await stage.fhir(performer.find(({ reference }) => reference?.startsWith("PractitionerRole/")).reference);
  stage.holds("it is a practitioner, in a role", (await stage.fhir(role.practitioner.reference)).name[0].family === "Tester");

  stage.says("Results stand before their report, or behind the specimen, or come by another event.");
  const moved = (control, place) => about(control, "50011^^^NORTH^MR").replace(/((?:OBR).*\r)(OBX[^]*)$/, place);
  await stage.refused(laboratory, moved("L0111", "$2$1"), "an OBX stands before its OBR");
  await stage.refused(laboratory, moved("L0112", "$1SPM|1|^S0112&LAB||BLD\r$2"), "a report has no OBX behind its OBR");
  await stage.refused(laboratory, about("L0113", "50011^^^NORTH^MR").replace("ORU^R01^ORU_R01", "OUL^R22^OUL_R22"), "another event than ORU^R01");
  stage.holds("nothing of them stands", (await stage.found("DiagnosticReport?identifier=L0111,L0112,L0113")).length === 0);
  await send(about("L0114", "50011^^^NORTH^MR").replace("ORU^R01^ORU_R01", "ORU^R30^ORU_R30"));
  stage.holds("one from the bedside (R30) does", (await stage.found("DiagnosticReport?identifier=L0114"))[0].result.length > 0);

  stage.says("A report of a thousand lines comes.");
  const lines = [...Array(1000).keys()].map((line) => `OBX|${line + 1}|TX|T${line}^Line^L||line ${line}||||||F\r`).join("");
  await send(about("L0061", "50007^^^NORTH^MR").replace(/OBX[^]*$/, lines));
  stage.holds("all of it stands", (await stage.found("DiagnosticReport?identifier=L0061"))[0].result.length === 1000);
});
