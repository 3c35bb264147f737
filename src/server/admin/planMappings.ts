/**
 * What changed mappings would do, before they are saved. The answer is the whole at the end, or, for whoever accepts
 * application/x-ndjson, a line for each page with how far it is (and, with `each`, a line for each account that would
 * change) and the whole as the last line. Whoever hangs up has cancelled it.
 */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import type { MappingRefusal } from "../../directory/mappings.ts";
import {
  type MappingEdit,
  type MappingPlan,
  type PreviewPage,
  planMappings,
  previewMappings,
} from "../../engine/previewMappings.ts";
import type { AppPreview } from "../../engine/previewTally.ts";
import { type Api, about, type Server } from "../api.ts";
import { ApiError, invalid, must } from "../errors.ts";
import { mapping_lines } from "./shared.ts";

const ndjson = "application/x-ndjson";
/** A preview keeps a core busy while it lasts; more at a time would only make each of them slower. */
const at_a_time_max = 2;

const body = z.object({
  changes: z
    .array(z.object({ app: z.string().min(1).max(200).describe("Id or label"), lines: mapping_lines }))
    .min(1)
    .max(50)
    .describe("For each app all lines of its mapping as they would be"),
  first: z.int().min(0).max(1_000).default(20).describe("So many accounts of each app are told by name"),
  each: z.boolean().default(false).describe("With application/x-ndjson: a line for each account that would change"),
});

type Wish = z.infer<typeof body>;

/** Registers the route. */
export function planMappingRoutes(server: Server, api: Api): void {
  let running = 0;
  server.post(
    "/admin/v1/plan/mappings",
    about(
      "mappings",
      "What changed mappings would do to every account, before they are saved",
      { body },
      { access: "read" },
    ),
    async (request, reply) => {
      if (running >= at_a_time_max) {
        throw new ApiError(503, "E0000010", "Too many previews at a time", [
          `${running} previews are under way on this node: wait until one has ended, or cancel it`,
        ]);
      }
      running++;
      const pages = previewing(api, request.body, () => void running--);
      // Refused before the first line is sent, or not at all.
      const first = await pages.next();
      if (!(request.headers.accept ?? "").includes(ndjson)) return whole(pages, first, reply);
      return reply.header("content-type", ndjson).send(Readable.from(lines(pages, first, request.body.each)));
    },
  );
}

type Pages = AsyncGenerator<PreviewPage, readonly AppPreview[]>;
type Turn = IteratorResult<PreviewPage, readonly AppPreview[]>;

/** The pages of a preview; `over` runs once, however it ends. @throws ApiError at the first page, when saving would refuse. */
async function* previewing(api: Api, { changes, first }: Wish, over: () => void): Pages {
  try {
    const outcome = await planMappings(api.world, changes as MappingEdit[]);
    const { problems } = outcome as Partial<MappingRefusal>;
    if (problems !== undefined) throw invalid("mapping", ...problems.map((one) => `${one.attribute}: ${one.message}`));
    const plan: MappingPlan = must(outcome, "mapping");
    return yield* previewMappings(api.world, plan, { first });
  } finally {
    over();
  }
}

/** The whole, when all pages are done; whoever does not wait for it ends it. */
async function whole(pages: Pages, first: Turn, reply: FastifyReply): Promise<unknown> {
  let gone = false;
  reply.raw.once("close", () => {
    gone = !reply.raw.writableFinished;
  });
  for (let turn = first; ; turn = await pages.next()) {
    if (turn.done) return { apps: turn.value };
    await setImmediate();
    if (gone) {
      await pages.return([]);
      return reply.hijack();
    }
  }
}

/** The same as lines of JSON; a stream that is closed returns from here, and so from the preview. */
async function* lines(pages: Pages, first: Turn, each: boolean): AsyncGenerator<string> {
  try {
    for (let turn = first; ; turn = await pages.next()) {
      if (turn.done) return yield line({ preview: { apps: turn.value } });
      const { looked, accounts, changes } = turn.value;
      await setImmediate();
      yield (each ? changes.map((change) => line({ change })).join("") : "") + line({ progress: { looked, accounts } });
    }
  } catch (error) {
    // The status has been sent: the last line says that this is not the whole.
    yield line({ error: "the preview could not be finished: ask again" });
    throw error;
  } finally {
    await pages.return([]);
  }
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`;
