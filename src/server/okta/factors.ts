/**
 * /api/v1/users/{id}/factors and /api/v1/org/factors: second factors as clients manage them. Records only: nothing is
 * sent to anybody, and no sign-in asks for one (directory/factors.ts).
 */
import { z } from "zod";
import {
  answersFactor,
  changeFactor,
  enrolFactor,
  type Factor,
  type FactorInput,
  getFactor,
  listFactors,
  type OrgFactorId,
  org_factors,
  orgFactors,
  removeFactors,
  setOrgFactor,
} from "../../directory/factors.ts";
import type { Database } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, invalid, must, notFound } from "../errors.ts";
import { setLinks } from "../paging.ts";
import { questions } from "./factorQuestions.ts";
import { date, hinted } from "./links.ts";
import { oneUser, user_params } from "./users.ts";

const text = z.string().min(1).max(200);
const profile = z.object({
  phoneNumber: text.optional(),
  phoneExtension: text.nullish(),
  email: text.optional(),
  credentialId: text.optional(),
  question: text.optional(),
  answer: text.optional(),
});
const enrolment = z.object({
  factorType: text,
  provider: text.default("OKTA"),
  profile: profile.nullish(),
});
const factor_params = user_params.extend({ factor_id: z.string().max(100) });
const factors = "/api/v1/users/:user_id/factors";
const one = `${factors}/:factor_id`;

/** What a type of factor takes of the profile, and the first that it cannot do without. */
const types: Readonly<Record<string, readonly (keyof z.infer<typeof profile>)[]>> = {
  sms: ["phoneNumber"],
  call: ["phoneNumber", "phoneExtension"],
  email: ["email"],
  question: ["question", "answer"],
  "token:software:totp": [],
  push: [],
  webauthn: [],
  u2f: [],
};

/** Registers the routes. */
export function factorRoutes(server: Server, api: Api): void {
  server.get(factors, about("factors", "A person's factors", { params: user_params }), async (request, reply) => {
    const { id } = await oneUser(api, request.params.user_id);
    setLinks(request, reply, undefined);
    return (await listFactors(api.db, id)).map((factor) => factorBody(factor, request.base_url));
  });
  const query = z.object({ activate: z.enum(["true", "false"]).default("false") });
  server.post(
    factors,
    about("factors", "Enrol a factor", { params: user_params, querystring: query, body: enrolment }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      const input = inputOf(request.body, request.query.activate === "true");
      const outcome = await enrolFactor(commandOf(api, request), user.id, input);
      return factorBody(must(outcome, "factorEnrollRequest"), request.base_url);
    },
  );
  server.get(
    `${factors}/questions`,
    about("factors", "Questions to choose from", { params: user_params }),
    async (request) => {
      await oneUser(api, request.params.user_id);
      return Object.entries(questions).map(([question, questionText]) => ({ question, questionText }));
    },
  );
  server.get(
    `${factors}/catalog`,
    about("factors", "Factors that a person could enrol", { params: user_params }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      const held = new Set((await listFactors(api.db, user.id)).map((factor) => factor.type));
      return Object.keys(types).map((type) => ({
        factorType: type,
        provider: "OKTA",
        vendorName: "OKTA",
        status: held.has(type) ? "ACTIVE" : "NOT_SETUP",
        _links: { enroll: hinted(`${request.base_url}/api/v1/users/${user.id}/factors`, "POST") },
      }));
    },
  );
  oneFactor(server, api);
  orgFactorRoutes(server, api);
}

/** What was sent, as a factor to keep. @throws ApiError 400 naming what is missing. */
function inputOf(sent: z.infer<typeof enrolment>, active: boolean): FactorInput {
  const names = Object.hasOwn(types, sent.factorType) ? types[sent.factorType] : undefined;
  if (names === undefined) {
    throw invalid("factorEnrollRequest", `factorType: must be one of ${Object.keys(types).join(", ")}`);
  }
  const given = sent.profile ?? {};
  const missing = names.find((name) => name !== "phoneExtension" && !given[name]);
  if (missing !== undefined) throw invalid("factorEnrollRequest", `profile.${missing}: is required for this factor`);
  const { type, provider } = { type: sent.factorType, provider: sent.provider };
  if (type === "question") {
    const { question, answer } = requireAnswer(given);
    return { type, provider, profile: { question }, answer, active: true };
  }
  if (given.phoneNumber !== undefined && !/^\+?[0-9() .-]{5,30}$/.test(given.phoneNumber)) {
    throw invalid("factorEnrollRequest", "Invalid Phone Number.");
  }
  const kept = names.flatMap((name) => (given[name] ? [[name, given[name]] as const] : []));
  return { type, provider, profile: Object.fromEntries(kept), active };
}

function requireAnswer(given: z.infer<typeof profile>): { question: string; answer: string } {
  const { question = "", answer = "" } = given;
  if (!Object.hasOwn(questions, question)) {
    throw invalid("factorEnrollRequest", "profile.question: must be one of those that GET …/factors/questions lists");
  }
  if (answer.trim().length < 4) throw invalid("factorEnrollRequest", "profile.answer: must have at least 4 characters");
  return { question, answer };
}

async function oneFactorOf(db: Database, user_id: string, factor_id: string): Promise<Factor> {
  return found(await getFactor(db, user_id, factor_id), factor_id, "UserFactor");
}

