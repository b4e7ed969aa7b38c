// The door of the database: connections to SQLite files, whichever driver this machine has.
export { driverName } from './choice.ts';
export { Connection, numberOf, textOf } from './connection.ts';
export type { Row } from './driver.ts';
export { every, NOTHING, type Sql, sql } from './sql.ts';
