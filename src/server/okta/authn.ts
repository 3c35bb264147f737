/**
 * /api/v1/authn: people who sign in (Okta's authentication API). Public: who asks is who signs in. A right password is
 * worth a `sessionToken`; an expired one, a reset or a recovery a `stateToken` for the next step.
 *
 * Laws: a refused sign-in is 401 E0000004 and says no more, whoever was meant; attempts are bounded by address, by login,
 * and by how many are judged at once, beside the lock of the person (directory/signIn.ts).
 */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { passwordPolicy } from "../../directory/passwordRules.ts";
import { takeToken } from "../../directory/sessions.ts";
import {
  answerRecovery,
  askRecovery,
  choosePassword,
  type Ground,
  recoverByToken,
  type SignIn,
  type SignInOptions,
  signIn,
} from "../../directory/signIn.ts";
import type { StoredUser } from "../../directory/userQueries.ts";
import { askPasswordHook } from "../../engine/passwordHook.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, originOf, type Server } from "../api.ts";
import { ApiError, invalid } from "../errors.ts";
import { rateLimit } from "../rate.ts";
import { date, hinted } from "./links.ts";

const text = (max: number) => z.string().min(1).max(max);
const credentials = z.object({
  username: text(320).optional(),
  password: z.string().max(1024).optional(),
  /** Of an activation or a reset. */
  token: text(200).optional(),
  recoveryToken: text(200).optional(),
});
const state = z.object({ stateToken: text(500) });

const per_address = 600;
const per_login = 30;
const at_once = 16;
/** Of those, so many may wait for the answer of a hook: one that is silent must not keep everybody else out. */
const asking_at_once = 8;

/** A public route: no area, so no token is asked for. */
const open = <S>(summary: string, body: S) => ({ schema: { tags: ["sessions"], summary, body } });

/** Registers the routes. */
export function authnRoutes(server: Server, api: Api): void {
  const ground = groundOf(api);
  const options: SignInOptions = { key: api.tools.key };
  const bounded = bounds(api);
  const asking = atOnce(asking_at_once);

  server.post("/api/v1/authn", open("Sign in with login and password", credentials), async (request) => {
    const { username, password, token, recoveryToken } = request.body;
    const one_time = token ?? recoveryToken;
    if (one_time !== undefined) {
      const outcome = await bounded(request, undefined, () => recoverByToken(ground(request), one_time));
      return stepBody(api, outcome, request.base_url);
    }
    if (username === undefined) throw invalid("login", "username: the field cannot be left blank");
    const from = { base_url: request.base_url, request_id: request.id, ip: request.ip };
    const importPassword = (user: StoredUser, clear: string) =>
      asking(() => askPasswordHook(api.world, user, clear, from));
    const outcome = await bounded(request, username, () =>
      signIn(ground(request), username, password ?? "", { ...options, importPassword }),
    );
    return stepBody(api, outcome, request.base_url);
  });

  const change = state.extend({ oldPassword: text(1024), newPassword: text(1024) });
  server.post(
    "/api/v1/authn/credentials/change_password",
    open("Replace a password that has expired", change),
    async (request) => {
      const { stateToken, oldPassword, newPassword } = request.body;
      const choice = { old: oldPassword, password: newPassword };
      const outcome = await bounded(request, undefined, () =>
        choosePassword(ground(request), stateToken, choice, options),
      );
      return stepBody(api, chosen(outcome), request.base_url);
    },
  );
  const reset = state.extend({ newPassword: text(1024) });
  server.post(
    "/api/v1/authn/credentials/reset_password",
    open("Choose a new password after a recovery", reset),
    async (request) => {
      const { stateToken, newPassword: password } = request.body;
      const outcome = await bounded(request, undefined, () =>
        choosePassword(ground(request), stateToken, { password }, options),
      );
      return stepBody(api, chosen(outcome), request.base_url);
    },
  );
  recoveryRoutes(server, api, ground, bounded);
}

const groundOf =
  (api: Api) =>
  (request: FastifyRequest): Ground => ({ db: api.db, now: api.world.now, from: originOf(request) });

type Bounded = <T>(request: FastifyRequest, login: string | undefined, work: () => Promise<T>) => Promise<T>;

