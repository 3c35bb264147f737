/**
 * /sources/:app_id/notify: where a source tells us that somebody of its people has changed. The request says whom to look
 * at and nothing else is believed of it: the source is asked (engine/notices.ts), soon after the answer.
 *
 * Laws: the secret is the source's own, and an app without one is answered as one with another secret. Nothing of a body
 * is read before a token is right; one that is signed is read, bounded, and believed when its signature is.
 */
import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { idsOf } from "../../core/notice.ts";
import { readJson } from "../../core/scim/json.ts";
import { keepNotices, notifySecretPlace } from "../../directory/sourceNotices.ts";
import { isRefusal, sql } from "../../store/database.ts";
import type { Api, Server } from "../api.ts";
import { ApiError, invalid } from "../errors.ts";
import { isSigned, isToken, type Proof, proofOf } from "./proof.ts";

/** Bytes of a notification. */
const body_bytes_max = 1024 * 1024;
/** What a sender is told to wait where too many wait already. */
const retry_after_s = 60;

const params = z.object({ app_id: z.string().min(1).max(200).describe("Id of the source") });

/** What is known of a source that may be notified. */
type Target = Readonly<{ secret: string; label: string; place: string | null }>;
/** What a request has brought, until its body is there. */
type Waiting = Readonly<{ target: Target | undefined; proof: Proof & { kind: "signature" } }>;

/** Registers the route. */
export async function notifyRoutes(server: Server, api: Api): Promise<void> {
  await server.register(async (scope) => {
    readBodies(scope as unknown as Server);
    const targets = new WeakMap<FastifyRequest, Target>();
    const signed = new WeakMap<FastifyRequest, Waiting>();
    scope.addHook("onRequest", async (request) => {
      const target = await targetOf(api, (request.params as { app_id: string }).app_id);
      // The sender's clock is the wall's, whatever a demo has done to ours.
      const proof = proofOf(request.headers, new Date());
      if (proof === undefined) throw refused();
      if (proof.kind === "signature") signed.set(request, { target, proof });
      else if (!isToken(proof.text, target?.secret ?? stand_in) || target === undefined) throw refused();
      else targets.set(request, target);
    });
    scope.post(
      "/sources/:app_id/notify",
      {
        bodyLimit: body_bytes_max,
        config: { notice: true },
        schema: { tags: ["imports"], summary: "Tell of people of a source who have changed there", params },
      },
      async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const target = targets.get(request) ?? believe(signed.get(request), body);
        const read = readJson(body.toString("utf8"));
        if ("fault" in read)
          throw new ApiError(400, "E0000003", "The request body was not well-formed.", [read.fault.detail]);
        const found = idsOf(read.ok, target.place);
        if ("wrong" in found)
          throw invalid("ids", `${target.label} sent a notification that cannot be read: ${found.wrong}`);
        const { app_id } = request.params as { app_id: string };
        const actor = { id: app_id, type: "App", name: target.label } as const;
        const command = { db: api.db, now: api.world.now, actor };
        const kept = await keepNotices(command, app_id, found.ids);
        if (isRefusal(kept)) {
          reply.header("retry-after", retry_after_s);
          throw new ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.", [kept.refused]);
        }
        return reply.code(202).send({ accepted: found.ids.length });
      },
    );
  });
}

/** What is compared where there is no secret, so that this takes no less time. */
const stand_in = `whsec_${randomBytes(32).toString("base64")}`;

const refused = () => new ApiError(401, "E0000011", "Invalid token provided");

/** Who has signed the body. @throws ApiError 401 unless it is the source. */
function believe(waiting: Waiting | undefined, body: Buffer): Target {
  if (waiting === undefined) throw refused();
  const { target, proof } = waiting;
  if (!isSigned(proof, body, target?.secret ?? stand_in) || target === undefined) throw refused();
  return target;
}

/** The source of an app that has a secret for this; undefined: it takes no notifications. */
function targetOf(api: Api, app_id: string): Promise<Target | undefined> {
  if (!/^0oa[0-9a-z]{17}$/i.test(app_id)) return Promise.resolve(undefined);
  return api.sources.recall(`notify ${app_id}`, async () => {
    const { rows } = await sql<{ label: string; place: string | null }>`
      select label, sourcing->>'notify_id' as place from apps
      where id = ${app_id} and status = 'ACTIVE' and sourcing is not null`.execute(api.db);
    const secret = rows[0] && (await api.world.secret(notifySecretPlace(app_id)));
    return rows[0] && secret ? { ...rows[0], secret: secret.reveal() } : undefined;
  });
}

/** Bodies stay the bytes that they are: a signature is over those. */
function readBodies(scope: Server): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    /^application\/([\w.-]+\+)?json(;|$)/,
    { parseAs: "buffer", bodyLimit: body_bytes_max },
    (_request, body, done) => done(null, body),
  );
  scope.addContentTypeParser("*", (_request, _payload, done) =>
    done(
      new ApiError(415, "E0000019", "Unsupported media type", ["Send JSON with Content-Type: application/json"]),
      undefined,
    ),
  );
}
