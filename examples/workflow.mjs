// Runs an example project with fresh data and simulated partners, says in plain words what happens, and ends with
// exit code 0 where all of it did, else 1. Each example's `run.mjs` is what happens there. Needs Node 20 or newer and
// nothing else; the binary is the one that PIPEHAT names, else `target/release/pipehat`, which is built where it is missing.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DEADLINE = Number(process.env.PIPEHAT_DEMO_DEADLINE ?? 30_000);
const [START, END, RETURN] = ["\x0b", "\x1c", "\r"];

/** Runs what `happens`, on the project in the folder of the script at `url`. */
export async function workflow(url, happens) {
  const project = dirname(fileURLToPath(url));
  const folder = mkdtempSync(join(tmpdir(), "pipehat-example-"));
  const stage = new Stage(project, folder);
  let failed = false;
  try {
    await happens(stage);
    await stage.proves();
  } catch (error) {
    failed = true;
    console.error(`  ✗ ${error instanceof Unmet ? error.message : error.stack}`);
    console.error(stage.printed.split("\n").slice(-8).join("\n"));
    console.error(stage.explains());
  }
  await stage.end();
  if (process.env.PIPEHAT_DEMO_KEEP === undefined) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    console.log(`What was kept: ${folder}`);
  }
  console.log(failed ? "It did not work as it should." : "All of it worked as it should.");
  process.exit(failed ? 1 : 0);
}

class Unmet extends Error {}

class Stage {
  printed = "";
  #node;
  #peers = [];
  #access;

  constructor(project, folder) {
    this.project = project;
    this.data = join(folder, "data");
    this.variables = { PIPEHAT_KEY_FILE: join(folder, "key"), PIPEHAT_DATA: this.data };
  }

  /** A heading of what happens next. */
  says(text) {
    console.log(text);
  }

  /** Something that must be so. */
  holds(text, condition) {
    if (!condition) {
      throw new Unmet(text);
    }
    console.log(`  ✓ ${text}`);
  }

  /** Something that must become so soon; gives what it became. */
  async becomes(text, condition) {
    const value = await until(text, condition);
    console.log(`  ✓ ${text}`);
    return value;
  }

  /** Starts the node, with these environment variables beside those of every example. */
  async up(variables = {}) {
    Object.assign(this.variables, variables);
    this.#node = spawn(binary(), ["up", this.project, "--data", this.data, "--http", `127.0.0.1:${await freePort()}`], {
      env: { ...process.env, ...this.variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#node.stdout, this.#node.stderr]) {
      stream.on("data", (bytes) => (this.printed += bytes));
    }
    await until("Pipehat runs", async () => {
      if (this.#node.exitCode !== null) {
        throw new Unmet(`Pipehat ended with ${this.#node.exitCode}`);
      }
      const access = join(this.data, "admin.json");
      this.#access = existsSync(access) && JSON.parse(readFileSync(access, "utf8"));
      return this.#access && (await this.api("status").catch(() => undefined));
    });
    for (const name of Object.keys(variables).filter((name) => name.endsWith("LISTEN"))) {
      await until(`${variables[name]} listens`, () => reachable(variables[name]));
    }
  }

  /** The address of the running Pipehat. */
  get url() {
    return this.#access.url;
  }

  /** Asks the admin API. */
  async api(path, method = "GET", body = undefined) {
    return (await this.#call(`/api/v1/${path}`, method, body)).content;
  }

  /** Reads, searches or changes the datastore; refusals are errors. What is no JSON (a document) is given as text. */
  async fhir(path, method = "GET", body = undefined) {
    const { status, content } = await this.#call(`/fhir/R4/${path}`, method, body);
    if (status >= 400) {
      throw new Error(`${method} ${path}: ${status} ${JSON.stringify(content)}`);
    }
    return content;
  }

  /** The resources that a search finds. */
  async found(search) {
    const bundle = await this.fhir(search);
    return (bundle.entry ?? []).map(({ resource }) => resource);
  }

  async #call(path, method, body) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.#access.token}`, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, content: isJson ? JSON.parse(text) : text };
  }

