// Appointments that come while their patients are merged, with examples/identity and examples/scheduling in one project.
import { freeAddress, workflow } from "../workflow.mjs";

const PATIENTS = Number(process.env.PIPEHAT_TEST_MERGES ?? 16);

await workflow(import.meta.url, async (stage) => {
  const [registration, scheduling] = [await freeAddress(), await freeAddress()];
  const app = await stage.serves();
  await stage.up({
    PIPEHAT_LISTEN: registration, PIPEHAT_SCHEDULING_LISTEN: scheduling, PIPEHAT_ENGAGEMENT: `${app.url}/onboarding`,
    PIPEHAT_SECRET_ENGAGEMENT: "a key that both know",
  });
  const header = (type, control) => `MSH|^~\\&|A|NORTH|PIPEHAT|NORTH|20260105080000+0100||${type}|${control}|P|2.5.1\r`;
  const pid = (number, name) => `PID|1||${number}^^^NORTH^MR||${name}^R||1970|F\r`;
  const send = async (address, message) => {
    const codes = await stage.sends(address, message);
    if (codes[0] !== "AA") {
      throw new Error(`answered with ${codes}`);
    }
  };
  const pause = (time) => new Promise((done) => setTimeout(done, time));

  stage.says("Each is merged, and gets an appointment by the number that is retired, all at the same time. Half of them are known, under both numbers.");
  const all = Array.from({ length: PATIENTS }, (_, at) => at);
  const whole = all.map(async (at) => {
    for (const which of at % 2 === 0 ? ["A", "B"] : []) {
      await send(registration, `${header("ADT^A28^ADT_A05", `P${which}${at}`)}EVN|A28|20260105080000+0100\r${pid(which + at, `Race${at}`)}`);
    }
    const merge = async () => {
      await pause((at * 7) % (at % 2 === 0 ? 90 : 12));
      await send(registration, `${header("ADT^A40^ADT_A39", `M${at}`)}EVN|A40|20260105090000+0100\r${pid(`A${at}`, `Race${at}`)}MRG|B${at}^^^NORTH^MR\r`);
    };
    const book = () => send(scheduling, `${header("SIU^S12^SIU_S12", `B${at}`)}SCH|E${at}^NORTH||||||||||^^^20990201090000+0100||||||||||||||BOOKED\r${pid(`B${at}`, `Race${at}`)}RGS|1\r`);
    await Promise.all([merge(), book()]);
  });
  await Promise.all(whole);

  const patients = await stage.found(`Patient?_count=500`);
  const retired = patients.filter(({ active }) => active === false);
  stage.holds("each is one person", patients.length - retired.length === PATIENTS);
  const heard = () => app.received.map(({ body }) => JSON.parse(body));
  // What is told of an appointment is told in its order: behind the cancellation nothing of before comes any more.
  for (const at of all) {
    await send(scheduling, `${header("SIU^S15^SIU_S12", `C${at}`).replaceAll("20260105", "20260106")}SCH|E${at}^NORTH||||||||||^^^20990201090000+0100||||||||||||||CANCELLED\r${pid(`A${at}`, `Race${at}`)}RGS|1\r`);
  }
  const toldOf = (what) => heard().filter(({ category }) => category[0].coding[0].code === what).map(({ about }) => about[1].reference);
  await stage.becomes("the app hears that each is cancelled", () => new Set(toldOf("withdrawn")).size === PATIENTS);
  stage.holds("once, as it was invited once", toldOf("invited").length === PATIENTS && heard().length === 2 * PATIENTS);
  const gone = new Set(retired.map(({ id }) => `Patient/${id}`));
  for (const [type, each] of [["Appointment", 1], ["Task", 1], ["Communication", 2]]) {
    const found = await stage.found(`${type}?_count=500`);
    const left = found.filter((one) => [...gone].some((reference) => JSON.stringify(one).includes(`"${reference}"`)));
    stage.holds(`${each} of ${type} for each, and the survivor's: ${found.length}, ${left.length} left behind`, found.length === each * PATIENTS && left.length === 0);
  }
});
