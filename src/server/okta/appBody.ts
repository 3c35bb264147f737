/**
 * An app in Okta's form. What is ours (label, status, connector, switches) comes from the row; what only clients of Okta's
 * API know (sign-on mode, visibility, notes …) is kept as they sent it in `settings`, over Okta's defaults.
 */
import type { Value } from "../../core/types.ts";
import type { App } from "../../directory/apps.ts";
import { date } from "./links.ts";

type Tree = Readonly<Record<string, Value>>;

/** What `settings` of an app's row holds: parts of the request, as they came, without secrets. */
export type KeptSettings = Readonly<{
  signOnMode?: string | null;
  accessibility?: Tree;
  visibility?: Tree;
  credentials?: Tree;
  settings?: Tree;
  profile?: Tree;
}>;

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

const nothing = (...names: readonly string[]): Tree => Object.fromEntries(names.map((name) => [name, null]));

/** What Okta shows of an app's own settings where a client left them out, by the template it was made from. */
const templates: Readonly<Record<string, Tree>> = {
  template_swa: nothing("loginUrlRegex", "redirectUrl", "checkbox"),
  template_swa3field: nothing("loginUrlRegex", "redirectUrl"),
  template_basic_auth: nothing("loginUrlRegex"),
  template_sps: nothing(
    ...[
      "optionalField1",
      "optionalField1Value",
      "optionalField2",
      "optionalField2Value",
      "optionalField3",
      "optionalField3Value",
    ],
  ),
  pagerduty: nothing("adminUserId"),
};

/** An app as `GET /api/v1/apps/{id}` gives it. `kind` is ours: which connector it has. No self link, as in Okta. */
export function appBody(app: App, base: string) {
  const kept = app.settings as KeptSettings;
  const mode = kept.signOnMode ?? null;
  const defaults = modes[mode ?? ""] ?? {};
  const given = kept.settings ?? {};
  return {
    id: app.id,
    name: app.name,
    label: app.label,
    status: app.status,
    kind: app.kind,
    lastUpdated: date(app.updated_at),
    created: date(app.created_at),
    accessibility: overlay({ selfService: false, errorRedirectUrl: null, loginRedirectUrl: null }, kept.accessibility),
    visibility: overlay(
      { autoLaunch: false, autoSubmitToolbar: false, hide: { iOS: false, web: false }, appLinks: { login: true } },
      kept.visibility,
    ),
    features: features(app),
    signOnMode: mode,
    credentials: overlay(
      {
        ...defaults.credentials,
        userNameTemplate: { ...userNameTemplate, ...(isCustom(kept.credentials) ? { pushStatus: "DONT_PUSH" } : {}) },
        signing: mode?.startsWith("SAML") || mode === "OPENID_CONNECT" ? { kid: `kid${app.id}` } : {},
        ...(mode === "OPENID_CONNECT"
          ? {
              oauthClient: {
                autoKeyRotation: true,
                client_id: app.id,
                token_endpoint_auth_method: "client_secret_basic",
                pkce_required: false,
              },
            }
          : {}),
      },
      kept.credentials,
    ),
    ...(kept.profile === undefined ? {} : { profile: kept.profile }),
    settings: {
      ...overlay(
        {
          notifications,
          manualProvisioning: app.kind === "manual",
          implicitAssignment: false,
          emOptInStatus: "NONE",
          notes,
          ...defaults.settings,
        },
        given,
      ),
      app:
        app.kind === "none" ? overlay(templates[app.name] ?? {}, isTree(given["app"]) ? given["app"] : {}) : app.config,
    },
    _links: links(app, base),
  };
}

/** A user name by an expression also says whether it is pushed. */
function isCustom(credentials: Tree | undefined): boolean {
  const template = credentials?.["userNameTemplate"];
  return isTree(template) && template["type"] === "CUSTOM";
}

/** What Okta calls the switches that are on. */
function features({ kind, provisioning, sourcing }: App): string[] {
  if (kind === "none") return [];
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

function links(app: App, base: string) {
  const self = `${base}/api/v1/apps/${app.id}`;
  const turn = app.status === "ACTIVE" ? "deactivate" : "activate";
  const mode = (app.settings as KeptSettings).signOnMode;
  return {
    uploadLogo: { href: `${self}/logo`, hints: { allow: ["POST"] } },
    appLinks: [{ name: "login", href: `${base}/home/${app.name}/${app.id}/1`, type: "text/html" }],
    groups: { href: `${self}/groups` },
    logo: [{ name: "medium", href: `${base}/img/app-medium.png`, type: "image/png" }],
    users: { href: `${self}/users` },
    [turn]: { href: `${self}/lifecycle/${turn}` },
    ...(mode?.startsWith("SAML")
      ? {
          help: { href: `${self}/help`, type: "text/html" },
          metadata: { href: `${self}/sso/saml/metadata`, type: "application/xml" },
        }
      : {}),
    ...(mode === "OPENID_CONNECT"
      ? {
          clientCredentials: [
            { name: "secrets", href: `${self}/credentials/secrets`, hints: { allow: ["GET", "POST"] } },
          ],
        }
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

function isTree(value: Value | undefined): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