  /** A message of the example's folder `messages`, with other texts in the place of some. */
  message(name, changes = {}) {
    const lines = readFileSync(join(this.project, "messages", `${name}.hl7`), "utf8").trimEnd().split(/\r?\n/);
    return Object.entries(changes).reduce((text, [from, to]) => text.replaceAll(from, to), `${lines.join("\r")}\r`);
  }

  /** Sends messages over one connection, each when the one before was answered; gives the codes (MSA-1). */
  async sends(address, ...messages) {
    const replies = await exchange(address, messages);
    return replies.map((reply) => field(reply, "MSA", 1));
  }

  /** Sends a message that Pipehat is to refuse (AE) and set aside for a person, with this reason. */
  async refused(address, message, reason) {
    const [code] = await this.sends(address, message);
    this.holds(`the sender is told that it was not done (${code})`, code === "AE");
    await this.becomes(`the message waits for a person: ${reason}`, async () => {
      const { messages } = await this.api("messages/search", "POST", {});
      const control = field(message, "MSH", 10);
      const parked = messages.find(({ control_id: id, disposition }) => id === control && disposition === "parked");
      return parked !== undefined && JSON.stringify(await this.api(`messages/${parked.id}`)).includes(reason);
    });
  }

  /** A partner that takes messages over MLLP and acknowledges them; `answer` may say how, and when. */
  async listens(answer = () => "AA") {
    const received = [];
    const server = createServer((socket) => {
      framed(socket, async (message) => {
        received.push(message);
        const reply = await answer(message, received);
        socket.write(START + (reply.startsWith("MSH") ? reply : acknowledgment(message, reply)) + END + RETURN);
      });
      socket.on("error", () => {});
    });
    const port = await listening(server);
    this.#peers.push(server);
    return { address: `127.0.0.1:${port}`, received };
  }

  /** An application that is called over HTTP; `answer` may give a status. */
  async serves(answer = () => 200) {
    const received = [];
    const server = createHttpServer((request, response) => {
      let body = "";
      request.on("data", (bytes) => (body += bytes));
      request.on("end", () => {
        const call = { method: request.method, path: request.url, headers: request.headers, body };
        received.push(call);
        response.writeHead(answer(call, received)).end();
      });
    });
    const port = await listening(server);
    this.#peers.push(server);
    return { url: `http://127.0.0.1:${port}`, received };
  }

