/** The app that a path names; every noun below /apps/{id} asks this first. */
import { z } from "zod";
import { type App, appByIdOrLabel } from "../../directory/apps.ts";
import type { Api } from "../api.ts";
import { found } from "../errors.ts";

export const app_params = z.object({ app_id: z.string().min(1).max(200) });

/** The app that a path names by id, or 404. */
export async function oneApp(api: Api, id: string): Promise<App> {
  const app = await appByIdOrLabel(api.db, id);
  return found(app?.id === id ? app : undefined, id, "AppInstance");
}