/** For people who forgot their password. */
function recoveryRoutes(server: Server, api: Api, ground: ReturnType<typeof groundOf>, bounded: Bounded): void {
  const forgotten = z.object({
    username: text(320),
    factorType: text(20).optional(),
    relayState: text(2048).optional(),
  });
  for (const [path, type, summary] of [
    ["password", "PASSWORD", "Say that a password is forgotten"],
    ["unlock", "UNLOCK", "Ask for an account to be unlocked; an administrator does it"],
  ] as const) {
    server.post(`/api/v1/authn/recovery/${path}`, open(summary, forgotten), async (request) => {
      const { username, factorType = "EMAIL" } = request.body;
      const asked = () => (type === "PASSWORD" ? askRecovery(ground(request), username) : Promise.resolve(undefined));
      const outcome = await bounded(request, username, asked);
      // The same words whether or not there is such a person.
      if (outcome === undefined) {
        return { status: "RECOVERY_CHALLENGE", factorResult: "WAITING", factorType, recoveryType: type };
      }
      return stepBody(api, outcome, request.base_url);
    });
  }
  server.post(
    "/api/v1/authn/recovery/token",
    open("Go on with the token of a link", z.object({ recoveryToken: text(200) })),
    async (request) => {
      const outcome = await bounded(request, undefined, () =>
        recoverByToken(ground(request), request.body.recoveryToken),
      );
      return stepBody(api, outcome, request.base_url);
    },
  );
  server.post(
    "/api/v1/authn/recovery/answer",
    open("Answer the recovery question", state.extend({ answer: text(100) })),
    async (request) => {
      const { stateToken, answer } = request.body;
      return stepBody(
        api,
        await bounded(request, undefined, () => answerRecovery(ground(request), stateToken, answer)),
        request.base_url,
      );
    },
  );
  server.post("/api/v1/authn/cancel", open("Give up a sign-in", state), async (request) => {
    const taken = await takeToken(ground(request), request.body.stateToken, ["change", "answer", "reset"]);
    if (taken === undefined) throw badState();
    return {};
  });
}

/** Counts attempts by address and login, and judges so many at once. */
function bounds(api: Api): Bounded {
  const [by_address, by_login] = [rateLimit(per_address), rateLimit(per_login)];
  const judging = atOnce(at_once);
  return async (request, login, work) => {
    const now_ms = Date.now();
    const counted = api.rate_limit !== 0;
    const many =
      counted &&
      (by_address(request.ip, now_ms).exceeded ||
        (login !== undefined && by_login(login.trim().toLowerCase(), now_ms).exceeded));
    if (many) throw tooMany();
    return judging(work);
  };
}

/** Lets so many in at a time, and refuses the others. */
function atOnce(max: number): <T>(work: () => Promise<T>) => Promise<T> {
  let under_way = 0;
  return async (work) => {
    if (under_way >= max) throw tooMany();
    under_way += 1;
    try {
      return await work();
    } finally {
      under_way -= 1;
    }
  };
}

const tooMany = () => new ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.");
const badState = () => new ApiError(401, "E0000011", "Invalid token provided");

/** A password that was refused, in Okta's form. */
function chosen(outcome: SignIn | Refusal): SignIn {
  if (!isRefusal(outcome)) return outcome;
  if (outcome.place === "stateToken") throw badState();
  throw new ApiError(403, "E0000014", "Update of credentials failed", [outcome.refused]);
}

/** The next step of a sign-in in Okta's form. */
async function stepBody(api: Api, step: SignIn | undefined, base: string) {
  if (step === undefined) throw new ApiError(401, "E0000004", "Authentication failed");
  const cancel = hinted(`${base}/api/v1/authn/cancel`, "POST");
  if (step.status === "LOCKED_OUT") {
    return {
      status: "LOCKED_OUT",
      _links: { next: { name: "unlock", ...hinted(`${base}/api/v1/authn/recovery/unlock`, "POST") } },
    };
  }
  const { status, user, token, expires_at } = step;
  const expiresAt = date(expires_at);
  if (status === "SUCCESS") {
    return { expiresAt, status, sessionToken: token, _embedded: { user: person(user) }, _links: { cancel } };
  }
  const [name, path] = {
    PASSWORD_EXPIRED: ["changePassword", "credentials/change_password"],
    PASSWORD_RESET: ["resetPassword", "credentials/reset_password"],
    RECOVERY: ["answer", "recovery/answer"],
  }[status] as [string, string];
  const question = user.credentials.recovery_question;
  const asked = status === "RECOVERY" ? { recovery_question: { question } } : {};
  return {
    stateToken: token,
    expiresAt,
    status,
    _embedded: {
      user: { ...person(user), ...asked },
      ...(status === "RECOVERY" ? {} : { policy: await policyBody(api) }),
    },
    _links: { next: { name, ...hinted(`${base}/api/v1/authn/${path}`, "POST") }, cancel },
  };
}

function person({ id, login, profile, password_changed_at }: StoredUser) {
  return {
    id,
    passwordChanged: date(password_changed_at),
    profile: {
      login: String(profile["login"] ?? login),
      firstName: profile["firstName"] ?? null,
      lastName: profile["lastName"] ?? null,
      locale: profile["locale"] ?? "en_US",
      timeZone: profile["timezone"] ?? "America/Los_Angeles",
    },
  };
}

async function policyBody(api: Api) {
  const policy = await passwordPolicy(api.db);
  return {
    complexity: {
      minLength: policy.min_length,
      minLowerCase: policy.min_lower,
      minUpperCase: policy.min_upper,
      minNumber: policy.min_number,
      minSymbol: policy.min_symbol,
      excludeUsername: policy.exclude_login,
    },
    age: { minAgeMinutes: 0, historyCount: policy.history },
  };
}