/** Reading, changing, activating, verifying and removing one factor. */
function oneFactor(server: Server, api: Api): void {
  server.get(one, about("factors", "A factor", { params: factor_params }), async (request) => {
    const { id } = await oneUser(api, request.params.user_id);
    return factorBody(await oneFactorOf(api.db, id, request.params.factor_id), request.base_url);
  });
  const change = z.object({ profile });
  server.put(
    one,
    about("factors", "Change a question and its answer", { params: factor_params, body: change }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const factor = await oneFactorOf(api.db, id, request.params.factor_id);
      if (factor.type !== "question")
        throw invalid("factor", "only a question can be changed; remove this factor and enrol it again");
      const { question, answer } = requireAnswer(request.body.profile);
      const changed = await changeFactor(commandOf(api, request), id, factor.id, { profile: { question }, answer });
      return factorBody(must(changed), request.base_url);
    },
  );
  server.delete(one, about("factors", "Remove a factor", { params: factor_params }), async (request, reply) => {
    const { id } = await oneUser(api, request.params.user_id);
    const factor = await oneFactorOf(api.db, id, request.params.factor_id);
    must(await removeFactors(commandOf(api, request), id, factor.id));
    return reply.code(204).send();
  });
  server.post(
    `${one}/lifecycle/activate`,
    about("factors", "Activate a factor; whatever code is given counts", { params: factor_params }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const factor = await oneFactorOf(api.db, id, request.params.factor_id);
      return factorBody(
        must(await changeFactor(commandOf(api, request), id, factor.id, { active: true })),
        request.base_url,
      );
    },
  );
  server.post(
    `${one}/resend`,
    about("factors", "Nothing is sent: the factor as it is", { params: factor_params }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      return factorBody(await oneFactorOf(api.db, id, request.params.factor_id), request.base_url);
    },
  );
  const verification = z.object({ answer: text.optional(), passCode: text.optional() }).nullish();
  server.post(
    `${one}/verify`,
    about("factors", "Is this the answer to the question?", { params: factor_params, body: verification }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const factor = await oneFactorOf(api.db, id, request.params.factor_id);
      const { answer } = request.body ?? {};
      if (factor.type !== "question" || answer === undefined) {
        throw invalid("factor", "only the answer to a question can be verified here: no codes are sent");
      }
      if (await answersFactor(factor, answer)) return { factorResult: "SUCCESS" };
      const summary = "Invalid Passcode/Answer";
      throw new ApiError(403, "E0000068", summary, ["Your answer doesn't match our records. Please try again."]);
    },
  );
}

/** Which kinds of factor the organisation offers. */
function orgFactorRoutes(server: Server, api: Api): void {
  const kinds = "/api/v1/org/factors";
  const params = z.object({ kind: z.string().max(100) });
  const bodyOf = async (kind: string, base: string) => {
    if (!Object.hasOwn(org_factors, kind)) throw notFound(kind, "Factor");
    return orgFactorBody(kind as OrgFactorId, (await orgFactors(api.db))[kind as OrgFactorId], base);
  };
  server.get(kinds, about("org", "The kinds of factor"), async (request) => {
    const held = await orgFactors(api.db);
    return (Object.keys(held) as OrgFactorId[]).map((kind) => orgFactorBody(kind, held[kind], request.base_url));
  });
  server.get(`${kinds}/:kind`, about("org", "A kind of factor", { params }), async (request) =>
    bodyOf(request.params.kind, request.base_url),
  );
  for (const [verb, on] of [
    ["activate", true],
    ["deactivate", false],
  ] as const) {
    server.post(
      `${kinds}/:kind/lifecycle/${verb}`,
      about("org", on ? "Offer a kind of factor" : "Offer it no more", { params }),
      async (request) => {
        const { kind } = request.params;
        await bodyOf(kind, request.base_url);
        must(await setOrgFactor(commandOf(api, request), kind as OrgFactorId, on));
        return bodyOf(kind, request.base_url);
      },
    );
  }
}

function orgFactorBody(id: OrgFactorId, status: "ACTIVE" | "INACTIVE", base: string) {
  const self = `${base}/api/v1/org/factors/${id}`;
  const verb = status === "ACTIVE" ? "deactivate" : "activate";
  return {
    id,
    provider: org_factors[id].provider,
    factorType: org_factors[id].type,
    status,
    _links: { [verb]: hinted(`${self}/lifecycle/${verb}`, "POST"), self: hinted(self, "GET") },
  };
}

/** A factor in Okta's form; an answer is never told. */
function factorBody(factor: Factor, base: string) {
  const user = `${base}/api/v1/users/${factor.user_id}`;
  const self = `${user}/factors/${factor.id}`;
  const question = factor.profile["question"];
  const active = factor.status === "ACTIVE";
  const resend = [{ name: factor.type, ...hinted(`${self}/resend`, "POST") }];
  return {
    id: factor.id,
    factorType: factor.type,
    provider: factor.provider,
    vendorName: factor.provider,
    status: factor.status,
    created: date(factor.created_at),
    lastUpdated: date(factor.updated_at),
    profile:
      typeof question === "string" ? { question, questionText: questions[question] ?? question } : factor.profile,
    _links: {
      ...(factor.type === "question" ? { questions: hinted(`${user}/factors/questions`, "GET") } : {}),
      ...(active ? {} : { resend, activate: hinted(`${self}/lifecycle/activate`, "POST") }),
      self: active ? hinted(self, "GET", "DELETE") : hinted(self, "GET"),
      user: hinted(user, "GET"),
    },
  };
}
