// Hides libsql from a process, as on a platform that it has no build for: `node --import ./hide-libsql.js`.
import { register } from 'node:module';

const hooks = `
export async function resolve(specifier, context, next) {
  if (!/(^|\\/node_modules\\/)libsql(\\/|$)/.test(specifier)) return next(specifier, context);
  throw new Error("Cannot find module '" + specifier + "'");
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
