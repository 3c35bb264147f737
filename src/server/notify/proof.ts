/**
 * How whoever notifies us proves to be the source: by its secret as a bearer token, or by a signature over the body, as
 * Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with `v1,` and the HMAC-SHA256 of
 * `id.timestamp.body` in base64, of which there may be several.
 *
 * Laws: what is compared is compared in the same time whatever is wrong with it. A signature holds for five minutes.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** A signature is that old, or that much ahead of our clock, at most. */
export const window_s = 300;
const signatures_max = 5;

/** What a request says of itself: a token, or a signature that its body must bear out. */
export type Proof =
  | Readonly<{ kind: "token"; text: string }>
  | Readonly<{ kind: "signature"; signed: string; signatures: readonly string[] }>;

/** What a request's headers bring; undefined: nothing that could be judged, or a signature that is too old. */
export function proofOf(headers: IncomingHttpHeaders, now: Date): Proof | undefined {
  const token = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(headers.authorization ?? "")?.[1];
  if (token !== undefined) return { kind: "token", text: token };
  const [id, at, signature] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headers[name]);
  if (typeof id !== "string" || typeof at !== "string" || typeof signature !== "string") return undefined;
  if (id.length > 256 || !/^\d{1,12}$/.test(at) || signature.length > 1_000) return undefined;
  if (Math.abs(now.getTime() / 1_000 - Number(at)) > window_s) return undefined;
  const signatures = signature
    .split(" ")
    .flatMap((one) => (one.startsWith("v1,") ? [one.slice(3)] : []))
    .slice(0, signatures_max);
  return { kind: "signature", signed: `${id}.${at}.`, signatures };
}

/** Is it the secret? */
export const isToken = (text: string, secret: string): boolean => same(text, secret);

/** Is the body signed with the secret? */
export function isSigned({ signed, signatures }: Proof & { kind: "signature" }, body: Buffer, secret: string): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const right = createHmac("sha256", key).update(signed).update(body).digest("base64");
  return signatures.filter((one) => same(one, right)).length > 0;
}

/** Digests are of one length, so that nothing is told by how long a comparison takes. */
function same(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
