/**
 * Second factors, as far as clients of Okta's API manage them: what a person enrolled is kept and given back.
 *
 * Law: nothing is sent to anybody, and no sign-in asks for a factor; these are records, not protection. The answer to a
 * question is kept as a hash and counts without its case and the space around it.
 */
import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { Refusal, Value } from "../core/types.ts";
import { type Database, isRefusal, json, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { lockUsers } from "./locks.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import { readSetting, setSetting } from "./settings.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";

export type Factor = Selectable<Tables["factors"]>;

/** What a person enrols. `answer`: to a question, in clear; kept as a hash. */
export type FactorInput = Readonly<{
  type: string;
  provider: string;
  profile: Readonly<Record<string, Value>>;
  answer?: string;
  /** Active at once, as a question always is; else activated by a later call. */
  active: boolean;
}>;

const place = "factorEnrollRequest";
const factors_max = 20;

/** The beginnings of ids, by type, as Okta has them. */
const prefixes: Readonly<Record<string, string>> = {
  sms: "mbl",
  call: "clf",
  email: "emf",
  question: "ufs",
  push: "opf",
  "token:software:totp": "ost",
  webauthn: "fwf",
  u2f: "fuf",
};

/** Twenty characters of which the last are random. */
const newId = (type: string) =>
  `${prefixes[type] ?? "fct"}${randomBytes(32).toString("base64url").replaceAll(/[-_]/g, "0").slice(0, 17)}`;

const plain = (answer: string) => answer.trim().toLowerCase();

/** A person's factors in order of age. */
export function listFactors(db: Database, user_id: string): Promise<readonly Factor[]> {
  return db
    .selectFrom("factors")
    .selectAll()
    .where("user_id", "=", user_id)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

/** One factor of a person. */
export function getFactor(db: Database, user_id: string, id: string): Promise<Factor | undefined> {
  return db.selectFrom("factors").selectAll().where("user_id", "=", user_id).where("id", "=", id).executeTakeFirst();
}

/** Enrols a factor; one of the same type that waits for its activation gives way. */
export async function enrolFactor(command: Command, user_id: string, input: FactorInput): Promise<Factor | Refusal> {
  const answer_hash = input.answer === undefined ? null : await hashPassword(plain(input.answer));
  return run<Factor>(command, async (running) => {
    const user = await lockPerson(running, user_id);
    if (isRefusal(user)) return user;
    const held = await listFactors(running.db, user_id);
    const same = held.filter((one) => one.type === input.type && one.provider === input.provider);
    if (same.some((one) => one.status === "ACTIVE")) {
      return { refused: "A factor of this type is already set up.", code: "duplicate", place };
    }
    if (held.length - same.length >= factors_max) {
      return { refused: `${user.login} has ${factors_max} factors; remove one first`, code: "too_large", place };
    }
    await sql`delete from factors where id = any(${same.map(({ id }) => id)}::text[])`.execute(running.db);
    const now = running.now();
    const made = await running.db
      .insertInto("factors")
      .values({
        id: newId(input.type),
        user_id,
        type: input.type,
        provider: input.provider,
        status: input.active ? "ACTIVE" : "PENDING_ACTIVATION",
        profile: json(input.profile),
        answer_hash,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    if (made.status === "ACTIVE") await note(running, "user.mfa.factor.activate", user, made);
    return made;
  });
}

/** Changes what a factor holds, or activates it. */
export async function changeFactor(
  command: Command,
  user_id: string,
  id: string,
  change: Readonly<{ profile?: Factor["profile"]; answer?: string; active?: true }>,
): Promise<Factor | Refusal> {
  const answer_hash = change.answer === undefined ? undefined : await hashPassword(plain(change.answer));
  return run<Factor>(command, async (running) => {
    const user = await lockPerson(running, user_id);
    if (isRefusal(user)) return user;
    const before = await getFactor(running.db, user_id, id);
    if (before === undefined) return { refused: `${user.login} has no factor ${id.slice(0, 100)}`, code: "not_found" };
    const changed = await running.db
      .updateTable("factors")
      .set({
        ...(change.profile === undefined ? {} : { profile: json(change.profile) }),
        ...(answer_hash === undefined ? {} : { answer_hash }),
        ...(change.active ? { status: "ACTIVE" as const } : {}),
        updated_at: running.now(),
      })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const type = change.active && before.status !== "ACTIVE" ? "user.mfa.factor.activate" : "user.mfa.factor.update";
    await note(running, type, user, changed);
    return changed;
  });
}

/** Is this the answer? False for a factor that is no question. */
export async function answersFactor(factor: Factor, answer: string): Promise<boolean> {
  return factor.answer_hash !== null && (await verifyPassword(plain(answer), factor.answer_hash));
}

/** Removes one factor of a person, or with `all` every one. Gives how many. */
export function removeFactors(command: Command, user_id: string, which: "all" | string): Promise<number | Refusal> {
  return run<number>(command, async (running) => {
    const user = await lockPerson(running, user_id);
    if (isRefusal(user)) return user;
    const { rows } = await sql<Factor>`
      delete from factors where user_id = ${user_id} and (${which === "all"} or id = ${which}) returning *`.execute(
      running.db,
    );
    if (which === "all")
      await log(running, { type: "user.mfa.factor.reset_all", targets: [userTarget(user)], user_id });
    else for (const factor of rows) await note(running, "user.mfa.factor.deactivate", user, factor);
    return rows.length;
  });
}

async function lockPerson(running: Running, user_id: string): Promise<StoredUser | Refusal> {
  return (
    (await lockUsers(running.db, [user_id])).get(user_id) ?? {
      refused: `there is no user ${user_id}`,
      code: "not_found",
      place: user_id,
    }
  );
}

const note = (running: Running, type: string, user: StoredUser, factor: Factor) =>
  log(running, {
    type,
    targets: [userTarget(user), { id: factor.id, type: "Factor", name: factor.type }],
    user_id: user.id,
    detail: { factor: factor.type, provider: factor.provider },
  });

/** Kinds of factor that the organisation offers: id → type and provider. */
export const org_factors = {
  okta_question: { type: "question", provider: "OKTA" },
  okta_sms: { type: "sms", provider: "OKTA" },
  okta_call: { type: "call", provider: "OKTA" },
  okta_email: { type: "email", provider: "OKTA" },
  okta_otp: { type: "token:software:totp", provider: "OKTA" },
  okta_push: { type: "push", provider: "OKTA" },
  google_otp: { type: "token:software:totp", provider: "GOOGLE" },
  fido_u2f: { type: "u2f", provider: "FIDO" },
  fido_webauthn: { type: "webauthn", provider: "FIDO" },
  duo: { type: "web", provider: "DUO" },
  rsa_token: { type: "token", provider: "RSA" },
  symantec_vip: { type: "token", provider: "SYMANTEC" },
  yubikey_token: { type: "token:hardware", provider: "YUBICO" },
} as const;

export type OrgFactorId = keyof typeof org_factors;
const org_setting = "okta.factors";

/** Which kinds of factor are on; those never set are off. */
export async function orgFactors(db: Database): Promise<Readonly<Record<OrgFactorId, "ACTIVE" | "INACTIVE">>> {
  const kept = await readSetting(db, org_setting);
  const on = new Set(Array.isArray(kept) ? kept : []);
  const ids = Object.keys(org_factors) as OrgFactorId[];
  return Object.fromEntries(ids.map((id) => [id, on.has(id) ? "ACTIVE" : "INACTIVE"])) as Record<
    OrgFactorId,
    "ACTIVE" | "INACTIVE"
  >;
}

/** Turns a kind of factor on or off. */
export function setOrgFactor(command: Command, id: OrgFactorId, on: boolean): Promise<"set" | Refusal> {
  return run<"set">(command, async (running) => {
    const held = await orgFactors(running.db);
    const active = (Object.keys(held) as OrgFactorId[]).filter((one) => (one === id ? on : held[one] === "ACTIVE"));
    const kept = await setSetting(running, org_setting, active);
    return isRefusal(kept) ? kept : "set";
  });
}
