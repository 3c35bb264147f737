/**
 * RSA keys, the self-signed certificates over them, and certificate requests, as sign-on wants them. The form (ASN.1) is
 * written by node-forge, every signature and every key by Node itself: making a key takes a tenth of a second of a
 * thread that is not ours, signing a millisecond of ours.
 *
 * Touches no database. Called by appKeys.ts.
 */
import { createPublicKey, createSign, generateKeyPair, type KeyObject, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";
import type { Refusal } from "../core/types.ts";

const generate = promisify(generateKeyPair);

/** The public part of an RSA key, base64url, as a JWK has it. */
export type PublicPart = Readonly<{ modulus: string; exponent: string }>;

/** A new key: its public part, and the private one as PKCS#8 PEM, to be sealed at once. */
export type NewKey = PublicPart & Readonly<{ private_pem: string }>;

/** A certificate: DER in base64, and its end. */
export type Certificate = Readonly<{ certificate: string; expires_at: Date }>;

/** Names of a certificate's subject, in the order in which they are written. */
export type Subject = Readonly<{
  countryName?: string | undefined;
  stateOrProvinceName?: string | undefined;
  localityName?: string | undefined;
  organizationName?: string | undefined;
  organizationalUnitName?: string | undefined;
  commonName?: string | undefined;
}>;

const bits = 2_048;

/** Makes an RSA key of 2,048 bits. */
export async function newKey(): Promise<NewKey> {
  const { publicKey, privateKey } = await generate("rsa", { modulusLength: bits });
  return { ...publicPart(publicKey), private_pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** A certificate of a key by itself, valid from a minute ago (clocks differ) for so many years. */
export function selfSigned(key: NewKey, subject: Subject, now: Date, years: number): Certificate {
  const expires_at = new Date(now);
  expires_at.setUTCFullYear(now.getUTCFullYear() + years);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forgeKey(key);
  certificate.serialNumber = serialOf(now);
  certificate.validity.notBefore = new Date(now.getTime() - 60_000);
  certificate.validity.notAfter = expires_at;
  certificate.setSubject(namesOf(subject));
  certificate.setIssuer(namesOf(subject));
  signByNode(certificate, key.private_pem);
  return { certificate: base64Of(forge.pki.certificateToAsn1(certificate)), expires_at };
}

/** A certificate request (PKCS#10, DER in base64) for a key. */
export function certificateRequest(key: NewKey, subject: Subject, dns_names: readonly string[]): string {
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forgeKey(key);
  request.setSubject(namesOf(subject));
  if (dns_names.length > 0) {
    const altNames = dns_names.map((value) => ({ type: 2, value }));
    request.setAttributes([{ name: "extensionRequest", extensions: [{ name: "subjectAltName", altNames }] }]);
  }
  signByNode(request, key.private_pem);
  return base64Of(forge.pki.certificationRequestToAsn1(request));
}

/** Reads a certificate (PEM, DER, or DER in base64) that must be for this key. */
export function certificateFor(given: Buffer, key: PublicPart): Certificate | Refusal {
  const certificate = readCertificate(given);
  if (certificate === undefined) {
    return {
      refused: "this is no X.509 certificate: send it as PEM, or as DER",
      code: "invalid",
      place: "certificate",
    };
  }
  const { modulus, exponent } = publicPart(certificate.publicKey);
  if (modulus !== key.modulus || exponent !== key.exponent) {
    return {
      refused: "the certificate is for another key than the request's: have this request signed",
      code: "invalid",
      place: "certificate",
    };
  }
  return { certificate: certificate.raw.toString("base64"), expires_at: new Date(certificate.validTo) };
}

function readCertificate(given: Buffer): X509Certificate | undefined {
  const text = given.toString("latin1").trim();
  const forms = [given, ...(/^[A-Za-z0-9+/=\s]+$/.test(text) ? [Buffer.from(text, "base64")] : [])];
  for (const form of forms) {
    try {
      const certificate = new X509Certificate(form);
      if (certificate.publicKey.asymmetricKeyType === "rsa") return certificate;
    } catch {
      // Not in this form; the next one, or a refusal.
    }
  }
  return undefined;
}

function publicPart(key: KeyObject): PublicPart {
  const { n = "", e = "" } = key.export({ format: "jwk" });
  return { modulus: n, exponent: e };
}

function forgeKey({ modulus, exponent }: PublicPart): forge.pki.PublicKey {
  const key = createPublicKey({ key: { kty: "RSA", n: modulus, e: exponent }, format: "jwk" });
  return forge.pki.publicKeyFromPem(key.export({ type: "spki", format: "pem" }).toString());
}

/** Positive, and larger the later it is made: nobody signs two certificates in one millisecond with one key. */
function serialOf(now: Date): string {
  const hex = now.getTime().toString(16);
  return hex.length % 2 === 0 ? `00${hex}` : `0${hex}`;
}

function namesOf(subject: Subject): forge.pki.CertificateField[] {
  return Object.entries(subject)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => ({
      name,
      value,
      // A country is two letters in the oldest of the string types; every other name may hold any letter.
      valueTagClass: (name === "countryName"
        ? forge.asn1.Type.PRINTABLESTRING
        : forge.asn1.Type.UTF8) as unknown as forge.asn1.Class,
    }));
}

type Signed = Readonly<{ sign(key: forge.pki.rsa.PrivateKey, digest: forge.md.MessageDigest): void }>;

/**
 * forge hands what is to be signed to a digest, and the digest to a key: both are ours, so that Node signs. Measured:
 * 31 ms with forge's own arithmetic, 2 ms so.
 */
function signByNode(signed: Signed, private_pem: string): void {
  const sign = createSign("sha256");
  const digest = { algorithm: "sha256", update: (bytes: string) => sign.update(Buffer.from(bytes, "latin1")) };
  const key = { sign: () => sign.sign(private_pem).toString("latin1") };
  signed.sign(key as unknown as forge.pki.rsa.PrivateKey, digest as unknown as forge.md.MessageDigest);
}

function base64Of(form: forge.asn1.Asn1): string {
  return Buffer.from(forge.asn1.toDer(form).getBytes(), "latin1").toString("base64");
}
