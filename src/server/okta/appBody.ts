/**
 * An app in Okta's form. What is ours (label, status, connector, switches, signing key) comes from the row; what only
 * clients of Okta's API know (sign-on mode, visibility, notes …) is kept as they sent it in `settings`, over Okta's
 * defaults and those of the catalogue.
 */
import type { Value } from "../../core/types.ts";
import { isCustomName } from "../../directory/appNames.ts";
import type { App } from "../../directory/apps.ts";
import { appLinksOf, entryOf, type Tree } from "./catalogue.ts";
import { date, hinted, org_id } from "./links.ts";

/** What `settings` of an app's row holds: parts of the request, as they came, without secrets. */
export type KeptSettings = Readonly<{
  signOnMode?: string | null;
  accessibility?: Tree;
  visibility?: Tree;
  credentials?: Tree;
  settings?: Tree;
  profile?: Tree;
  /** Not part of the body that clients send: see appPolicies.ts. */
  access_policy?: string;
  id_token?: Tree;
}>;

/** Stands for an address that has not been given yet. */
export const unconfigured = "https://not-configured.invalid";

/** An app that can be provisioned and does not know yet where it is. */
export function isWaiting(app: Pick<App, "config">): boolean {
  return app.config["base_url"] === unconfigured;
}

const notes = { admin: null, enduser: null };
const notifications = { vpn: { network: { connection: "DISABLED" }, message: null, helpUrl: null } };
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is Okta's placeholder, not ours
const userNameTemplate = { template: "${source.login}", type: "BUILT_IN" };
const stored_password = { scheme: "EDIT_USERNAME_AND_PASSWORD", revealPassword: false };

const saml = {
  ...{ defaultRelayState: null, ssoAcsUrlOverride: null, audienceOverride: null, recipientOverride: null },
  ...{ destinationOverride: null, attributeStatements: [] },
};

/** What a SAML app made from no template has besides. */
const custom_saml = {
  ...saml,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Okta's placeholder, not ours
  idpIssuer: "http://www.okta.com/${org.externalKey}",
  ...{ spIssuer: null, requestCompressed: false, inlineHooks: [], acsEndpoints: [] },
  assertionEncryption: { enabled: false },
};

const oauth: Tree = {
  ...{
    client_uri: null,
    logo_uri: null,
    redirect_uris: [],
    response_types: [],
    grant_types: [],
    application_type: "web",
  },
  ...{
    consent_method: "TRUSTED",
    issuer_mode: "DYNAMIC",
    wildcard_redirect: "DISABLED",
    dpop_bound_access_tokens: false,
  },
  idp_initiated_login: { mode: "DISABLED", default_scope: [] },
};

/** Okta's defaults that differ by sign-on mode. */
const modes: Readonly<Record<string, Readonly<{ credentials?: Tree; settings?: Tree }>>> = {
  BASIC_AUTH: { credentials: stored_password },
  BROWSER_PLUGIN: { credentials: stored_password },
  SECURE_PASSWORD_STORE: { credentials: stored_password },
  AUTO_LOGIN: { credentials: stored_password, settings: { signOn: { redirectUrl: null, loginUrl: null } } },
  SAML_1_1: { settings: { signOn: saml } },
  SAML_2_0: { settings: { signOn: custom_saml } },
  OPENID_CONNECT: { settings: { oauthClient: oauth } },
};

/** An app as `GET /api/v1/apps/{id}` gives it. `kind` is ours: which connector it has. No self link, as in Okta. */
export function appBody(app: App, base: string) {
  const kept = app.settings as KeptSettings;
  const mode = kept.signOnMode ?? null;
  const visibility = visibilityOf(app);
  return {
    id: app.id,
    orn: `orn:okta:idp:${org_id}:apps:${app.name}:${app.id}`,
    name: app.name,
    label: app.label,
    status: app.status,
    kind: app.kind,
    lastUpdated: date(app.updated_at),
    created: date(app.created_at),
    accessibility: overlay({ selfService: false, errorRedirectUrl: null, loginRedirectUrl: null }, kept.accessibility),
    ...entryOf(app.name)?.extra,
    visibility,
    features: features(app),
    signOnMode: mode,
    credentials: credentialsOf(app),
    ...(kept.profile === undefined ? {} : { profile: kept.profile }),
    settings: settingsOf(app, base),
    _links: links(app, base, visibility["appLinks"]),
  };
}

function visibilityOf(app: App): Tree {
  const { visibility } = app.settings as KeptSettings;
  const defaults = { autoLaunch: false, autoSubmitToolbar: false, hide: { iOS: false, web: false } };
  return overlay({ ...defaults, appLinks: appLinksOf(app.name, isCustomName(app.name)) }, visibility);
}

function credentialsOf(app: App): Tree {
  const { signOnMode: mode, credentials } = app.settings as KeptSettings;
  const signs = mode?.startsWith("SAML") || mode === "OPENID_CONNECT";
  const client = {
    ...{ autoKeyRotation: true, client_id: app.client_id, token_endpoint_auth_method: "client_secret_basic" },
    pkce_required: false,
  };
  return overlay(
    {
      ...modes[mode ?? ""]?.credentials,
      userNameTemplate: { ...userNameTemplate, ...(isCustomTemplate(credentials) ? { pushStatus: "DONT_PUSH" } : {}) },
      signing: {},
      ...(mode === "OPENID_CONNECT" ? { oauthClient: client } : {}),
    },
    { ...credentials, ...(signs ? { signing: { kid: app.signing_kid } } : { signing: {} }) },
  );
}

