/**
 * The frame of the few pages that people see without a console: one column, system fonts, light and dark, no script, and
 * nothing from anywhere else. Every text that comes from outside passes `html`.
 */
import type { FastifyReply } from "fastify";

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A text as HTML shows it, also within quotes. */
export const html = (text: string) => text.replace(/[&<>"']/g, (one) => entities[one] ?? one);

const style = `
:root { color-scheme: light dark; --ink: #1a1f24; --paper: #fbfbf9; --line: #6b7480; --go: #0b5cad; --bad: #a3161d }
@media (prefers-color-scheme: dark) { :root { --ink: #eceff2; --paper: #14171a; --line: #9aa5b1; --go: #6cb2ff; --bad: #ff9a9a } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.5 system-ui, sans-serif }
main { max-width: 26rem; margin: 12vh auto; padding: 0 1.25rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem }
label { display: block; font-weight: 600; margin: 1.1rem 0 .3rem }
input { box-sizing: border-box; width: 100%; padding: .6rem .7rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .4rem }
button { margin-top: 1.5rem; padding: .65rem 1.2rem; font: inherit; font-weight: 600; border: 0; border-radius: .4rem;
  background: var(--go); color: var(--paper); cursor: pointer }
:focus-visible { outline: 3px solid var(--go); outline-offset: 2px }
.hint { margin: .3rem 0 0; font-size: .95rem }
.bad { border-left: 4px solid var(--bad); padding: .2rem 0 .2rem .9rem; margin: 1rem 0; color: var(--bad); font-weight: 600 }
`;

/** A whole page. `body`: HTML whose outside texts are escaped. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${html(title)}</title><style>${style}</style></head>
<body><main>
<h1>${html(title)}</h1>
${body}
</main></body></html>`;
}

/** Sends a page that no other site may frame, learn the address of, or bring a script into. */
export function sendPage(reply: FastifyReply, status: number, document: string): FastifyReply {
  return reply
    .code(status)
    .headers({
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    })
    .send(document);
}
