/** What `tenure apps add` is told of an app: its kind, its connector's form, and the token in a file. */
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { readText } from "./files.ts";
import { didYouMean, pairsOf } from "./parts.ts";

/** A kind of connector, whatever the case of its letters. @throws CliError naming those there are. */
export async function kindOf(client: Client, word: string): Promise<string> {
  const forms = await client.get<readonly Readonly<{ kind: string }>[]>("/admin/v1/connectors");
  const known = [...forms.map(({ kind }) => kind.replace("_", "-")), "bookmark"];
  const kind = word.toLowerCase().replace("_", "-");
  if (known.includes(kind)) return kind.replace("-", "_");
  const hint = didYouMean(kind, known);
  throw new CliError(
    exit_codes.usage,
    `tenure apps add: there is no kind "${word}"${hint || `: use ${known.join(", ")}`}`,
  );
}

export function configOf(kind: string, given: Given): Record<string, unknown> {
  const named: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    scim: { profile: given.text("profile") },
    scim_in: given.flag("strict") ? { strict: true } : {},
    csv: {
      file: given.text("file") ?? "people.csv",
      id_column: given.text("id-column"),
      enabled_column: given.text("enabled-column"),
      enabled_values: given.texts("enabled-value").length > 0 ? given.texts("enabled-value") : undefined,
    },
  };
  const own = Object.entries(named[kind] ?? {}).filter(([, value]) => value !== undefined);
  const file = given.text("config-file");
  const read = file === undefined ? {} : formIn(file);
  return { ...read, ...Object.fromEntries(own), ...pairsOf(given.texts("config")) };
}

/** A connector's form from a JSON file. @throws CliError naming the file and what is wrong with it. */
function formIn(file: string): Readonly<Record<string, unknown>> {
  const text = readText(file, "--config-file");
  try {
    const form: unknown = JSON.parse(text);
    if (typeof form === "object" && form !== null && !Array.isArray(form)) return form as Record<string, unknown>;
  } catch (error) {
    throw new CliError(exit_codes.usage, `${file} is no JSON: ${(error as Error).message}`);
  }
  throw new CliError(exit_codes.usage, `${file} has no JSON object: give the connector's form as { "name": value, … }`);
}

/** The token never stands on the command line, where every user of the machine could read it. */
export function tokenOf(given: Given): string | undefined {
  const file = given.text("token-file");
  return file === undefined ? undefined : readText(file, "--token-file").trim();
}
