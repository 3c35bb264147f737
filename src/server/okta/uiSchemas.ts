/** /api/v1/meta/uischemas: forms for people to fill in, kept for the clients that define them. */
import { z } from "zod";
import {
  createUiSchema,
  deleteUiSchema,
  getUiSchema,
  listUiSchemas,
  replaceUiSchema,
  type UiForm,
  type UiSchema,
} from "../../directory/uiSchemas.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { date, hinted } from "./links.ts";

const text = z.string().max(500);
const element = z.object({
  type: text.default("Control"),
  scope: text,
  label: text.nullish(),
  options: z.record(z.string().max(100), z.union([text, z.number(), z.boolean(), z.null()])).nullish(),
});
const ui_schema = z.object({
  type: text.default("Group"),
  label: text.nullish(),
  buttonLabel: text.nullish(),
  elements: z.array(element).max(200).default([]),
});
const body = z.object({ uiSchema: ui_schema });
const params = z.object({ ui_schema_id: z.string().max(100) });
const forms = "/api/v1/meta/uischemas";
const one = "/api/v1/meta/uischemas/:ui_schema_id";

/** Registers the routes. */
export function uiSchemaRoutes(server: Server, api: Api): void {
  server.get(forms, about("schemas", "The forms"), async (request) =>
    (await listUiSchemas(api.db)).map((form) => formBody(form, request.base_url)),
  );
  server.post(forms, about("schemas", "Keep a form", { body }), async (request) =>
    formBody(
      must(await createUiSchema(commandOf(api, request), formOf(request.body.uiSchema)), "uiSchema"),
      request.base_url,
    ),
  );
  server.get(one, about("schemas", "A form", { params }), async (request) => {
    const { ui_schema_id } = request.params;
    return formBody(found(await getUiSchema(api.db, ui_schema_id), ui_schema_id, "UISchemaEntity"), request.base_url);
  });
  server.put(one, about("schemas", "Replace a form", { params, body }), async (request) => {
    const { ui_schema_id } = request.params;
    found(await getUiSchema(api.db, ui_schema_id), ui_schema_id, "UISchemaEntity");
    const replaced = await replaceUiSchema(commandOf(api, request), ui_schema_id, formOf(request.body.uiSchema));
    return formBody(must(replaced, "uiSchema"), request.base_url);
  });
  server.delete(one, about("schemas", "Forget a form; none there is fine", { params }), async (request, reply) => {
    must(await deleteUiSchema(commandOf(api, request), request.params.ui_schema_id));
    return reply.code(204).send();
  });
}

/** What was sent, without what was not. */
const formOf = (sent: z.infer<typeof ui_schema>) => JSON.parse(JSON.stringify(sent)) as UiForm;

function formBody(form: UiSchema, base: string) {
  return {
    id: form.id,
    uiSchema: form.body,
    created: date(form.created_at),
    lastUpdated: date(form.updated_at),
    _links: { self: hinted(`${base}${forms}/${form.id}`, "GET", "PUT", "DELETE") },
  };
}
