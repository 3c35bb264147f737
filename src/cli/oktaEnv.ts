/** tenure okta-env: what Okta's own clients must be told to talk to this server, for `eval` or a file of variables. */
import { print, printJson } from "./output.ts";
import { command } from "./parts.ts";

/** Variables by the client that reads them. The token is told to whoever holds it already. */
export function environmentOf(url: string, token: string): readonly (readonly [name: string, value: string])[] {
  const { host, protocol } = new URL(url);
  // A bare name or an address has no part that could be an organisation's.
  const [org_name = "", ...rest] = /^[a-z][^.]*\./i.test(host) ? host.split(".") : ["tenure", host];
  const plain = protocol === "http:";
  return [
    // The SDKs for Node, Go, Python and .NET, and the command line for PowerShell.
    ["OKTA_CLIENT_ORGURL", url],
    ["OKTA_CLIENT_TOKEN", token],
    ["OKTA_CLIENT_AUTHORIZATIONMODE", "SSWS"],
    // Those that insist on https unless they are told that this is a test.
    ...(plain ? ([["OKTA_TESTING_DISABLE_HTTPS_CHECK", "true"]] as const) : []),
    // The provider for Terraform: an address in OKTA_HTTP_PROXY takes the place of the organisation's.
    ["OKTA_API_TOKEN", token],
    ["OKTA_ORG_NAME", org_name],
    ["OKTA_BASE_URL", rest.join(".")],
    ...(plain ? ([["OKTA_HTTP_PROXY", url]] as const) : []),
  ];
}

export const { run } = command({
  usage: {
    name: "okta-env",
    words: "",
    summary: `Prints the variables that point Okta's SDKs and Terraform at this server, with the token that this command
itself uses. In a shell: eval "$(tenure okta-env)".`,
    options: {},
  },
  least: 0,
  run: async (client, given) => {
    // Whoever is wrong about the address or the token learns it here, and not from Terraform.
    await client.get("/api/v1/users/me");
    const lines = environmentOf(client.url, client.token);
    if (given.flag("json")) printJson(Object.fromEntries(lines));
    else print(lines.map(([name, value]) => `export ${name}=${quoted(value)}`).join("\n"));
  },
});

const quoted = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;
