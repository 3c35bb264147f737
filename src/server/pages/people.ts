/**
 * The pages behind the links that an activation and a reset hand out: /welcome/{token} and
 * /signin/reset-password/{token}. A person chooses a password there, and is active.
 *
 * Laws: the token in the address is all that a visitor needs, and is worth nothing once used or when its time is over;
 * no cookie is read, so no other site can act in a visitor's name; pages work without script, by keyboard and aloud.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { policyWords } from "../../core/passwordPolicy.ts";
import { passwordPolicy } from "../../directory/passwordRules.ts";
import { completeByToken, personOfToken } from "../../directory/signIn.ts";
import type { StoredUser } from "../../directory/userQueries.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, originOf, type Server } from "../api.ts";
import { ApiError } from "../errors.ts";
import { rateLimit } from "../rate.ts";
import { html, page, sendPage } from "./page.ts";

const form_bytes_max = 8_192;
const per_address = 60;

type Kind = Readonly<{ path: string; title: string; lead: string; button: string; done: string; asks: boolean }>;

const kinds: readonly Kind[] = [
  {
    path: "/welcome/:token",
    title: "Welcome",
    lead: "Choose a password to start using your account",
    button: "Activate account",
    done: "Your account is active. You can close this page and sign in.",
    asks: true,
  },
  {
    path: "/signin/reset-password/:token",
    title: "Choose a new password",
    lead: "Choose a new password for your account",
    button: "Set password",
    done: "Your password is set. You can close this page and sign in.",
    asks: false,
  },
];

const params = z.object({ token: z.string().min(1).max(200) });
const fields = z.object({
  password: z.string().max(1024).default(""),
  again: z.string().max(1024).default(""),
  question: z.string().max(100).default(""),
  answer: z.string().max(100).default(""),
});
type Fields = z.infer<typeof fields>;

/** Registers the pages. */
export function peoplePages(server: Server, api: Api): void {
  const count = rateLimit(per_address);
  for (const kind of kinds) {
    const schema = { hide: true, params };
    server.get(kind.path, { schema }, async (request, reply) => {
      const user = await personOfToken(api.db, request.params.token, api.world.now());
      return user === undefined ? goneForGood(reply) : sendPage(reply, 200, await formPage(api, kind, user, []));
    });
    server.post(kind.path, { schema, bodyLimit: form_bytes_max }, async (request, reply) => {
      if (api.rate_limit !== 0 && count(request.ip, Date.now()).exceeded) {
        throw new ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.");
      }
      return submitted(api, kind, request, request.params.token, reply);
    });
  }
}

async function submitted(api: Api, kind: Kind, request: FastifyRequest, token: string, reply: FastifyReply) {
  const ground = { db: api.db, now: api.world.now, from: originOf(request) };
  const user = await personOfToken(api.db, token, api.world.now());
  if (user === undefined) return goneForGood(reply);
  const sent = fields.safeParse(request.body ?? {});
  const problems = sent.success ? problemsOf(sent.data) : ["A field is longer than it may be."];
  if (!sent.success || problems.length > 0) return sendPage(reply, 400, await formPage(api, kind, user, problems));
  const { password, question, answer } = sent.data;
  const recovery = question === "" ? {} : { recovery: { question, answer } };
  const outcome = await completeByToken(ground, token, { password, ...recovery }, { key: api.tools.key });
  if (!isRefusal(outcome)) return sendPage(reply, 200, page("All set", `<p role="status">${html(kind.done)}</p>`));
  if (outcome.place === "stateToken") return goneForGood(reply);
  return sendPage(reply, 400, await formPage(api, kind, user, [outcome.refused.replace(/^password: /, "")]));
}

function problemsOf({ password, again, question, answer }: Fields): string[] {
  return [
    ...(password === "" ? ["Enter a password."] : []),
    ...(password !== again ? ["The two passwords differ: enter the same one twice."] : []),
    ...(question !== "" && answer.trim().length < 4
      ? ["Enter an answer of at least 4 characters, or leave the question out."]
      : []),
    ...(question === "" && answer !== "" ? ["Enter the question that this answers."] : []),
  ];
}

/** What was typed is not sent back: passwords never stand in a page. */
async function formPage(api: Api, kind: Kind, user: StoredUser, problems: readonly string[]): Promise<string> {
  const words = policyWords(await passwordPolicy(api.db));
  const first = user.profile["firstName"];
  const title = kind.asks && typeof first === "string" ? `${kind.title}, ${first}` : kind.title;
  const wrong =
    problems.length === 0
      ? ""
      : `<div class="bad" role="alert" id="problems">${problems.map((one) => `<div>${html(one)}</div>`).join("")}</div>`;
  const described = problems.length === 0 ? "rules" : "rules problems";
  const invalid = problems.length === 0 ? "" : ' aria-invalid="true"';
  return page(
    title,
    `<p>${html(kind.lead)}, <strong>${html(user.login)}</strong>.</p>${wrong}
<form method="post" accept-charset="utf-8">
<input type="text" name="username" value="${html(user.login)}" autocomplete="username" hidden>
<label for="password">New password</label>
<input id="password" name="password" type="password" autocomplete="new-password" required maxlength="1024" aria-describedby="${described}"${invalid}${problems.length === 0 ? "" : " autofocus"}>
<p class="hint" id="rules">It needs ${html(words.join(", "))}.</p>
<label for="again">The same password again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required maxlength="1024">
${kind.asks ? recoveryFields : ""}
<button type="submit">${html(kind.button)}</button>
</form>`,
  );
}

const recoveryFields = `<label for="question">A question that only you can answer (optional)</label>
<input id="question" name="question" maxlength="100" autocomplete="off" aria-describedby="why">
<p class="hint" id="why">It is asked when you have forgotten your password.</p>
<label for="answer">Its answer</label>
<input id="answer" name="answer" maxlength="100" autocomplete="off">`;

function goneForGood(reply: FastifyReply): FastifyReply {
  const text = "This link has been used, or its time is over. Ask your administrator for a new one.";
  return sendPage(reply, 404, page("This link does not work any more", `<p>${text}</p>`));
}
