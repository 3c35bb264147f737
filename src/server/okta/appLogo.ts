/**
 * POST /api/v1/apps/{id}/logo, and the pictures that links point at: an app's logo, or a plain one. Pictures are public,
 * as Okta's are, and were sent by somebody: browsers are told to take them for pictures only and to run nothing in them.
 */
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { logoOf, setLogo } from "../../directory/logos.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { invalid, must } from "../errors.ts";
import type { Part } from "../multipart.ts";
import { app_params, oneApp } from "./oneApp.ts";

const plain = (drawing: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" fill="none" stroke="#5b6472" stroke-width="4">${drawing}</svg>`;
const app_picture = plain('<rect x="10" y="10" width="44" height="44" rx="8"/>');
const group_picture = plain('<circle cx="32" cy="24" r="10"/><path d="M12 54c0-11 9-18 20-18s20 7 20 18"/>');
const svg = "image/svg+xml";

/** Registers the routes. */
export function appLogoRoutes(server: Server, api: Api): void {
  server.post(
    "/api/v1/apps/:app_id/logo",
    about("apps", "Give an app a logo: multipart/form-data with a picture as `file`", { params: app_params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const parts = Array.isArray(request.body) ? (request.body as readonly Part[]) : [];
      const file = parts.find(({ name, bytes }) => name === "file" && Buffer.isBuffer(bytes));
      if (file === undefined) throw invalid("file", "Send the picture as the part `file` of multipart/form-data");
      must(await setLogo(commandOf(api, request), app, file.bytes), "file");
      return reply.code(201).header("location", `${request.base_url}/img/apps/${app.id}`).send();
    },
  );

  const hidden = { hide: true, summary: "A picture; public" };
  server.get("/img/apps/:app_id", { schema: { ...hidden, params: app_params } }, async (request, reply) => {
    const logo = await logoOf(api.db, request.params.app_id);
    return picture(reply, logo?.type ?? svg, logo === undefined ? app_picture : Buffer.from(logo.bytes));
  });

  const one = z.object({ name: z.enum(["medium", "large"]) });
  server.get("/img/groups/:name", { schema: { ...hidden, params: one } }, async (_, reply) =>
    picture(reply, svg, group_picture),
  );
}

function picture(reply: FastifyReply, type: string, bytes: Buffer | string): FastifyReply {
  return reply
    .header("cache-control", "public, max-age=300")
    .header("x-content-type-options", "nosniff")
    .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    .type(type)
    .send(bytes);
}
