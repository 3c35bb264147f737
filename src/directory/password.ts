/**
 * Passwords of people: hashed on the way in, compared on sign-in, never kept in clear. scrypt from node:crypto, asynchronous so
 * that a hash never stops the server; the text form carries its own parameters, so they can be raised later.
 *
 * Law: a clear password reaches a table only sealed and with an expiry (secrets.ts), and only when an app waits for it.
 * Called by users.ts and userLifecycle.ts; `verifyPassword` by the server's sign-in.
 */
import { createHash, pbkdf2, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Refusal } from "../core/types.ts";

/** A password hashed elsewhere, as Okta's API takes it (credentials.password.hash). Salt and value in base64. */
export type ImportedHash = Readonly<{
  algorithm: "BCRYPT" | "SHA-512" | "SHA-256" | "SHA-1" | "MD5" | "PBKDF2";
  value: string;
  salt?: string;
  /** Where a salt of the SHA and MD5 kinds was joined to the password. */
  salt_order?: "PREFIX" | "POSTFIX";
  work_factor?: number;
  iterations?: number;
  /** Bytes of a PBKDF2 key. */
  key_size?: number;
  digest?: "SHA256_HMAC" | "SHA512_HMAC";
}>;

/** A clear text, or a hash made elsewhere. */
export type NewPassword = string | ImportedHash;

type ScryptCost = { N: number; r: number; p: number; maxmem: number };
const scryptAsync = promisify(scrypt) as (
  clear: string,
  salt: Buffer,
  bytes: number,
  cost: ScryptCost,
) => Promise<Buffer>;
const pbkdf2Async = promisify(pbkdf2);

/** 2^15 rounds of 1 KiB: 32 MiB and about 60 ms a password on a small server. */
const ln = 15;
const bytes_max = 72 * 4;
const digests = { "SHA-512": "sha512", "SHA-256": "sha256", "SHA-1": "sha1", MD5: "md5" } as const;
const hmacs = { SHA256_HMAC: "sha256", SHA512_HMAC: "sha512" } as const;

const cost = (log2: number): ScryptCost => ({ N: 2 ** log2, r: 8, p: 1, maxmem: 2 ** log2 * 8 * 256 });

/** Is this a password we would store? Gives the refusal, or undefined. What the policy asks for is passwordRules.ts. */
export function judgePassword(password: NewPassword): Refusal | undefined {
  const place = "credentials.password";
  if (typeof password === "string") {
    if (password === "") return { refused: "a password cannot be empty; choose one", code: "invalid", place };
    if (Buffer.byteLength(password) > bytes_max) {
      return { refused: `a password holds at most ${bytes_max} bytes; choose a shorter one`, code: "invalid", place };
    }
    return undefined;
  }
  const iterations = password.iterations ?? 0;
  if (password.algorithm === "PBKDF2" && !(iterations >= 1000 && iterations <= 10_000_000)) {
    return { refused: "a PBKDF2 hash needs its iterations, 1,000 to 10,000,000", code: "invalid", place };
  }
  if (password.value === "" || password.value.length > 1024 || (password.salt?.length ?? 0) > 1024) {
    return { refused: "a password hash needs its value in base64, at most 1,024 characters", code: "invalid", place };
  }
  return undefined;
}

/** The text to store for a password: `$scrypt$ln=15$salt$hash`, or `$import$` and the imported hash's parts. */
export async function hashPassword(password: NewPassword): Promise<string> {
  if (typeof password !== "string") {
    return `$import$${Buffer.from(JSON.stringify(password)).toString("base64")}`;
  }
  const salt = randomBytes(16);
  const hash = await scryptAsync(password, salt, 32, cost(ln));
  return `$scrypt$ln=${ln}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

/**
 * Is `clear` the password that `stored` was made from? A hash of a kind we cannot check (BCRYPT) is false: that
 * person resets the password once.
 */
export async function verifyPassword(clear: string, stored: string): Promise<boolean> {
  if (Buffer.byteLength(clear) > bytes_max) return false;
  const [, scheme, first, salt, hash] = stored.split("$");
  if (scheme === "import" && first !== undefined) {
    return verifyImported(clear, JSON.parse(Buffer.from(first, "base64").toString()) as ImportedHash);
  }
  const log2 = Number(first?.replace("ln=", ""));
  if (scheme !== "scrypt" || !(log2 >= 10 && log2 <= 20) || salt === undefined || hash === undefined) return false;
  const wanted = Buffer.from(hash, "base64");
  return same(await scryptAsync(clear, Buffer.from(salt, "base64"), wanted.length, cost(log2)), wanted);
}

async function verifyImported(clear: string, hash: ImportedHash): Promise<boolean> {
  const wanted = Buffer.from(hash.value, "base64");
  const salt = Buffer.from(hash.salt ?? "", "base64");
  if (hash.algorithm === "BCRYPT") return false;
  if (hash.algorithm === "PBKDF2") {
    const digest = hmacs[hash.digest ?? "SHA256_HMAC"];
    return same(await pbkdf2Async(clear, salt, hash.iterations ?? 1000, wanted.length, digest), wanted);
  }
  const parts = hash.salt_order === "POSTFIX" ? [Buffer.from(clear), salt] : [salt, Buffer.from(clear)];
  return same(createHash(digests[hash.algorithm]).update(Buffer.concat(parts)).digest(), wanted);
}

const same = (a: Buffer, b: Buffer) => a.length === b.length && a.length > 0 && timingSafeEqual(a, b);

/** A one-time token for an activation or a reset: the text to hand out once, and the hash to keep. */
export function oneTimeToken(): { token: string; hash: string } {
  const token = randomBytes(20).toString("base64url");
  return { token, hash: hashToken(token) };
}

/** A token is long and random, so a plain digest is enough to keep it. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
