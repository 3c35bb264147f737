/**
 * Reads `multipart/form-data` (RFC 7578): the few small files that people send, an app's logo above all. The body is in
 * memory and bounded before it gets here; what is not of this form is refused, never guessed at.
 *
 * Called by server.ts as the parser of that content type: a route gets `readonly Part[]` as its body.
 */

/** One part: the field's name, the file's name if it is a file, and its bytes. */
export type Part = Readonly<{ name: string; filename?: string; bytes: Buffer }>;

const parts_max = 20;
const head_bytes_max = 4_096;

/** The parts of a body; undefined when it is not well-formed. `content_type`: the header, which names the boundary. */
export function readMultipart(body: Buffer, content_type: string): readonly Part[] | undefined {
  const boundary = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(content_type);
  const mark = boundary?.[1] ?? boundary?.[2];
  if (mark === undefined) return undefined;
  const between = Buffer.from(`\r\n--${mark}`);
  const first = `--${mark}`;
  // A preamble is allowed and means nothing; the first mark may begin the body.
  const start = body.subarray(0, first.length).toString("latin1") === first ? 0 : body.indexOf(between) + 2;
  if (start === 1) return undefined;
  let at = start + first.length;
  const parts: Part[] = [];
  while (body.subarray(at, at + 2).toString("latin1") !== "--") {
    const head_at = body.indexOf("\r\n", at) + 2;
    const head_end = body.indexOf("\r\n\r\n", head_at - 2);
    const end = body.indexOf(between, head_end < 0 ? body.length : head_end + 2);
    if (head_at < 2 || head_end < 0 || end < 0 || head_end - head_at > head_bytes_max) return undefined;
    const part = partOf(body.subarray(head_at, Math.max(head_at, head_end)).toString("utf8"));
    if (part === undefined || parts.length >= parts_max) return undefined;
    parts.push({ ...part, bytes: body.subarray(head_end + 4, Math.max(head_end + 4, end)) });
    at = end + between.length;
  }
  return parts;
}

/** Name and file name of a part from its head. */
function partOf(head: string): Omit<Part, "bytes"> | undefined {
  const disposition = head.split("\r\n").find((line) => /^content-disposition:\s*form-data\b/i.test(line));
  const value = (parameter: string) =>
    new RegExp(`;\\s*${parameter}=(?:"((?:[^"\\\\]|\\\\.){0,500})"|([^\\s;"]{1,500}))`, "i").exec(disposition ?? "");
  const name = value("name");
  if (name === null) return undefined;
  const file = value("filename");
  const filename = file?.[1] ?? file?.[2];
  return { name: name[1] ?? name[2] ?? "", ...(filename === undefined ? {} : { filename }) };
}