  /** Kills the node, and starts it again on the same data. */
  async isKilled() {
    this.#node.kill("SIGKILL");
    await new Promise((done) => this.#node.once("exit", done));
    await this.up();
  }

  /** Nothing that stands refers to what isn't there. */
  async isWhole() {
    const types = ["Patient", "Encounter", "ServiceRequest", "DiagnosticReport", "Observation", "Specimen", "Appointment", "Task", "Communication"];
    const all = (await Promise.all(types.map((type) => this.found(`${type}?_count=500`)))).flat();
    const names = (value) => typeof value !== "object" || value === null ? [] : Object.entries(value).flatMap(([name, inner]) =>
      name === "reference" && typeof inner === "string" && inner.includes("/") ? [inner] : names(inner));
    const known = new Set(all.map(({ resourceType, id }) => `${resourceType}/${id}`));
    const missing = [];
    for (const reference of new Set(all.flatMap(names))) {
      if (!known.has(reference) && (await this.#call(`/fhir/R4/${reference}`, "GET")).status !== 200) {
        missing.push(reference);
      }
    }
    this.holds(`nothing refers to what is not there${missing.length === 0 ? "" : `: ${missing}`}`, missing.length === 0);
  }

  /** Every message is accounted for. */
  async proves() {
    await this.isWhole();
    const proof = await this.api("proof");
    this.holds("every message is accounted for", proof.holds === true);
  }

  /** Why the last message was set aside, and the last run of a bot failed, where one did. */
  explains() {
    const run = (...command) => spawnSync(binary(), command, { env: { ...process.env, ...this.variables }, encoding: "utf8" }).stdout;
    const last = run("bot", "runs", "--state", "failed").match(/^\d+/)?.[0];
    const failed = last === undefined ? "" : run("bot", "show", last, "--contents").replace(/^asked:.*/ms, "");
    return run("messages", "find", "--limit", "3") + failed;
  }

  async end() {
    for (const peer of this.#peers) {
      peer.close();
      peer.closeAllConnections?.();
    }
    if (this.#node?.exitCode === null) {
      this.#node.kill("SIGTERM");
      await Promise.race([new Promise((done) => this.#node.once("exit", done)), pause(5_000)]);
      this.#node.kill("SIGKILL");
    }
  }
}

/** A field of the first segment of that name, counted as HL7 counts. */
export function field(message, segment, number) {
  const found = message.split("\r").find((line) => line.startsWith(`${segment}|`)) ?? "";
  return found.split("|")[segment === "MSH" ? number - 1 : number] ?? "";
}

let ports = 0;

/**
 * A port that is free now, and stays so while Pipehat is down: systems give none of these to outgoing connections, and
 * scripts that run side by side take different ones.
 */
export async function freePort() {
  for (;;) {
    const port = 20_000 + ((process.pid * 7 + ports++) % 12_000);
    const server = createServer();
    const isFree = await new Promise((done) => server.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)));
    if (isFree) {
      await new Promise((done) => server.close(done));
      return port;
    }
  }
}

/** An address that is free now. */
export async function freeAddress() {
  return `127.0.0.1:${await freePort()}`;
}

async function until(text, condition) {
  const begun = Date.now();
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    if (Date.now() - begun > DEADLINE) {
      throw new Unmet(`not within ${DEADLINE / 1000} s: ${text}`);
    }
    await pause(20);
  }
}

const pause = (time) => new Promise((done) => setTimeout(done, time));

const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

function opened(address) {
  const [host, port] = address.split(":");
  return new Promise((done, failed) => {
    const socket = connect(Number(port), host, () => done(socket));
    socket.once("error", failed);
  });
}

async function reachable(address) {
  return opened(address).then((socket) => socket.destroy() && true, () => false);
}

async function exchange(address, messages) {
  const socket = await opened(address);
  const replies = [];
  await new Promise((done, failed) => {
    const next = () => (replies.length < messages.length ? socket.write(START + messages[replies.length] + END + RETURN) : done());
    framed(socket, (reply) => {
      replies.push(reply);
      next();
    });
    socket.on("close", () => failed(new Error("the connection ended before the reply")));
    socket.on("error", failed);
    next();
  });
  socket.destroy();
  return replies;
}

function framed(socket, take) {
  let waiting = "";
  socket.setEncoding("utf8");
  socket.on("data", (text) => {
    const frames = (waiting + text).split(END + RETURN);
    waiting = frames.pop();
    frames.forEach((frame) => take(frame.slice(frame.indexOf(START) + 1)));
  });
}

function acknowledgment(message, code) {
  const at = (number) => field(message, "MSH", number);
  const type = `ACK^${at(9).split("^")[1]}^ACK`;
  const header = ["MSH", "^~\\&", at(5), at(6), at(3), at(4), at(7), "", type, `R${at(10)}`, "P", at(12)];
  return `${header.join("|")}\rMSA|${code}|${at(10)}\r`;
}

function binary() {
  const named = process.env.PIPEHAT;
  if (named !== undefined) {
    return named;
  }
  const root = join(dirname(fileURLToPath(import.meta.url)), "..");
  const built = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "release", "pipehat");
  if (!existsSync(built)) {
    const cargo = ["build", "--release", "--package", "pipehat-cli", "--locked"];
    const { status } = spawnSync("cargo", cargo, { cwd: root, stdio: "inherit" });
    if (status !== 0) {
      throw new Unmet("the binary can't be built: name one by PIPEHAT");
    }
  }
  return built;
}
