import { log } from "pipehat:host";
(globalThis as any).console = { log: (...it: unknown[]) => log("info", it.join(" ")) };
