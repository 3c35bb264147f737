/**
 * /api/v1/apps/{id}/sso/saml/metadata: what a service provider would be told to trust. Sign-on itself is not served here:
 * the addresses in it are those that a sign-on system beside Tenure would answer.
 */
import { z } from "zod";
import { type AppKey, listAppKeys } from "../../directory/appKeys.ts";
import type { App } from "../../directory/apps.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, must } from "../errors.ts";
import { app_params, oneApp } from "./oneApp.ts";

const query = z.object({
  kid: z.string().max(100).optional().describe("Which key of the app; by default the one in use"),
});

/** Registers the route. */
export function samlMetadataRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/sso/saml/metadata",
    about("apps", "SAML metadata of an app", { params: app_params, querystring: query }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const keys = must(await listAppKeys(commandOf(api, request), api.tools.key, app));
      const kid = request.query.kid ?? app.signing_kid;
      const key = keys.find((one) => one.kid === kid);
      if (key === undefined) {
        // Okta's error for it: what is asked for is no form in which this can be given.
        throw new ApiError(
          400,
          "E0000019",
          "Bad request. Accept and/or Content-Type headers likely do not match supported values.",
          [
            `${app.label} has no key ${kid.slice(0, 100)}; its keys are listed at /api/v1/apps/${app.id}/credentials/keys`,
          ],
        );
      }
      return reply.type("text/xml; charset=utf-8").send(metadata(app, key, request.base_url));
    },
  );
}

const formats = [
  "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
  "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
];
const bindings = [
  "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
  "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
];

/** The document. `exk…` is the app's name towards service providers, as in Okta. */
function metadata(app: App, key: AppKey, base: string): string {
  const external = `exk${app.id.slice(3)}`;
  const location = escaped(`${base}/app/${encodeURIComponent(app.name)}/${external}/sso/saml`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<md:EntityDescriptor entityID="${escaped(`${base}/${external}`)}" xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">`,
    '<md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">',
    '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>',
    `<ds:X509Certificate>${key.certificate}</ds:X509Certificate>`,
    "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
    ...formats.map((format) => `<md:NameIDFormat>${format}</md:NameIDFormat>`),
    ...bindings.map((binding) => `<md:SingleSignOnService Binding="${binding}" Location="${location}"/>`),
    "</md:IDPSSODescriptor></md:EntityDescriptor>",
  ].join("");
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string) => text.replaceAll(/[&<>"]/g, (sign) => entities[sign] ?? sign);
