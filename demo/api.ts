/**
 * The demo as a user of Tenure's API: everything it sets up and changes goes through here, nothing past it. What the
 * command line does could do the same.
 */

/** A refused request: what was asked, the status, and Okta's error summary with its causes. */
export class ApiRefusal extends Error {
  readonly status: number;
  constructor(what: string, status: number, message: string) {
    super(`${what}: ${status} ${message}`);
    this.name = "ApiRefusal";
    this.status = status;
  }
}

export type Api = Readonly<{
  url: string;
  token: string;
  get<T>(path: string): Promise<T>;
  /** All pages of a list. */
  list<T>(path: string): Promise<readonly T[]>;
  post<T>(path: string, body?: unknown): Promise<T>;
  put<T>(path: string, body?: unknown): Promise<T>;
  patch<T>(path: string, body?: unknown): Promise<T>;
  /** An answer that is no JSON. */
  text(path: string): Promise<string>;
  delete(path: string): Promise<void>;
}>;

const call_ms = 60_000;

/** An API at an address, with a token. */
export function apiAt(url: string, token: string): Api {
  const send = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `SSWS ${token}`,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(call_ms),
    });
    const text = await answer.text();
    if (!answer.ok) throw new ApiRefusal(`${method} ${path}`, answer.status, reasonOf(text));
    return { headers: answer.headers, text };
  };
  const value =
    (method: string) =>
    async <T>(path: string, body?: unknown): Promise<T> => {
      const { text } = await send(method, path, body);
      return (text === "" ? null : JSON.parse(text)) as T;
    };
  return {
    url,
    token,
    get: value("GET"),
    post: value("POST"),
    put: value("PUT"),
    patch: value("PATCH"),
    text: async (path) => (await send("GET", path)).text,
    delete: (path) => value("DELETE")(path),
    async list<T>(path: string): Promise<readonly T[]> {
      const rows: T[] = [];
      for (let next: string | undefined = path; next !== undefined; ) {
        const answer: Awaited<ReturnType<typeof send>> = await send("GET", next);
        rows.push(...(JSON.parse(answer.text) as T[]));
        next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
      }
      return rows;
    },
  };
}

function reasonOf(text: string): string {
  try {
    const body = JSON.parse(text) as { errorSummary?: string; errorCauses?: { errorSummary: string }[] };
    return [body.errorSummary ?? text, ...(body.errorCauses ?? []).map((cause) => cause.errorSummary)].join("; ");
  } catch {
    return text.slice(0, 300);
  }
}
