/**
 * What clients send about users, read leniently where Okta does: clients send back whole users, with links, dates and
 * other things that are not theirs to change; those are not looked at.
 */
import { z } from "zod";
import type { Profile } from "../../core/types.ts";
import type { ImportedHash, NewPassword } from "../../directory/password.ts";
import { storedTypeId } from "../../directory/userTypes.ts";

const text = (max: number) => z.string().min(1).max(max);

const hash = z.object({
  algorithm: z.enum(["BCRYPT", "SHA-512", "SHA-256", "SHA-1", "MD5", "PBKDF2"]),
  value: text(1024),
  salt: z.string().max(1024).optional(),
  saltOrder: z.enum(["PREFIX", "POSTFIX"]).optional(),
  workFactor: z.int().min(1).max(20).optional(),
  iterationCount: z.int().optional(),
  keySize: z.int().optional(),
  digestAlgorithm: z.enum(["SHA256_HMAC", "SHA512_HMAC"]).optional(),
});

export const password_input = z.object({
  value: z.string().max(1024).optional(),
  hash: hash.optional(),
  /** The password is asked of the password import hook when the person first signs in. */
  hook: z.object({ type: z.literal("default") }).optional(),
});

export const recovery_input = z.object({ question: text(100), answer: text(100) });

const credentials = z.object({
  password: password_input.nullish(),
  recovery_question: z.object({ question: text(100), answer: text(100).optional() }).nullish(),
  provider: z.object({ type: text(50), name: text(100) }).nullish(),
});

/** Which type of person, by its id. */
export const user_type = z.object({ id: z.string().max(100).optional() }).nullish();

/** The profile is judged by the schema of users, not here. */
export const profile_input = z.record(z.string(), z.json());

export const new_user = z.object({
  profile: profile_input,
  credentials: credentials.nullish(),
  groupIds: z.array(z.string().max(100)).max(20).nullish(),
  type: user_type,
});

export const user_change = z.object({
  profile: profile_input.nullish(),
  credentials: credentials.nullish(),
  type: user_type,
});

/** The column's value of the type that was sent; undefined: none was. */
export function typeOf(type: z.infer<typeof user_type>): string | null | undefined {
  return type?.id === undefined ? undefined : storedTypeId(type.id);
}

export type CredentialsInput = z.infer<typeof credentials>;

/** A profile as it came, as the directory takes it. */
export function profileOf(input: z.infer<typeof profile_input>): Profile {
  return input as Profile;
}

/** The password that was sent, if one was: clear, or a hash made elsewhere. */
export function passwordOf(input: CredentialsInput | null | undefined): NewPassword | undefined {
  const password = input?.password;
  if (password?.value !== undefined) return password.value;
  if (password?.hash === undefined) return undefined;
  const { algorithm, value, salt, saltOrder, workFactor, iterationCount, keySize, digestAlgorithm } = password.hash;
  const imported: ImportedHash = {
    algorithm,
    value,
    ...(salt === undefined ? {} : { salt }),
    ...(saltOrder === undefined ? {} : { salt_order: saltOrder }),
    ...(workFactor === undefined ? {} : { work_factor: workFactor }),
    ...(iterationCount === undefined ? {} : { iterations: iterationCount }),
    ...(keySize === undefined ? {} : { key_size: keySize }),
    ...(digestAlgorithm === undefined ? {} : { digest: digestAlgorithm }),
  };
  return imported;
}
