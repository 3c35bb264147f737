/** The demo's command line. Pure. */
import { parseArgs } from "node:util";
import { people_min } from "./hrFile.ts";

export type DemoOptions = Readonly<{
  /** Play the story and end. */
  headless: boolean;
  /** One JSON line per step on stdout, and nothing else there. */
  json: boolean;
  /** Stay up after the story, headless or not. */
  keep: boolean;
  port: number;
  data: string;
  people: number;
  seed: number;
}>;

export const usage = `usage: npm start -- [OPTIONS]

  Starts Meridian Instruments, an invented company, with its apps, plays the working life of its people and stays up.

  --headless     end after the story
  --json         one JSON line per step on stdout
  --keep         stay up after the story, also with --headless
  --port N       port of the API (4780; another one if it is taken)
  --data FOLDER  where the demo keeps its data (./tenure-data/demo)
  --people N     how many people, at least 200 (250)
  --seed N       which people (7)

Exit codes: 0 every step was as it should be, 1 not, 2 the command line is wrong.
`;

const defaults = { port: 4780, data: "./tenure-data/demo", people: 250, seed: 7 } as const;
const people_max = 20_000;

/** The options, or what is wrong with them, or "help". */
export function parseOptions(args: readonly string[]): DemoOptions | "help" | Readonly<{ wrong: string }> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        headless: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
        port: { type: "string" },
        data: { type: "string", default: defaults.data },
        people: { type: "string" },
        seed: { type: "string" },
      },
    });
    if (values.help) return "help";
    const { headless, json, keep, data } = values;
    return {
      ...{ headless, json, keep, data },
      port: whole("port", values.port, defaults.port, 0, 65_535),
      people: whole("people", values.people, defaults.people, people_min, people_max),
      seed: whole("seed", values.seed, defaults.seed, 0, 0xffff_ffff),
    };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

function whole(name: string, text: string | undefined, otherwise: number, min: number, max: number): number {
  if (text === undefined) return otherwise;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}
