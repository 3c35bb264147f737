/**
 * The compatibility page (docs/okta-compatibility.md) as text: which endpoints of Okta's Management API are served, and
 * how the tests were answered by each. Pure; written by compatibility.ts, held against the routes by a test.
 */

/** An endpoint with its verb. `url` as in the code: `/api/v1/users/:id`. `area`: null for what everybody may ask. */
export type Endpoint = Readonly<{ method: string; url: string; area: string | null }>;

/** Whether it is part of Okta's API: everything else is ours and has a page of its own. */
export const isOktas = ({ url }: Pick<Endpoint, "url">): boolean => /^\/(?:api\/v1|oauth2|\.well-known)\//.test(url);

/** `GET /api/v1/users/{id}`: how an endpoint is named on the page. */
export const nameOf = ({ method, url }: Pick<Endpoint, "method" | "url">): string =>
  `${method} ${url.replaceAll(/:(\w+)/g, "{$1}")}`;

/** The endpoints that a page names. */
export const namedOn = (page: string): readonly string[] =>
  [...page.matchAll(/^\| (GET|POST|PUT|PATCH|DELETE) +\| `([^`]+)` +\|/gm)].map(
    ([, method, url]) => `${method} ${url}`,
  );

const titles: Readonly<Record<string, string>> = {
  users: "People",
  credentials: "Passwords and recovery",
  sessions: "Sessions",
  factors: "Factors",
  groups: "Groups",
  members: "Members of groups",
  rules: "Group rules",
  apps: "Apps",
  assignments: "Who has an app",
  secrets: "Keys and secrets of apps",
  mappings: "Mappings",
  schemas: "Schemas, types, links",
  imports: "Imports",
  sources: "Identity sources",
  logs: "System Log",
  hooks: "Hooks",
  roles: "Roles",
  tokens: "API tokens",
  oauth: "Scopes of clients",
  org: "The organisation",
  features: "Features",
};
const open_title = "Without a token";

/** What Okta has and Tenure does not serve, and why. */
const gaps: readonly (readonly [string, string])[] = [
  ["`/api/v1/policies`, `/api/v1/authorizationServers`", "sign-on is not served"],
  ["`/api/v1/idps`, `/api/v1/trustedOrigins`, `/api/v1/zones`", "sign-on and networks are not Tenure's business"],
  ["`/api/v1/directories/{id}/groups/modify`", "groups of a directory are written by group push"],
  ["`/api/v1/brands`, `/api/v1/domains`, `/api/v1/email-domains`", "there are no branded pages and no mail"],
  ["`/api/v1/devices`, `/api/v1/authenticators`", "devices and factors protect nothing here"],
  ["`/governance/api`", "requests and certifications are a product of their own"],
];

/** The whole page. `answers`: `GET /api/v1/users/:id 200` and so on. */
export function pageOf(endpoints: readonly Endpoint[], answers: ReadonlySet<string>): string {
  const statuses = new Map<string, number[]>();
  for (const line of answers) {
    const [method = "", url = "", status = ""] = line.split(" ");
    const name = nameOf({ method, url });
    statuses.set(name, [...(statuses.get(name) ?? []), Number(status)]);
  }
  const oktas = endpoints.filter(isOktas);
  const areas = Map.groupBy(oktas, ({ area }) => (area === null ? open_title : (titles[area] ?? area)));
  const order = [...Object.values(titles), open_title];
  const sorted = [...areas].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  return [intro(oktas, statuses), ...sorted.map(([title, some]) => table(title, some, statuses)), missing()].join("\n");
}

const worked = (seen: readonly number[] | undefined) => seen?.some((status) => status < 400) ?? false;

function intro(endpoints: readonly Endpoint[], statuses: ReadonlyMap<string, readonly number[]>): string {
  const good = endpoints.filter((one) => worked(statuses.get(nameOf(one)))).length;
  return `# Compatibility with Okta's Management API

Written by \`npm run compatibility\`, which runs the API's tests and notes what each endpoint answered; not edited by hand.
Where an endpoint has a status below 400 a test has seen it do its work. The others only say that it is there, who may
call it and how it refuses; of one with a dash they do not say even that. That every endpoint refuses whoever may not call it is tested for all of them.

${endpoints.length} endpoints are served; ${good} of them were seen at work by these tests. Clients that start a server of
their own (the command line, SDKs, Terraform) call more of them than are counted here.
`;
}

function table(
  title: string,
  endpoints: readonly Endpoint[],
  statuses: ReadonlyMap<string, readonly number[]>,
): string {
  const rows = endpoints
    .toSorted((a, b) => (a.url === b.url ? (a.method < b.method ? -1 : 1) : a.url < b.url ? -1 : 1))
    .map((one) => {
      const seen = (statuses.get(nameOf(one)) ?? []).toSorted((a, b) => a - b);
      const [method, url] = nameOf(one).split(" ");
      return `| ${method} | \`${url}\` | ${seen.length === 0 ? "–" : seen.join(", ")} |`;
    });
  return `## ${title}\n\n| verb | endpoint | answered in tests |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function missing(): string {
  const rows = gaps.map(([what, why]) => `| ${what} | ${why} |`);
  return `## Not served

A path that is not served answers 404 E0000008 and names itself; \`tenure okta-coverage --missing\` lists what was called
and is not there.

| endpoint | why |
|---|---|
${rows.join("\n")}
`;
}
