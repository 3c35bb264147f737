/**
 * /api/v1/apps/{id}/credentials/csrs: requests for certificates that somebody else signs. A request whose certificate
 * comes back becomes a signing key of the app.
 */
import { z } from "zod";
import { type Csr, createCsr, listCsrs, publishCsr, revokeCsr } from "../../directory/appKeys.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { appKeyBody } from "./appKeys.ts";
import { date, hinted } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ csr_id: z.string().min(1).max(100) });
const name = z.string().min(1).max(64).optional();
const csr_input = z.object({
  subject: z.object({
    countryName: z
      .string()
      .regex(/^[A-Za-z]{2}$/, "two letters, as in US")
      .optional(),
    ...{ stateOrProvinceName: name, localityName: name, organizationName: name, organizationalUnitName: name },
    commonName: name,
  }),
  subjectAltNames: z
    .object({
      dnsNames: z
        .array(z.string().regex(/^(\*\.)?[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,20}$/))
        .max(50)
        .optional(),
    })
    .nullish(),
});
const url = "/api/v1/apps/:app_id/credentials/csrs";

/** Registers the routes. */
export function appCsrRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "The open certificate requests of an app", { params: app_params }), async (request) => {
    const app = await oneApp(api, request.params.app_id);
    return (await listCsrs(api.db, app.id)).map((csr) => csrBody(csr, request.base_url));
  });

  server.post(
    url,
    about("secrets", "Make a key and a request that certifies it", { params: app_params, body: csr_input }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { subject, subjectAltNames } = request.body;
      const { countryName: country, ...names } = subject;
      const whom = { ...(country === undefined ? {} : { countryName: country.toUpperCase() }), ...names };
      if (Object.keys(whom).length === 0) throw invalid("subject", "subject: needs one name at least");
      const csr = await createCsr(commandOf(api, request), api.tools.key, app, whom, subjectAltNames?.dnsNames ?? []);
      return reply.code(201).send(csrBody(must(csr), request.base_url));
    },
  );

  server.get(`${url}/:csr_id`, about("apps", "One certificate request", { params }), async (request) => {
    const app = await oneApp(api, request.params.app_id);
    const { csr_id } = request.params;
    const csr = (await listCsrs(api.db, app.id)).find(({ id }) => id === csr_id);
    return csrBody(found(csr, csr_id, "ClientCredentials"), request.base_url);
  });

  server.delete(
    `${url}/:csr_id`,
    about("secrets", "Give up a certificate request", { params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { csr_id } = request.params;
      const gone = must(await revokeCsr(commandOf(api, request), app, csr_id));
      found(gone || undefined, csr_id, "ClientCredentials");
      return reply.code(204).send();
    },
  );

  server.post(
    `${url}/:csr_id/lifecycle/publish`,
    about("secrets", "Hand in the certificate: application/pkix-cert or x-x509-ca-cert (DER, base64), x-pem-file", {
      params,
    }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { csr_id } = request.params;
      if (!Buffer.isBuffer(request.body)) throw invalid("certificate", "Send a certificate as application/pkix-cert");
      const csr = (await listCsrs(api.db, app.id)).find(({ id }) => id === csr_id);
      found(csr, csr_id, "ClientCredentials");
      const key = must(await publishCsr(commandOf(api, request), api.tools.key, app, csr_id, request.body));
      return reply.code(201).send(appKeyBody(key));
    },
  );
}

function csrBody(csr: Csr, base: string) {
  const self = `${base}/api/v1/apps/${csr.app_id}/credentials/csrs/${csr.id}`;
  return {
    id: csr.id,
    created: date(csr.created_at),
    csr: csr.request,
    kty: "RSA",
    _links: {
      publish: hinted(`${self}/lifecycle/publish`, "POST"),
      self: hinted(self, "GET", "DELETE"),
    },
  };
}
