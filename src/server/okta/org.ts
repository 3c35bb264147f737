/**
 * The organisation: what clients ask before anything else (`pipeline` v1 tells them that there are no sign-on policies),
 * what it says of itself, whom to ask, and switches (okta-api 4.8).
 */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import {
  type ContactType,
  changeOrganisation,
  changeSupportAccess,
  contact_types,
  contactOf,
  type Organisation,
  org_texts,
  readOrganisation,
  readSwitch,
  setContact,
  supportAccess,
} from "../../directory/organisation.ts";
import { setSetting } from "../../directory/settings.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must, notFound } from "../errors.ts";
import { date, hinted, org_id } from "./links.ts";
import { oneUser } from "./users.ts";

const text = z.string().max(1_000).nullish();
/** The whole of GET may come back: what cannot be changed is not looked at. */
const org_input = z.object({
  companyName: z.string().min(1).max(200).nullish(),
  website: text,
  ...Object.fromEntries(org_texts.map((name) => [name, text])),
});

/** Registers the routes. */
export function orgRoutes(server: Server, api: Api): void {
  server.get(
    "/.well-known/okta-organization",
    { schema: { tags: ["org"], summary: "What kind of organisation this is; public" } },
    async (request) => ({
      id: org_id,
      cell: "tenure",
      pipeline: "v1",
      settings: {
        analyticsCollectionEnabled: false,
        bugReportingEnabled: false,
        omEnabled: false,
        pssoEnabled: false,
        desktopMFAEnabled: false,
        itpEnabled: false,
        appManagementEnabled: false,
      },
      _links: { organization: { href: request.base_url } },
    }),
  );

  server.get("/api/v1/org", about("org", "Name and addresses of the organisation"), async (request) =>
    orgBody(request, await readOrganisation(api.db)),
  );
  for (const [method, replace] of [
    ["POST", false],
    ["PUT", true],
  ] as const) {
    const options = about("org", replace ? "Replace what the organisation says of itself" : "Change part of it");
    server.route({
      method,
      url: "/api/v1/org",
      ...options,
      schema: { ...options.schema, body: org_input },
      handler: async (request) => {
        const change = changeOf(request.body as Record<string, string | null | undefined>);
        return orgBody(request, must(await changeOrganisation(commandOf(api, request), change, replace)));
      },
    });
  }
  contactRoutes(server, api);
  supportRoutes(server, api);
  const communication = "/api/v1/org/privacy/oktaCommunication";
  switchRoutes(server, api, communication, "optOutEmailUsers", { true: "optOut", false: "optIn" });
  const footer = { true: "showEndUserFooter", false: "hideEndUserFooter" };
  switchRoutes(server, api, "/api/v1/org/preferences", "showEndUserFooter", footer);
}

function changeOf(body: Readonly<Record<string, string | null | undefined>>) {
  const texts = new Map<string, string | null>();
  for (const name of org_texts) if (body[name] !== undefined) texts.set(name, body[name] ?? null);
  const { companyName, website } = body;
  return {
    ...(companyName ? { name: companyName } : {}),
    ...(website === undefined ? {} : { website }),
    texts: Object.fromEntries(texts),
  };
}

function orgBody(request: FastifyRequest, org: Organisation) {
  const self = `${request.base_url}/api/v1/org`;
  const empty: Readonly<Record<string, string>> = {
    phoneNumber: "",
    endUserSupportHelpURL: "",
    supportPhoneNumber: "",
  };
  return {
    id: org_id,
    subdomain: new URL(request.base_url).hostname,
    companyName: org.name,
    status: "ACTIVE",
    website: org.website,
    created: date(org.created_at),
    lastUpdated: date(org.updated_at),
    expiresAt: null,
    ...Object.fromEntries(org_texts.map((name) => [name, org.texts[name] ?? empty[name] ?? null])),
    _links: {
      preferences: { href: `${self}/preferences` },
      uploadLogo: hinted(`${self}/logo`, "POST"),
      oktaCommunication: { href: `${self}/privacy/oktaCommunication` },
      logo: { href: `${request.base_url}/img/org-logo.png` },
      oktaSupport: { href: `${self}/privacy/oktaSupport` },
      contacts: { href: `${self}/contacts` },
    },
  };
}

function contactRoutes(server: Server, api: Api): void {
  const contacts = "/api/v1/org/contacts";
  server.get(contacts, about("org", "The kinds of contact"), async (request) =>
    contact_types.map((contactType) => {
      const name = contactType.toLowerCase();
      return { contactType, _links: { [name]: { href: `${request.base_url}${contacts}/${name}` } } };
    }),
  );
  const params = z.object({ contact_type: z.string().max(50) });
  const body = z.object({ userId: z.string().min(1).max(100) });
  const answer = (request: FastifyRequest, userId: string | null) => ({
    userId,
    _links: userId === null ? {} : { user: { href: `${request.base_url}/api/v1/users/${userId}` } },
  });
  server.get(`${contacts}/:contact_type`, about("org", "Whom to ask", { params }), async (request) =>
    answer(request, await contactOf(api.db, typeOf(request.params.contact_type))),
  );
  server.put(`${contacts}/:contact_type`, about("org", "Say whom to ask", { params, body }), async (request) => {
    const type = typeOf(request.params.contact_type);
    const { id } = await oneUser(api, request.body.userId);
    must(await setContact(commandOf(api, request), type, id));
    return answer(request, id);
  });
}

function typeOf(text: string): ContactType {
  const type = contact_types.find((one) => one === text.toUpperCase());
  if (type === undefined) throw notFound(text, "OrgContactType");
  return type;
}

function supportRoutes(server: Server, api: Api): void {
  const support = "/api/v1/org/privacy/oktaSupport";
  const answer = (request: FastifyRequest, until: Date | null) => {
    const link = (name: string) => ({ [name]: hinted(`${request.base_url}${support}/${name}`, "POST") });
    return {
      support: until === null ? "DISABLED" : "ENABLED",
      expiration: date(until),
      _links: until === null ? link("grant") : { ...link("extend"), ...link("revoke") },
    };
  };
  server.get(support, about("org", "Whether support has access: it never does anything here"), async (request) =>
    answer(request, await supportAccess(api.db, api.world.now())),
  );
  for (const change of ["grant", "extend", "revoke"] as const) {
    server.post(`${support}/${change}`, about("org", `Support access: ${change}`), async (request) =>
      answer(request, must(await changeSupportAccess(commandOf(api, request), change)) as Date | null),
    );
  }
}

/** A switch that is read at its path and turned by a POST below it: `names` says which turns it on and off. */
function switchRoutes(
  server: Server,
  api: Api,
  path: string,
  field: string,
  names: Readonly<{ true: string; false: string }>,
): void {
  const setting = `org.${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
  const answer = (request: FastifyRequest, on: boolean) => {
    const other = names[`${!on}`];
    return { [field]: on, _links: { [other]: hinted(`${request.base_url}${path}/${other}`, "POST") } };
  };
  server.get(path, about("org", `The switch ${field}`), async (request) =>
    answer(request, await readSwitch(api.db, setting, true)),
  );
  for (const on of [true, false]) {
    server.post(`${path}/${names[`${on}`]}`, about("org", `Turn ${field} ${on ? "on" : "off"}`), async (request) => {
      must(await setSetting(commandOf(api, request), setting, on));
      return answer(request, on);
    });
  }
}
