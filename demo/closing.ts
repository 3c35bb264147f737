/** What the demo says when the story is over and everything stays up: where to look, and what to try. */
import { resolve } from "node:path";
import { token_file } from "../src/main/serve.ts";
import type { Narrator } from "./narrator.ts";
import type { DemoOptions } from "./options.ts";

/** `login`: somebody to ask about. */
export type Ending = Readonly<{ url: string; login: string; options: DemoOptions; good: boolean }>;

/** Says it. */
export function closingWords(tell: Narrator, { url, login, options, good }: Ending): void {
  tell.title(good ? "The story is told. Everything stays up: look around." : "Not everything went as it should.");
  tell.say(`API and its documentation   ${url}/docs`);
  tell.say(`API token                   ${resolve(options.data, token_file)}`);
  tell.say("");
  tell.say("Try, in another terminal:");
  for (const command of ["status", "users list --limit 5", `explain ${login} Chat`, "tasks list", "log --limit 20"]) {
    tell.say(`  npx tenure ${command} --data ${options.data}`);
  }
  tell.say("");
  tell.say("Ctrl-C stops everything. The next start begins anew.");
}
