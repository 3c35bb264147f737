/**
 * Many texts as one piece of UTF-8, each written by itself. Joined first, they are as slow to write as the slowest of them:
 * with one letter beyond Latin-1 a text takes fourteen times as long. Of 1,000 people, 29 % of whom have one, 600 kB take
 * 0.4 ms so, and 1.7 ms joined.
 *
 * Pure. Called by store and connectors/scim.
 */

/** The texts, one after the other. */
export const textBytes = (texts: readonly string[]): Buffer => written("", texts, "", "");

/** `head`, the texts with commas between them, and `tail`. */
export const listBytes = (head: string, texts: readonly string[], tail: string): Buffer =>
  written(head, texts, ",", tail);

/** `between` is one ASCII letter, or none. */
function written(head: string, texts: readonly string[], between: "," | "", tail: string): Buffer {
  const around = Buffer.byteLength(head) + between.length * Math.max(0, texts.length - 1) + Buffer.byteLength(tail);
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), around));
  let end = bytes.write(head);
  for (let n = 0; n < texts.length; n++) {
    if (n > 0 && between !== "") bytes[end++] = between.charCodeAt(0);
    end += bytes.write(texts[n] ?? "", end);
  }
  bytes.write(tail, end);
  return bytes;
}
