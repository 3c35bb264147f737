/** Texts written as bytes, one by one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { listBytes, textBytes } from "../../src/core/utf8.ts";

test("texts are the bytes of all of them, and a list is the bytes of its texts with commas between them, whatever letters they have", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.constantFrom("", "é", "Łukasz", "🐝", ","));
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 30 }), text, (head, texts, tail) => {
      expect(textBytes(texts).equals(Buffer.from(texts.join("")))).toBe(true);
      expect(listBytes(head, texts, tail).equals(Buffer.from(`${head}${texts.join(",")}${tail}`))).toBe(true);
    }),
  );
});
