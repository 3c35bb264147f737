/**
 * What Okta's catalogue of integrations knows of the apps that its clients name: how AUTO_LOGIN turns out, which links an
 * app has on a person's page, what its settings hold where a client left them out, and whether it can be provisioned.
 *
 * A name that is not here is an app for sign-on only, with one link. An app without a name is a custom one, whose name is
 * made from its label (directory/apps.ts). Read by apps.ts and appBody.ts.
 */
import type { Value } from "../../core/types.ts";

export type Tree = Readonly<Record<string, Value>>;

/** One entry. */
export type Entry = Readonly<{
  /** What AUTO_LOGIN becomes; absent: BROWSER_PLUGIN. */
  auto_login?: string | null;
  /** The mode of an app that asks for none. */
  mode?: string;
  /** Links on a person's page; the first is shown unless the client says otherwise. */
  links?: readonly string[];
  /** `settings.app`, where a client left it out. */
  app?: Tree;
  /** Members of the app itself. */
  extra?: Tree;
  /** It may be provisioned: it gets a SCIM connector that waits for its address. */
  provisioning?: true;
  /** What the catalogue lists of it. */
  features?: readonly string[];
}>;

const nothing = (...names: readonly string[]): Tree => Object.fromEntries(names.map((name) => [name, null]));

const office_links = [
  ...["login", "calendar", "crm", "delve", "excel", "forms", "mail", "newsfeed", "onedrive", "people", "planner"],
  ...["powerbi", "powerpoint", "sites", "sway", "tasks", "teams", "word", "yammer"],
];

const optional_fields = [1, 2, 3].flatMap((n) => [`optionalField${n}`, `optionalField${n}Value`]);

const entries: Readonly<Record<string, Entry>> = {
  bookmark: { mode: "BOOKMARK", app: { requestIntegration: false } },
  template_swa: { mode: "BROWSER_PLUGIN", app: nothing("loginUrlRegex", "redirectUrl", "checkbox") },
  template_swa3field: { mode: "BROWSER_PLUGIN", app: nothing("loginUrlRegex", "redirectUrl") },
  template_basic_auth: { mode: "BASIC_AUTH", app: nothing("loginUrlRegex") },
  template_sps: { mode: "SECURE_PASSWORD_STORE", app: nothing(...optional_fields) },
  oidc_client: {
    ...{ mode: "OPENID_CONNECT", links: ["oidc_client_link"] },
    features: ["DEFAULT_PUSH_STATUS_TO_PUSH"],
  },
  okta_org2org: { provisioning: true, features: ["PUSH_NEW_USERS"] },
  office365: {
    links: office_links,
    app: {
      ...nothing("tenantType", "occSettings", "office365ProvisioningType", "office365FlexibleProvisioningMode"),
      ...{ domains: [], requireAdminConsent: false, windowsTransportEnabled: false },
    },
    extra: { licensing: { seatCount: 0 } },
  },
  pagerduty: { app: nothing("adminUserId") },
  aws_console: { links: ["aws_console_login"] },
  deelhr: { auto_login: null, links: ["deelhr_link"], provisioning: true, features: ["PUSH_NEW_USERS"] },
  sharepoint_onpremise: { app: nothing("attributeStatements") },
  facebook: {},
};

/** The entry of a name; undefined: not in the catalogue. */
export function entryOf(name: string | undefined): Entry | undefined {
  return name !== undefined && Object.hasOwn(entries, name) ? entries[name] : undefined;
}

/** The mode that an app of this name has when a client asks for `asked`. `custom`: it has no name of its own. */
export function modeOf(name: string | undefined, asked: string | null | undefined): string | null {
  const entry = entryOf(name);
  if (asked === undefined || asked === null) return entry?.mode ?? null;
  if (asked !== "AUTO_LOGIN" || name === undefined) return asked;
  return entry?.auto_login === undefined ? "BROWSER_PLUGIN" : entry.auto_login;
}

/** The links of an app on a person's page: name → shown. */
export function appLinksOf(name: string, custom: boolean): Readonly<Record<string, boolean>> {
  const links = entryOf(name)?.links ?? [custom ? `${name}_link` : "login"];
  return Object.fromEntries(links.map((link, n) => [link, n === 0]));
}
