/** An organisation's document read from a file, as `--export` wrote it or as somebody wrote it by hand. */
import { z } from "zod";
import { type Issue, wordsOf } from "../../core/formWords.ts";
import { CliError, exit_codes } from "../errors.ts";
import { readText } from "../files.ts";
import { type Kind, kinds, type Organisation } from "./organisation.ts";

const text = z.string().max(100_000);
const name = z.string().min(1).max(1_000);
const tree = z.record(z.string(), z.json());
const attributes = z.record(z.string(), tree);
const line = z.strictObject({
  expression: text,
  push: z.boolean(),
  when_empty: z.string().optional(),
  fallback: z.json().optional(),
});
const lines = z.record(z.string(), line);
const end = z.strictObject({ name, title: text, description: text });

const app = z.strictObject({
  label: name,
  name: name.nullable(),
  kind: name,
  status: name,
  mode: name.nullable(),
  body: tree,
  address: text.nullable(),
  provisioning: tree.nullable(),
  sourcing: tree.nullable(),
  attributes,
  to_app: lines,
  to_user: lines,
  groups: z.array(z.strictObject({ group: name, profile: tree })),
  people: z.array(
    z.strictObject({ login: name, scope: z.enum(["USER", "GROUP"]), external_id: name.nullable(), profile: tree }),
  ),
  pushes: z.array(
    z.strictObject({
      group: name,
      status: z.enum(["ACTIVE", "INACTIVE"]),
      target_id: name.optional(),
      target_name: name.optional(),
    }),
  ),
});

const organisation = z.strictObject({
  version: z.literal(1),
  user_types: z.array(
    z.strictObject({
      name,
      title: text,
      description: text.nullable(),
      standard: z.boolean(),
      attributes,
      base: attributes.optional(),
    }),
  ),
  link_kinds: z.array(z.strictObject({ primary: end, associated: end })),
  group_attributes: attributes,
  groups: z.array(z.strictObject({ type: name, name, app: name.nullable(), profile: tree })),
  people: z.array(
    z.strictObject({
      login: name,
      status: name,
      type: name,
      profile: tree,
      provider: z.strictObject({ type: name, name }).optional(),
    }),
  ),
  members: z.array(z.strictObject({ group: name, people: z.array(name) })),
  links: z.array(z.strictObject({ name, associated: name, primary: name })),
  rules: z.array(
    z.strictObject({ name, status: name, expression: text, groups: z.array(name), except: z.array(name) }),
  ),
  apps: z.array(app),
  lacks: z.array(z.strictObject({ kind: z.enum(kinds as readonly [Kind, ...Kind[]]), name: text, why: text })),
});

/** The document of a file. @throws CliError naming the first place that is wrong. */
export function readDocument(file: string): Organisation {
  const read = readText(file, "--from");
  let given: unknown;
  try {
    given = JSON.parse(read);
  } catch (error) {
    throw new CliError(exit_codes.usage, `--from ${file}: ${(error as Error).message}`);
  }
  const judged = organisation.safeParse(given, { error: (issue) => wordsOf(issue as Issue) });
  if (judged.success) return judged.data as Organisation;
  const [issue] = judged.error.issues;
  throw new CliError(exit_codes.usage, `--from ${file}: ${issue?.path.join(".") || "the document"}: ${issue?.message}`);
}