/** A user name by an expression also says whether it is pushed. */
function isCustomTemplate(credentials: Tree | undefined): boolean {
  const template = credentials?.["userNameTemplate"];
  return isTree(template) && template["type"] === "CUSTOM";
}

function settingsOf(app: App, base: string): Tree {
  const { signOnMode: mode, settings: given = {} } = app.settings as KeptSettings;
  const defaults = {
    ...{ notifications, manualProvisioning: app.kind === "manual", implicitAssignment: false },
    ...{ emOptInStatus: "NONE", notes },
    ...modes[mode ?? ""]?.settings,
  };
  const merged = overlay(defaults, given);
  const { signOn, oauthClient } = merged;
  const own = isTree(given["app"]) ? given["app"] : {};
  const entry = entryOf(app.name);
  return {
    ...merged,
    ...(isTree(signOn) ? { signOn: withHookLinks(signOn, base) } : {}),
    ...(isTree(oauthClient) ? { oauthClient: withRefresh(oauthClient) } : {}),
    // A connector's configuration, save where the name is the catalogue's, which has settings of its own.
    app: app.kind === "none" || entry?.provisioning ? overlay(entry?.app ?? {}, own) : app.config,
  };
}

/** Inline hooks are named by id; Okta says where each one is. */
function withHookLinks(signOn: Tree, base: string): Tree {
  const { inlineHooks } = signOn;
  if (!Array.isArray(inlineHooks)) return signOn;
  const linked = inlineHooks.map((hook: Value) =>
    isTree(hook) && typeof hook["id"] === "string"
      ? { ...hook, _links: { self: hinted(`${base}/api/v1/inlineHooks/${hook["id"]}`, "GET", "PUT", "DELETE") } }
      : hook,
  );
  return { ...signOn, inlineHooks: linked as Value };
}

/** A client that may refresh its tokens says whether a refresh token changes when it is used. */
function withRefresh(client: Tree): Tree {
  const { grant_types } = client;
  if (!Array.isArray(grant_types) || !grant_types.includes("refresh_token")) return client;
  const given = isTree(client["refresh_token"]) ? client["refresh_token"] : {};
  const standard: Tree =
    given["rotation_type"] === "ROTATE" ? { rotation_type: "ROTATE", leeway: 30 } : { rotation_type: "STATIC" };
  return { ...client, refresh_token: overlay(standard, given) };
}

/** What Okta calls the switches that are on. */
function features(app: App): string[] {
  const { kind, provisioning, sourcing } = app;
  if (kind === "none" || isWaiting(app)) return [];
  const on: Readonly<Record<string, boolean>> = {
    PUSH_NEW_USERS: provisioning.create,
    PUSH_PROFILE_UPDATES: provisioning.update,
    PUSH_USER_DEACTIVATION: provisioning.on_unassign !== "keep",
    REACTIVATE_USERS: provisioning.on_unassign === "disable",
    PUSH_PASSWORD_UPDATES: provisioning.password === "sync",
    GROUP_PUSH: kind === "scim",
    IMPORT_NEW_USERS: sourcing !== null,
    IMPORT_PROFILE_UPDATES: sourcing !== null,
    PROFILE_MASTERING: sourcing !== null,
  };
  return Object.keys(on).filter((name) => on[name]);
}

function links(app: App, base: string, app_links: Value | undefined) {
  const self = `${base}/api/v1/apps/${app.id}`;
  const turn = app.status === "ACTIVE" ? "deactivate" : "activate";
  const { signOnMode: mode, access_policy } = app.settings as KeptSettings;
  const shown = isTree(app_links) ? Object.keys(app_links).filter((name) => app_links[name] === true) : [];
  return {
    uploadLogo: hinted(`${self}/logo`, "POST"),
    appLinks: shown.map((name) => ({ name, href: `${base}/home/${app.name}/${app.id}/${name}`, type: "text/html" })),
    groups: { href: `${self}/groups` },
    logo: [{ name: "medium", href: `${base}/img/apps/${app.id}`, type: "image/png" }],
    users: { href: `${self}/users` },
    [turn]: { href: `${self}/lifecycle/${turn}` },
    ...(access_policy === undefined ? {} : { accessPolicy: { href: `${base}/api/v1/policies/${access_policy}` } }),
    ...(mode?.startsWith("SAML")
      ? {
          help: { href: `${self}/help`, type: "text/html" },
          metadata: { href: `${self}/sso/saml/metadata`, type: "application/xml" },
        }
      : {}),
    ...(mode === "OPENID_CONNECT"
      ? { clientCredentials: [{ name: "secrets", ...hinted(`${self}/credentials/secrets`, "GET", "POST") }] }
      : {}),
  };
}

/** `given` laid over `defaults`, member by member; lists are taken as they are. */
export function overlay(defaults: Tree, given: Tree | undefined): Tree {
  const merged = new Map<string, Value>(Object.entries(defaults));
  for (const [name, value] of Object.entries(given ?? {})) {
    const before = merged.get(name);
    merged.set(name, isTree(before) && isTree(value) ? overlay(before, value) : value);
  }
  return Object.fromEntries(merged);
}

/** Is it an object, not a list? */
export function isTree(value: Value | undefined): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
