/**
 * Public keys as JSON (RFC 7517, 7518): what a client may show as its own. Pure; read by the server where clients send
 * keys.
 */
import type { Value } from "./types.ts";

/** A public key as it may be kept: nothing private, and no member that is not named here. */
export type PublicJwk = Readonly<Record<string, Value>>;

const plain = ["kid", "use", "alg", "status", "id", "created", "lastUpdated"] as const;
const rsa_bits_min = 2_048;
/** Octets of a coordinate, by curve. */
const curves: Readonly<Record<string, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };
const base64url = /^[A-Za-z0-9_-]+$/;

/** Takes a key apart: the key to keep, or what is wrong with it, in words. */
export function readPublicJwk(given: Value): PublicJwk | string {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return "a key is a JSON object (RFC 7517)";
  const key = given as PublicJwk;
  if (["d", "p", "q", "dp", "dq", "qi", "k"].some((name) => Object.hasOwn(key, name)))
    return "this is a private key: send its public part only, and make a new one, for this one has been told";
  const wrong = plain.find((name) => key[name] !== undefined && key[name] !== null && !isShort(key[name]));
  if (wrong !== undefined) return `${wrong}: must be a text of at most 200 characters`;
  const members = membersOf(key);
  if (typeof members === "string") return members;
  const named = plain.filter((name) => key[name] !== undefined && key[name] !== null).map((name) => [name, key[name]]);
  return { ...Object.fromEntries(named), ...members };
}

function membersOf(key: PublicJwk): PublicJwk | string {
  const { kty, n, e, crv, x, y } = key;
  if (kty === "RSA") {
    if (!isNumber(n) || octetsOf(n) * 8 < rsa_bits_min)
      return "RSA key length in the 'jwks' is less than '2,048' bits for the given key.";
    return isNumber(e) ? { kty, n, e } : "e: the exponent of an RSA key, in base64url";
  }
  if (kty === "EC") {
    const octets = typeof crv === "string" && Object.hasOwn(curves, crv) ? curves[crv] : undefined;
    if (octets === undefined) return "crv: P-256, P-384 or P-521";
    if (!isNumber(x) || !isNumber(y) || octetsOf(x) !== octets || octetsOf(y) !== octets)
      return "x, y: the coordinates of a point on the curve, in base64url";
    return { kty, crv: crv as string, x: x as string, y: y as string };
  }
  return "kty: RSA or EC";
}

const isShort = (value: Value | undefined) => typeof value === "string" && value.length <= 200;
const isNumber = (value: Value | undefined): value is string =>
  typeof value === "string" && value.length <= 2_000 && base64url.test(value);
const octetsOf = (text: string) => Math.floor((text.length * 3) / 4);
